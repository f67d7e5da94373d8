// SPDX-License-Identifier: GPL-3.0-or-later
// Applies descriptors to an interval map instead of a disk.
#include "flash/ffu/disk_map.hpp"

#include <algorithm>
#include <map>

#include "flash/core/bytes.hpp"
#include "flash/ffu/errors.hpp"

namespace imprint::ffu {
namespace {

struct Piece {
  std::uint64_t end;
  std::uint64_t plain_offset;
};
using Pieces = std::map<std::uint64_t, Piece>;  // by disk offset

// Cuts away whatever lies in [start, end): a later write wins.
void clear(Pieces& pieces, std::uint64_t start, std::uint64_t end) {
  auto it = pieces.lower_bound(start);
  if (it != pieces.begin()) {
    const auto previous = std::prev(it);
    if (previous->second.end > start) {
      const Piece old = previous->second;
      previous->second.end = start;
      if (old.end > end) pieces.emplace(end, Piece{old.end, old.plain_offset + (end - previous->first)});
    }
  }
  while (it != pieces.end() && it->first < end) {
    if (it->second.end > end) {
      const Piece rest{it->second.end, it->second.plain_offset + (end - it->first)};
      pieces.erase(it);
      pieces.emplace(end, rest);
      return;
    }
    it = pieces.erase(it);
  }
}

// Most writes go on where the one before ended, on the disk as in the payload: they make one piece.
void write(Pieces& pieces, std::uint64_t start, std::uint64_t end, std::uint64_t plain_offset) {
  clear(pieces, start, end);
  const auto after = pieces.lower_bound(start);
  if (after != pieces.begin()) {
    const auto before = std::prev(after);
    if (before->second.end == start && before->second.plain_offset + (start - before->first) == plain_offset) {
      before->second.end = end;
      return;
    }
  }
  pieces.emplace_hint(after, start, Piece{end, plain_offset});
}

}  // namespace

core::Result<DiskMap> DiskMap::build(const Store& store, std::uint64_t disk_bytes) {
  Pieces pieces;
  for (std::size_t i = 0; i < store.descriptors.size(); ++i) {
    const WriteDescriptor& descriptor = store.descriptors[i];
    if (descriptor.block_count == 0) continue;
    const std::uint64_t length = std::uint64_t{descriptor.block_count} * store.block_size;
    const auto locations = store.locations_of(descriptor);
    for (std::size_t k = 0; k < locations.size(); ++k) {
      // The last block of the run decides whether it fits; from the end, runs have one block (checked by the parser).
      auto last = disk_offset(locations[k], descriptor.block_count - 1, store.block_size, disk_bytes);
      if (!last) {
        auto error = std::move(last).error();
        error.add_context("descriptor", std::to_string(i));
        error.add_context("offset", std::to_string(store.location_offset(i, k)));
        return std::unexpected(std::move(error));
      }
      const std::uint64_t start = *last + store.block_size - length;
      write(pieces, start, start + length, descriptor.plain_offset);
    }
  }
  DiskMap map;
  map.disk_bytes_ = disk_bytes;
  for (const auto& [start, piece] : pieces) {
    if (!map.runs_.empty() && map.runs_.back().disk_end() == start &&
        map.runs_.back().plain_offset + map.runs_.back().length == piece.plain_offset) {
      map.runs_.back().length += piece.end - start;
    } else {
      map.runs_.push_back({start, piece.end - start, piece.plain_offset});
    }
  }
  return map;
}

std::uint64_t DiskMap::described_bytes() const {
  std::uint64_t sum = 0;
  for (const MappedRun& run : runs_) sum += run.length;
  return sum;
}

std::vector<MappedRun> DiskMap::within(std::uint64_t offset, std::uint64_t length) const {
  std::vector<MappedRun> out;
  const std::uint64_t end = offset + length;
  auto it = std::ranges::upper_bound(runs_, offset, {}, &MappedRun::disk_offset);
  if (it != runs_.begin() && std::prev(it)->disk_end() > offset) --it;
  for (; it != runs_.end() && it->disk_offset < end; ++it) {
    const std::uint64_t start = std::max(offset, it->disk_offset);
    const std::uint64_t stop = std::min(end, it->disk_end());
    out.push_back({start, stop - start, it->plain_offset + (start - it->disk_offset)});
  }
  return out;
}

core::Status DescribedDisk::read_at(std::uint64_t offset, core::ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  std::ranges::fill(out, std::uint8_t{0});
  for (const MappedRun& run : map_.within(offset, out.size())) {
    IMPRINT_CHECK(plain_->read_at(run.plain_offset, out.subspan(run.disk_offset - offset, run.length)));
  }
  return {};
}

core::Result<std::optional<core::Extent>> DescribedDisk::next_data(std::uint64_t from) const {
  if (from >= size()) return std::optional<core::Extent>{};
  const auto& runs = map_.runs();
  auto it = std::ranges::upper_bound(runs, from, {}, &MappedRun::disk_offset);
  if (it != runs.begin() && std::prev(it)->disk_end() > from) {
    return std::optional<core::Extent>{core::Extent{from, std::prev(it)->disk_end() - from}};
  }
  if (it == runs.end()) return std::optional<core::Extent>{};
  return std::optional<core::Extent>{core::Extent{it->disk_offset, it->length}};
}

core::Result<std::uint64_t> disk_bytes_for(const Image& image, std::size_t index,
                                           std::optional<std::uint64_t> requested) {
  if (index >= image.stores.size())
    return fail("ffu.store-missing").with("store", index).with("stores", image.stores.size());
  if (requested) return *requested;
  if (index >= image.manifest.stores.size() || image.manifest.stores[index].min_disk_bytes() == 0) {
    return fail("ffu.disk-size-unknown").with("store", index);
  }
  return image.manifest.stores[index].min_disk_bytes();
}

}  // namespace imprint::ffu
