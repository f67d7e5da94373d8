// SPDX-License-Identifier: GPL-3.0-or-later
// Hives from outside: what reads must write and read back equal. The base block's checksum is mended, since no mutation
// would get past it.
#include <cstdlib>

#include "flash/bcd/store.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  core::ByteBuffer hive(data, data + size);
  if (hive.size() >= 4096) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < 0x1FC; i += 4) sum ^= core::load_le<std::uint32_t>(hive.data() + i);
    core::store_le(hive.data() + 0x1FC, sum);
  }
  const auto store = bcd::Store::read(hive);
  if (!store) return 0;
  const auto written = store->to_hive();
  if (!written) return 0;
  const auto again = bcd::Store::read(*written);
  if (!again || *again != *store) std::abort();
  return 0;
}
