// SPDX-License-Identifier: GPL-3.0-or-later
// Both disks side by side, piece by piece, past what is a hole in both.
#include "flash/inspect/disk_difference.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "flash/core/errors.hpp"

namespace imprint::inspect {
namespace {

constexpr std::uint64_t kPieceBytes = 2U << 20;  // large: images are hashed in long reads several times as fast

// Zeros behind the end.
core::Status read_padded(const core::BlockSource& disk, std::uint64_t offset, core::ByteSpan out) {
  const std::uint64_t there = offset < disk.size() ? std::min<std::uint64_t>(out.size(), disk.size() - offset) : 0;
  std::ranges::fill(out.subspan(there), std::uint8_t{0});
  return there == 0 ? core::Status{} : disk.read_at(offset, out.first(there));
}

// The first byte at or after `from` that is data in one of them.
core::Result<std::optional<std::uint64_t>> next_data(const core::BlockSource& a, const core::BlockSource& b,
                                                     std::uint64_t from) {
  IMPRINT_TRY(const auto in_a, a.next_data(from));
  IMPRINT_TRY(const auto in_b, b.next_data(from));
  if (!in_a && !in_b) return std::optional<std::uint64_t>{};
  const std::uint64_t first = std::min(in_a ? in_a->offset : UINT64_MAX, in_b ? in_b->offset : UINT64_MAX);
  return std::optional<std::uint64_t>{std::max(from, first)};
}

void add(std::vector<core::Extent>& out, core::Extent extent) {
  if (!out.empty() && out.back().end() == extent.offset) {
    out.back().length += extent.length;
  } else {
    out.push_back(extent);
  }
}

}  // namespace

core::Result<std::vector<core::Extent>> compare_disks(
    const core::BlockSource& a, const core::BlockSource& b,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress, std::stop_token stop) {
  const std::uint64_t size = std::max(a.size(), b.size());
  core::ByteBuffer bytes_a(kPieceBytes);
  core::ByteBuffer bytes_b(kPieceBytes);
  std::vector<core::Extent> out;
  for (std::uint64_t from = 0; from < size;) {
    if (stop.stop_requested()) return core::fail("job.cancelled");
    IMPRINT_TRY(const auto data, next_data(a, b, from));
    if (!data) break;
    const std::uint64_t start = *data / kDifferenceGranule * kDifferenceGranule;
    const std::uint64_t end = std::min(size, start / kPieceBytes * kPieceBytes + kPieceBytes);
    const auto piece_a = core::ByteSpan(bytes_a).first(end - start);
    const auto piece_b = core::ByteSpan(bytes_b).first(end - start);
    IMPRINT_CHECK(read_padded(a, start, piece_a));
    IMPRINT_CHECK(read_padded(b, start, piece_b));
    for (std::uint64_t at = 0; at < piece_a.size(); at += kDifferenceGranule) {
      const std::uint64_t length = std::min<std::uint64_t>(kDifferenceGranule, piece_a.size() - at);
      if (std::memcmp(piece_a.data() + at, piece_b.data() + at, length) != 0) add(out, {start + at, length});
    }
    from = end;
    if (progress) progress(end, size);
  }
  return out;
}

std::vector<core::Extent> extents_within(const std::vector<core::Extent>& extents, core::Extent range) {
  std::vector<core::Extent> out;
  auto it = std::ranges::upper_bound(extents, range.offset, {}, &core::Extent::end);
  for (; it != extents.end() && it->offset < range.end(); ++it) {
    const std::uint64_t start = std::max(it->offset, range.offset);
    out.push_back({start, std::min(it->end(), range.end()) - start});
  }
  return out;
}

DifferenceSize size_of(const std::vector<core::Extent>& extents) {
  DifferenceSize out;
  std::uint64_t counted = 0;  // granules before this one were counted
  for (const core::Extent& extent : extents) {
    const std::uint64_t first = std::max(counted, extent.offset / kDifferenceGranule);
    counted = core::round_up(extent.end(), kDifferenceGranule) / kDifferenceGranule;
    out.blocks += counted - first;
    out.bytes += extent.length;
  }
  return out;
}

}  // namespace imprint::inspect
