// SPDX-License-Identifier: GPL-3.0-or-later
// Names of the codecs, and which code does which.
#include "flash/ffu/compression.hpp"

#include <algorithm>

#include "flash/ffu/errors.hpp"
#include "flash/ffu/lznt1.hpp"
#include "flash/ffu/xpress.hpp"
#include "flash/ffu/xpress_huffman.hpp"

namespace imprint::ffu {

std::string_view to_string(Compression compression) {
  switch (compression) {
    case Compression::none:
      return "none";
    case Compression::lznt1:
      return "lznt1";
    case Compression::xpress:
      return "xpress";
    case Compression::xpress_huffman:
      return "xpress-huffman";
  }
  return "none";
}

std::optional<Compression> parse_compression(std::string_view name) {
  for (const Compression compression :
       {Compression::none, Compression::lznt1, Compression::xpress, Compression::xpress_huffman}) {
    if (to_string(compression) == name) return compression;
  }
  return std::nullopt;
}

core::Status decompress(Compression compression, core::ByteView in, core::ByteSpan out) {
  switch (compression) {
    case Compression::none:
      if (in.size() != out.size()) {
        return fail("ffu.decompression", "a stored block has another size than the block").with("offset", in.size());
      }
      std::ranges::copy(in, out.begin());
      return {};
    case Compression::lznt1:
      return decompress_lznt1(in, out);
    case Compression::xpress:
      return decompress_xpress(in, out);
    case Compression::xpress_huffman:
      return decompress_xpress_huffman(in, out);
  }
  return fail("ffu.decompression", "unknown compression").with("offset", 0);
}

std::optional<core::ByteBuffer> compress(Compression compression, core::ByteView in) {
  switch (compression) {
    case Compression::none:
      return std::nullopt;
    case Compression::lznt1:
      return compress_lznt1(in);
    case Compression::xpress:
      return compress_xpress(in);
    case Compression::xpress_huffman:
      return compress_xpress_huffman(in);
  }
  return std::nullopt;
}

}  // namespace imprint::ffu
