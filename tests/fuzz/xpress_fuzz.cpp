// SPDX-License-Identifier: GPL-3.0-or-later
// Plain XPRESS from any bytes into blocks of many sizes, and there and back for what is packed here.
#include "tests/fuzz/codec_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz_codec(imprint::ffu::Compression::xpress, {data, size});
}
