// SPDX-License-Identifier: GPL-3.0-or-later
// Decides how an FFU was padded, and holds its headers against the file's size.
#include "flash/ffu/image.hpp"

#include <algorithm>

#include "flash/core/text.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/ffu/header_parser.hpp"

namespace imprint::ffu {
namespace {

using core::ByteView;
using core::checked_mul;

// The format's own rule first: a stream, whose end is not known yet, is read by it.
constexpr PaddingRule kPaddingRules[] = {PaddingRule::to_chunk, PaddingRule::to_block,
                                         PaddingRule::to_block_from_image_header};

// The payload has to end where the file does; only zero-extension of the last chunk may lie between.
core::Status check_file_size(Image& image, std::uint64_t file_size) {
  const std::uint64_t end = image.file_size;
  if (file_size < end) {
    return core::fail("format.truncated").with("offset", file_size).with("expected", end).with("actual", file_size);
  }
  if (file_size - end >= image.chunk_size ||
      (file_size != end && (file_size - image.hashed_offset) % image.chunk_size != 0)) {
    return fail("ffu.trailing-bytes").with("offset", end).with("actual", file_size);
  }
  image.file_size = file_size;
  return {};
}

core::Status check_hash_count(const Image& image) {
  const std::uint64_t expected = hashed_units(image);
  const std::uint64_t actual = image.hash_table.size() / format::kHashSize;
  if (expected != actual) {
    return fail("ffu.hash-count").with("offset", 28).with("expected", expected).with("actual", actual);
  }
  return {};
}

// In a compressed image the headers' chunks are hashed apart from the blocks: they have to end with a chunk.
core::Status check_header_end(const Image& image) {
  if (image.is_compressed() && (image.payload_offset - image.hashed_offset) % image.chunk_size != 0) {
    return fail("ffu.padding-ambiguous", "the headers of a compressed image do not end with a chunk")
        .with("offset", image.payload_offset);
  }
  return {};
}

struct Reading {
  Image image;
  bool rule_mattered = false;
};

core::Result<Reading> parse_with_rule(ByteView start, std::optional<std::uint64_t> file_size, PaddingRule rule) {
  HeaderParser parser(start, rule, ParseDepth::whole);
  IMPRINT_TRY(const auto needed, parser.parse());
  if (needed) {
    return core::fail("format.truncated")
        .with("offset", start.size())
        .with("expected", needed->bytes)
        .with("actual", start.size());
  }
  Reading reading{parser.take(), parser.rule_mattered()};
  IMPRINT_CHECK(check_header_end(reading.image));
  if (file_size) IMPRINT_CHECK(check_file_size(reading.image, *file_size));
  IMPRINT_CHECK(check_hash_count(reading.image));
  return reading;
}

core::Result<Image> require_zero_tail(Image image, const ZeroTail& tail_is_zero) {
  if (image.file_size == image.payload_end) return image;
  IMPRINT_TRY(const bool zero, tail_is_zero(image.payload_end));
  if (!zero) return fail("ffu.trailing-bytes").with("offset", image.payload_end).with("actual", image.file_size);
  return image;
}

// More than one padding rule may fit the file's size. Padding is zeros, behind the headers and behind the payload: a
// reading that takes other bytes for padding is out.
core::Result<Image> choose_reading(ByteView start, std::vector<Image> readings, const ZeroTail& tail_is_zero) {
  const auto smallest = std::ranges::min_element(readings, {}, &Image::payload_offset)->payload_offset;
  std::vector<Image> left;
  for (Image& image : readings) {
    const auto padding =
        start.subspan(smallest, std::min<std::uint64_t>(image.payload_offset, start.size()) - smallest);
    if (std::ranges::any_of(padding, [](std::uint8_t byte) { return byte != 0; })) continue;
    auto kept = require_zero_tail(std::move(image), tail_is_zero);
    if (kept) left.push_back(std::move(*kept));
    if (!kept && kept.error().id() != "ffu.trailing-bytes") return kept;
  }
  if (left.size() == 1) return std::move(left.front());
  return fail("ffu.padding-ambiguous").with("offset", smallest);
}

}  // namespace

core::Result<HeaderExtent> header_extent(ByteView start) {
  // The most that any padding rule asks for, so that each of them can be tried on what was read.
  HeaderExtent extent;
  std::optional<core::Error> problem;  // of the first rule: under the wrong one, a second store header is anything
  for (const PaddingRule rule : kPaddingRules) {
    HeaderParser parser(start, rule, ParseDepth::sizes);
    auto needed = parser.parse();
    if (needed) {
      const std::uint64_t end = *needed ? (*needed)->bytes : parser.payload_offset();
      extent.most = std::max(extent.most, end);
      if (parser.is_compressed()) extent.hashed_by_chunk = std::min(extent.hashed_by_chunk, end);
    } else if (!problem) {
      problem = std::move(needed).error();
    }
    if (!parser.rule_mattered()) break;
  }
  if (extent.most == 0 && problem) return std::unexpected(std::move(*problem));
  return extent;
}

core::Result<std::uint64_t> header_bytes(ByteView start) {
  IMPRINT_TRY(const auto extent, header_extent(start));
  return extent.most;
}

core::Result<Image> parse_image(ByteView start, std::optional<std::uint64_t> file_size) {
  if (!file_size) {  // a stream: its end would tell
    IMPRINT_TRY(auto reading, parse_with_rule(start, file_size, kPaddingRules[0]));
    return std::move(reading.image);
  }
  return parse_file(start, *file_size, [&](std::uint64_t from) -> core::Result<bool> {
    // Bytes that are not there cannot be vouched for.
    return start.size() >= *file_size && core::is_zero(start.subspan(from));
  });
}

core::Result<Image> parse_file(ByteView start, std::uint64_t file_size, const ZeroTail& tail_is_zero) {
  auto first = parse_with_rule(start, file_size, kPaddingRules[0]);
  if (first && !first->rule_mattered) return require_zero_tail(std::move(first->image), tail_is_zero);
  std::vector<Image> readings;
  if (first) readings.push_back(std::move(first->image));
  for (const PaddingRule rule : std::span(kPaddingRules).subspan(1)) {
    auto other = parse_with_rule(start, file_size, rule);
    const auto same = [&](const Image& image) { return image.payload_offset == other->image.payload_offset; };
    if (other && std::ranges::none_of(readings, same)) readings.push_back(std::move(other->image));
  }
  if (readings.empty()) return std::unexpected(std::move(first).error());
  if (readings.size() == 1) return require_zero_tail(std::move(readings.front()), tail_is_zero);
  return choose_reading(start, std::move(readings), tail_is_zero);
}

std::string_view to_string(Form form) {
  switch (form) {
    case Form::v1:
      return "V1";
    case Form::v1_compressed:
      return "V1 compressed";
    case Form::v2:
      return "V2";
  }
  return "V1";
}

bool Image::is_partial_update() const {
  return std::ranges::any_of(stores, [](const Store& store) { return store.update_type == UpdateType::partial; });
}

core::Result<std::uint64_t> disk_offset(const DiskLocation& location, std::uint64_t block, std::uint32_t block_size,
                                        std::uint64_t disk_bytes) {
  const std::uint64_t index = location.block_index + block;
  std::uint64_t reach = 0;
  if (!checked_mul(index + 1, block_size, reach) || reach > disk_bytes) {
    return fail("ffu.location-out-of-disk")
        .with("block", index)
        .with("block_size", block_size)
        .with("disk_bytes", disk_bytes);
  }
  return location.method == AccessMethod::disk_begin ? reach - block_size : disk_bytes - reach;
}

bool overlaps_itself(std::span<const DiskLocation> locations, std::uint32_t block_count) {
  if (block_count < 2 || locations.size() < 2) return false;
  std::vector<std::uint64_t> starts;
  for (const DiskLocation& location : locations) starts.push_back(location.block_index);
  std::ranges::sort(starts);
  const auto close = [&](std::uint64_t a, std::uint64_t b) { return b - a < block_count; };
  return std::ranges::adjacent_find(starts, close) != starts.end();
}

core::Status check_validation(const Store& store, const core::BlockSource& disk, std::uint32_t sector_size) {
  for (const ValidationEntry& entry : store.validation) {
    const std::uint64_t offset = std::uint64_t{entry.sector_index} * sector_size + entry.sector_offset;
    const auto failed = [&](std::string detail) {
      return fail("ffu.validation-failed", std::move(detail))
          .with("sector", entry.sector_index)
          .with("disk_offset", offset);
    };
    if (offset + entry.data_size > disk.size()) return failed("the disk ends before it");
    IMPRINT_TRY(const auto bytes, disk.read(offset, entry.data_size));
    if (!std::ranges::equal(bytes, store.data_of(entry))) return failed("other bytes are there");
  }
  return {};
}

}  // namespace imprint::ffu
