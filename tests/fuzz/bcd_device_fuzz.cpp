// SPDX-License-Identifier: GPL-3.0-or-later
// Device elements from outside: what decodes must encode to the same bytes.
#include <algorithm>
#include <cstdlib>

#include "flash/bcd/store.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto device = bcd::decode_device({data, size});
  if (device && !std::ranges::equal(bcd::encode_device(*device), core::ByteView(data, size))) std::abort();
  return 0;
}
