// SPDX-License-Identifier: GPL-3.0-or-later
// What each entry of an image's hash table covers. In an uncompressed image: the chunks of the file from the image
// header on. In a compressed one: the chunks of the headers, then each block of the payload, decompressed.
// Source: Microsoft, "FFU image format"; how compressed images are hashed was seen in captures of DISM.
#pragma once

#include <cstdint>
#include <string_view>

#include "flash/core/bytes.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

// How many units the headers and the file's size ask for; the table of a parsed image has exactly these.
[[nodiscard]] std::uint64_t hashed_units(const Image& image);
// How many of them, from the first, lie in the headers alone of a compressed image, or are not compressed at all.
[[nodiscard]] std::uint64_t chunk_units(const Image& image);

struct HashedUnit {
  std::uint64_t index = 0;
  core::Extent stored;  // in the file; the last chunk may be shorter, and is hashed with zeros behind it
  core::Extent plain;   // in the plain image; the same as `stored` unless it is compressed
  std::uint64_t hashed_size = 0;
  bool is_compressed = false;  // a block of a compressed image; one that is as long as its block is stored as it is
};

// index < hashed_units(image).
[[nodiscard]] HashedUnit hashed_unit(const Image& image, std::uint64_t index);
[[nodiscard]] core::ByteView unit_hash(const Image& image, std::uint64_t index);
// The unit that holds a byte; the offset is at hashed_offset or behind it, and below the file's or the plain size.
// Bytes behind the last block of a compressed image belong to no unit (they are zeros): the answer is then
// hashed_units().
[[nodiscard]] std::uint64_t unit_at_plain(const Image& image, std::uint64_t plain_offset);
[[nodiscard]] std::uint64_t unit_at_stored(const Image& image, std::uint64_t stored_offset);

// `image.hash-mismatch` with the unit's number and the offset in the file; `kind` is what it is called.
[[nodiscard]] core::Failure hash_mismatch(std::string_view kind, std::uint64_t index, std::uint64_t offset);

// `plain` are the unit's plain bytes. `image.hash-mismatch` with unit and offset.
[[nodiscard]] core::Status check_unit(const Image& image, std::uint64_t index, core::ByteView plain);
// The same where the digest is known already.
[[nodiscard]] core::Status check_unit_digest(const Image& image, std::uint64_t index, const core::Sha256& digest);

}  // namespace imprint::ffu
