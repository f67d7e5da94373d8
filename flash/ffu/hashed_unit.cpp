// SPDX-License-Identifier: GPL-3.0-or-later
// Arithmetic between units, the file and the plain image.
#include "flash/ffu/hashed_unit.hpp"

#include <algorithm>
#include <string>

#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"

namespace imprint::ffu {
namespace {

// Only compressed images ask, which have one store.
const std::vector<WriteDescriptor>& blocks(const Image& image) { return image.stores.front().descriptors; }

}  // namespace

std::uint64_t chunk_units(const Image& image) {
  const std::uint64_t end = image.is_compressed() ? image.payload_offset : image.file_size;
  return core::round_up(end - image.hashed_offset, image.chunk_size) / image.chunk_size;
}

std::uint64_t hashed_units(const Image& image) {
  return chunk_units(image) + (image.is_compressed() ? blocks(image).size() : 0);
}

HashedUnit hashed_unit(const Image& image, std::uint64_t index) {
  const std::uint64_t chunks = chunk_units(image);
  if (index < chunks) {
    const std::uint64_t offset = image.hashed_offset + index * image.chunk_size;
    const core::Extent extent{offset, std::min<std::uint64_t>(image.chunk_size, image.file_size - offset)};
    return {index, extent, extent, image.chunk_size, false};
  }
  const WriteDescriptor& block = blocks(image)[index - chunks];
  const std::uint64_t size = image.stores.front().block_size;
  return {index, {block.stored_offset, block.compressed_size}, {block.plain_offset, size}, size, true};
}

core::ByteView unit_hash(const Image& image, std::uint64_t index) {
  return core::ByteView(image.hash_table).subspan(index * format::kHashSize, format::kHashSize);
}

std::uint64_t unit_at_plain(const Image& image, std::uint64_t plain_offset) {
  if (image.is_compressed() && plain_offset >= image.payload_offset) {
    return chunk_units(image) + (plain_offset - image.payload_offset) / image.stores.front().block_size;
  }
  return (plain_offset - image.hashed_offset) / image.chunk_size;
}

std::uint64_t unit_at_stored(const Image& image, std::uint64_t stored_offset) {
  if (!image.is_compressed() || stored_offset < image.payload_offset) {
    return (stored_offset - image.hashed_offset) / image.chunk_size;
  }
  if (stored_offset >= image.payload_end) return hashed_units(image);
  const auto& all = blocks(image);
  const auto after = std::ranges::upper_bound(all, stored_offset, {}, &WriteDescriptor::stored_offset);
  return chunk_units(image) + static_cast<std::uint64_t>(after - all.begin()) - 1;
}

core::Failure hash_mismatch(std::string_view kind, std::uint64_t index, std::uint64_t offset) {
  return fail("image.hash-mismatch", std::string(kind) + " " + std::to_string(index))
      .with("unit", index)
      .with("offset", offset);
}

core::Status check_unit_digest(const Image& image, std::uint64_t index, const core::Sha256& digest) {
  if (std::ranges::equal(digest, unit_hash(image, index))) return {};
  const HashedUnit unit = hashed_unit(image, index);
  return hash_mismatch(unit.is_compressed ? "block of unit" : "chunk", index, unit.stored.offset);
}

core::Status check_unit(const Image& image, std::uint64_t index, core::ByteView plain) {
  const std::uint64_t size = hashed_unit(image, index).hashed_size;
  if (plain.size() == size) return check_unit_digest(image, index, core::sha256(plain));
  core::ByteBuffer extended(plain.begin(), plain.end());
  extended.resize(size);
  return check_unit_digest(image, index, core::sha256(extended));
}

}  // namespace imprint::ffu
