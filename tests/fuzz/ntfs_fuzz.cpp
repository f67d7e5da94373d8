// SPDX-License-Identifier: GPL-3.0-or-later
// NTFS reader on arbitrary volumes: our device functions and what we do with the library's answers.
#include <cstring>

#include "tests/fuzz/volume_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  imprint::core::ByteBuffer bytes(data, data + size);
  if (size >= 512) {
    std::memcpy(bytes.data() + 3, "NTFS    ", 8);
    bytes[510] = 0x55;
    bytes[511] = 0xAA;
  }
  imprint::fuzz::open_and_walk(std::move(bytes));
  return 0;
}
