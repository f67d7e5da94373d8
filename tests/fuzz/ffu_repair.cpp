// SPDX-License-Identifier: GPL-3.0-or-later
// Works out the hash table that a file would have.
#include "ffu_repair.hpp"

#include <algorithm>

#include "flash/core/digest.hpp"
#include "flash/ffu/compression.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/ffu/header_parser.hpp"

namespace {

using namespace imprint;

constexpr std::size_t kCatalogSizeField = 24;
constexpr std::size_t kTableSizeField = 28;

// The hash of what a compressed block unpacks to, by the first codec that can.
core::Sha256 hash_of_block(core::ByteView stored, std::size_t block_size) {
  using enum ffu::Compression;
  core::ByteBuffer plain(block_size);
  for (const ffu::Compression codec : {none, xpress_huffman, xpress, lznt1}) {
    if (ffu::decompress(codec, stored, plain)) break;
  }
  return core::sha256(plain);
}

core::Sha256 hash_of_unit(core::ByteView file, const ffu::HashedUnit& unit) {
  const core::ByteView stored = file.subspan(unit.stored.offset, unit.stored.length);
  if (unit.is_compressed) return hash_of_block(stored, unit.hashed_size);
  core::ByteBuffer whole(stored.begin(), stored.end());
  whole.resize(unit.hashed_size);
  return core::sha256(whole);
}

}  // namespace

std::size_t repair_ffu(std::span<std::uint8_t> buffer, std::size_t size) {
  constexpr std::uint64_t kMostPlain = 4U << 20;  // a fuzzer's time is better spent than on long payloads
  ffu::HeaderParser parser(buffer.first(size), ffu::PaddingRule::to_chunk, ffu::ParseDepth::whole);
  const auto parsed = parser.parse();
  if (!parsed || *parsed) return size;
  const ffu::Image image = parser.take();
  if (image.payload_end > buffer.size() || image.plain_size > kMostPlain) return size;
  if (image.payload_end > size) std::ranges::fill(buffer.subspan(size, image.payload_end - size), std::uint8_t{0});
  const std::uint64_t units = ffu::hashed_units(image);
  const std::uint64_t table = 32 + std::uint64_t{core::load_le<std::uint32_t>(buffer.data() + kCatalogSizeField)};
  const std::uint64_t end = table + units * 32;
  if (core::round_up(end, image.chunk_size) != image.hashed_offset) return size;  // everything would have to move
  core::store_le(buffer.data() + kTableSizeField, static_cast<std::uint32_t>(units * 32));
  for (std::uint64_t i = 0; i < units; ++i) {
    const auto digest = hash_of_unit(buffer.first(image.payload_end), ffu::hashed_unit(image, i));
    std::ranges::copy(digest, buffer.begin() + static_cast<std::ptrdiff_t>(table + i * 32));
  }
  return image.payload_end;
}
