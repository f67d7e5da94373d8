// SPDX-License-Identifier: GPL-3.0-or-later
// FAT reader on arbitrary volumes.
#include "tests/fuzz/volume_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  imprint::core::ByteBuffer bytes(data, data + size);
  if (size >= 512) {
    bytes[0] = 0xEB;
    bytes[2] = 0x90;
    bytes[510] = 0x55;
    bytes[511] = 0xAA;
  }
  imprint::fuzz::open_and_walk(std::move(bytes));
  return 0;
}
