// SPDX-License-Identifier: GPL-3.0-or-later
// LZNT1 from any bytes into blocks of many sizes, and there and back for what is packed here.
#include "tests/fuzz/codec_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz_codec(imprint::ffu::Compression::lznt1, {data, size});
}
