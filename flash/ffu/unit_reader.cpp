// SPDX-License-Identifier: GPL-3.0-or-later
// Batches of units: read together, hashed side by side.
#include "flash/ffu/unit_reader.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "flash/core/sha256_lanes.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"

namespace imprint::ffu {
namespace {

constexpr std::uint64_t kBatchBytes = 2U << 20;
constexpr std::size_t kMaxBatch = core::Sha256Lanes::kMaxLanes;
// Read of each lane before it is hashed: small enough that all lanes together stay in the second-level cache.
constexpr std::uint64_t kStep = 32U << 10;

// What the header's number can mean, the likeliest first: tools disagree about 3 and 4.
std::span<const Compression> candidates(std::uint32_t algorithm) {
  using enum Compression;
  static constexpr Compression kDefault[] = {xpress_huffman, xpress, lznt1};
  static constexpr Compression kLznt1[] = {lznt1};
  static constexpr Compression kXpress[] = {xpress, xpress_huffman};
  static constexpr Compression kXpressHuffman[] = {xpress_huffman, xpress};
  switch (algorithm) {
    case 1:
      return kDefault;
    case 2:
      return kLznt1;
    case 3:
      return kXpress;
    case 4:
      return kXpressHuffman;
    default:
      return {};
  }
}

core::Failure read_failed(core::Extent extent, core::Error cause) {
  return fail("image.read-failed").with("offset", extent.offset).caused_by(std::move(cause));
}

}  // namespace

core::Status UnitReader::read_stored(core::Extent extent, core::ByteSpan out) const {
  // What was parsed is what is hashed: bytes of the headers are never read from the file again.
  const core::ByteBuffer& headers = opened_.header_area;
  std::uint64_t from_memory = 0;
  if (extent.offset < headers.size()) {
    from_memory = std::min<std::uint64_t>(extent.length, headers.size() - extent.offset);
    std::copy_n(headers.begin() + static_cast<std::ptrdiff_t>(extent.offset), from_memory, out.begin());
  }
  if (from_memory == extent.length) return {};
  auto status = file_.read_at(extent.offset + from_memory, out.subspan(from_memory));
  if (!status) return read_failed(extent, std::move(status).error());
  return {};
}

// Decompresses until the hash is right. The meaning that was right before is tried first; the hash alone decides.
core::Status UnitReader::settle(const HashedUnit& unit, core::ByteView stored, core::ByteSpan plain) const {
  if (stored.size() == plain.size()) {
    std::ranges::copy(stored, plain.begin());
    if (check_unit(opened_.image, unit.index, plain)) return {};
  }
  std::optional<core::Error> problem;
  const auto attempt = [&](Compression compression) {
    if (auto status = decompress(compression, stored, plain); !status) {
      problem = std::move(status).error();
      return false;
    }
    if (!check_unit(opened_.image, unit.index, plain)) return false;
    settled_ = compression;
    return true;
  };
  const Compression settled = settled_;
  if (settled != Compression::none && attempt(settled)) return {};
  for (const Compression candidate : candidates(opened_.image.stores.front().compression_algorithm)) {
    if (candidate != settled && attempt(candidate)) return {};
  }
  auto failure = hash_mismatch("block of unit", unit.index, unit.stored.offset);
  if (problem) return std::move(failure).caused_by(std::move(*problem));
  return failure;
}

core::Result<UnitReader::Unit> UnitReader::load(std::uint64_t index, Unit reused) const {
  const HashedUnit unit = hashed_unit(opened_.image, index);
  Unit out = std::move(reused);
  out.plain.clear();
  out.stored.resize(unit.stored.length);
  IMPRINT_CHECK(read_stored(unit.stored, out.stored));
  if (unit.is_compressed) {
    out.plain.resize(unit.plain.length);
    IMPRINT_CHECK(settle(unit, out.stored, out.plain));
  } else {
    IMPRINT_CHECK(check_unit(opened_.image, index, out.stored));
  }
  return out;
}

// Plain bytes as the likeliest meaning of the compression gives them; not checked yet.
core::Status UnitReader::read_plain(const HashedUnit& unit, core::ByteSpan out) const {
  if (!unit.is_compressed) return read_stored(unit.stored, out);
  core::ByteBuffer stored(unit.stored.length);
  IMPRINT_CHECK(read_stored(unit.stored, stored));
  const Compression settled = settled_;
  if (stored.size() == out.size()) {
    std::ranges::copy(stored, out.begin());
    return {};
  }
  if (settled != Compression::none && decompress(settled, stored, out)) return {};
  return settle(unit, stored, out);
}

std::uint64_t UnitReader::batch_size() const {
  return std::clamp<std::uint64_t>(kBatchBytes / unit_bytes(), 1, kMaxBatch);
}

std::uint64_t UnitReader::batch_bytes() const {
  return (batch_size() + (opened_.image.is_compressed() ? 1 : 0)) * unit_bytes();  // one stored unit at a time
}

std::uint64_t UnitReader::unit_bytes() const {
  const Image& image = opened_.image;
  return image.is_compressed() ? std::max(image.chunk_size, image.stores.front().block_size) : image.chunk_size;
}

// At most kMaxBatch units. The answer is that of the first unit that is wrong, whether it cannot be read or
// decompressed or has another hash.
core::Status UnitReader::load_batch(std::uint64_t first, std::uint64_t count, core::ByteSpan bytes) const {
  const Image& image = opened_.image;
  const std::uint64_t start = hashed_unit(image, first).plain.offset;
  const auto part = [&](const HashedUnit& unit) { return bytes.subspan(unit.plain.offset - start, unit.plain.length); };
  // Units of one kind without compression lie side by side: one read for all of them.
  const bool together = !hashed_unit(image, first + count - 1).is_compressed;
  if (together) {
    auto status = read_stored({start, bytes.size()}, bytes);
    if (!status && count == 1) return status;
    for (std::uint64_t i = 0; !status && i < count; ++i)
      IMPRINT_CHECK(load_batch(first + i, 1, part(hashed_unit(image, first + i))));
    if (!status) return {};
  }
  std::array<core::ByteView, kMaxBatch> views;
  std::array<core::Sha256, kMaxBatch> digests{};
  std::optional<core::Error> problem;  // of the unit behind the `good` first ones
  std::uint64_t good = 0;
  for (; good < count && !problem; ++good) {
    const HashedUnit unit = hashed_unit(image, first + good);
    auto status = together ? core::Status{} : read_plain(unit, part(unit));
    if (!status) {
      problem = std::move(status).error();
      break;
    }
    views[good] = part(unit);
  }
  core::sha256_many(std::span(views).first(good), std::span(digests).first(good));
  for (std::uint64_t i = 0; i < good; ++i) {
    const HashedUnit unit = hashed_unit(image, first + i);
    // A short last chunk was hashed as it is, and counts with zeros behind it: only the slow way may call it good.
    const bool is_whole = unit.plain.length == unit.hashed_size;
    if (!is_whole || !check_unit_digest(image, unit.index, digests[i]))
      IMPRINT_CHECK(check_slowly(unit.index, part(unit)));
  }
  if (problem) return std::unexpected(std::move(*problem));
  return {};
}

// A unit whose digest is not the right one yet: shorter than a chunk, or compressed in another way than those before.
core::Status UnitReader::check_slowly(std::uint64_t index, core::ByteSpan plain) const {
  const HashedUnit unit = hashed_unit(opened_.image, index);
  if (!unit.is_compressed) return check_unit(opened_.image, index, plain);
  core::ByteBuffer stored(unit.stored.length);
  IMPRINT_CHECK(read_stored(unit.stored, stored));
  return settle(unit, stored, plain);
}

core::Status UnitReader::load_plain(std::uint64_t first, std::uint64_t count, core::ByteSpan out) const {
  for (std::uint64_t at = 0; at < count; at += kMaxBatch) {
    const std::uint64_t batch = std::min<std::uint64_t>(kMaxBatch, count - at);
    const std::uint64_t size = hashed_unit(opened_.image, first + at + batch - 1).plain.end() -
                               hashed_unit(opened_.image, first + at).plain.offset;
    IMPRINT_CHECK(load_batch(first + at, batch, out.first(size)));
    out = out.subspan(size);
  }
  return {};
}

// Whole chunks side by side, a step of each at a time.
core::Status UnitReader::check_in_steps(std::uint64_t first, std::uint64_t count) const {
  const std::uint64_t chunk = opened_.image.chunk_size;
  const std::uint64_t step = std::min(kStep, chunk);
  core::Sha256Lanes lanes(count);
  core::ByteBuffer buffer(count * step);
  std::array<core::ByteView, kMaxBatch> pieces;
  std::array<core::Sha256, kMaxBatch> digests{};
  for (std::uint64_t at = 0; at < chunk; at += step) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const core::ByteSpan piece = core::ByteSpan(buffer).subspan(i * step, step);
      const core::Extent unit = hashed_unit(opened_.image, first + i).stored;
      if (!read_stored({unit.offset + at, step}, piece)) return check_one_by_one(first, count);
      pieces[i] = piece;
    }
    if (at + step < chunk) {
      lanes.update(std::span(pieces).first(count));
    } else {
      lanes.finish(std::span(pieces).first(count), std::span(digests).first(count));
    }
  }
  for (std::uint64_t i = 0; i < count; ++i) IMPRINT_CHECK(check_unit_digest(opened_.image, first + i, digests[i]));
  return {};
}

// Where something could not be read: which is the first unit that is wrong?
core::Status UnitReader::check_one_by_one(std::uint64_t first, std::uint64_t count) const {
  core::ByteBuffer chunk(opened_.image.chunk_size);
  for (std::uint64_t i = 0; i < count; ++i) IMPRINT_CHECK(load_batch(first + i, 1, chunk));
  return {};
}

core::Status UnitReader::check(std::uint64_t first, std::uint64_t count) const {
  while (count != 0) {
    const std::uint64_t batch = std::min<std::uint64_t>(count, kMaxBatch);
    const HashedUnit last = hashed_unit(opened_.image, first + batch - 1);
    if (!last.is_compressed && last.stored.length == opened_.image.chunk_size) {
      IMPRINT_CHECK(check_in_steps(first, batch));
      first += batch;
      count -= batch;
      continue;
    }
    const std::uint64_t some = std::min(batch, batch_size());
    const std::uint64_t start = hashed_unit(opened_.image, first).plain.offset;
    core::ByteBuffer plain(hashed_unit(opened_.image, first + some - 1).plain.end() - start);
    IMPRINT_CHECK(load_plain(first, some, plain));
    first += some;
    count -= some;
  }
  return {};
}

core::Status PlainSource::read_at(std::uint64_t offset, core::ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  const Image& image = opened_->image;
  if (offset < image.hashed_offset) {  // security header, catalog and table: parsed and judged from memory
    const std::uint64_t count = std::min<std::uint64_t>(out.size(), image.hashed_offset - offset);
    std::copy_n(opened_->header_area.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    offset += count;
    out = out.subspan(count);
  }
  core::ByteBuffer scratch;
  while (!out.empty()) {
    const std::uint64_t first = unit_at_plain(image, offset);
    const HashedUnit unit = hashed_unit(image, first);
    if (offset == unit.plain.offset && out.size() >= unit.plain.length) {
      // As many whole units as the read covers, straight into it.
      std::uint64_t last = unit_at_plain(image, offset + out.size() - 1);
      if (hashed_unit(image, last).plain.end() > offset + out.size()) --last;
      const std::uint64_t size = hashed_unit(image, last).plain.end() - offset;
      IMPRINT_CHECK(reader_.load_plain(first, last - first + 1, out.first(size)));
      offset += size;
      out = out.subspan(size);
      continue;
    }
    scratch.resize(unit.plain.length);
    IMPRINT_CHECK(reader_.load_plain(first, 1, scratch));
    const std::uint64_t inner = offset - unit.plain.offset;
    const std::uint64_t count = std::min<std::uint64_t>(out.size(), unit.plain.length - inner);
    std::copy_n(scratch.begin() + static_cast<std::ptrdiff_t>(inner), count, out.begin());
    offset += count;
    out = out.subspan(count);
  }
  return {};
}

}  // namespace imprint::ffu
