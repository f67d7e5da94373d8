// SPDX-License-Identifier: GPL-3.0-or-later
// Orders of writes, as descriptors without a place in a file yet.
#include "flash/ffu/write_order.hpp"

#include <algorithm>
#include <map>
#include <span>

#include "flash/ffu/writer.hpp"

namespace imprint::ffu {
namespace {

// Partition tables lie in the first and last 128 KiB: what Microsoft's images wipe first.
constexpr std::uint32_t kTableBytes = 131072;

void add(Store& store, std::uint32_t block_count, std::uint64_t plain_offset, std::span<const DiskLocation> locations) {
  store.descriptors.push_back({.block_count = block_count,
                               .location_count = static_cast<std::uint32_t>(locations.size()),
                               .first_location = static_cast<std::uint32_t>(store.locations.size()),
                               .plain_offset = plain_offset});
  store.locations.insert(store.locations.end(), locations.begin(), locations.end());
}

// The store without its writes.
Store emptied(const Store& store) {
  Store out = store;
  out.descriptors.clear();
  out.locations.clear();
  return out;
}

void set_one_phase(Store& store, std::uint32_t initial) {
  const auto count = static_cast<std::uint32_t>(store.descriptors.size());
  store.phases = {0, initial, initial, 0, initial, count - initial};
}

bool is_sortable(const Store& store, const WriteDescriptor& descriptor) {
  return descriptor.location_count == 1 &&
         store.locations[descriptor.first_location].method == AccessMethod::disk_begin;
}

// Whether a run of several blocks overlaps itself at two of its places, which are counted from the disk's start.
bool overlap(std::span<const DiskLocation> locations, std::uint32_t block_count) {
  if (block_count < 2 || locations.size() < 2) return false;
  std::vector<std::uint64_t> starts;
  for (const DiskLocation& location : locations) starts.push_back(location.block_index);
  std::ranges::sort(starts);
  return std::ranges::adjacent_find(starts, [&](auto a, auto b) { return b - a < block_count; }) != starts.end();
}

// Applies a stretch of sortable writes to a map of blocks, and adds what is left in the order of the disk, block by
// block, joined again where runs lie side by side in the payload.
void add_sorted(const Store& store, std::span<const WriteDescriptor> stretch, bool had_runs, Store& out) {
  std::map<std::uint32_t, std::uint64_t> last_write;  // block -> plain offset
  for (const WriteDescriptor& descriptor : stretch) {
    const std::uint32_t first = store.locations[descriptor.first_location].block_index;
    for (std::uint32_t i = 0; i < descriptor.block_count; ++i)
      last_write[first + i] = descriptor.plain_offset + std::uint64_t{i} * store.block_size;
  }
  for (auto it = last_write.begin(); it != last_write.end();) {
    const auto [block, offset] = *it;
    std::uint32_t count = 0;
    do {
      ++count;
      ++it;
    } while (had_runs && it != last_write.end() && it->first == block + count &&
             it->second == offset + std::uint64_t{count} * store.block_size);
    const DiskLocation location{AccessMethod::disk_begin, block};
    add(out, count, offset, std::span(&location, 1));
  }
}

}  // namespace

Store order_writes(std::uint64_t disk_bytes, std::uint32_t block_size, const core::ExtentSet& content,
                   const std::vector<core::Extent>& last) {
  Store store;
  store.block_size = block_size;
  const auto wipes = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(std::max<std::uint32_t>(1, kTableBytes / block_size), disk_bytes / block_size));
  for (std::uint32_t i = 0; i < wipes; ++i) {
    const DiskLocation both[] = {{AccessMethod::disk_begin, i}, {AccessMethod::disk_end, i}};
    add(store, 1, kZeros, both);
  }
  core::ExtentSet finals;
  for (const core::Extent& extent : last) finals.add(extent);
  finals = finals.aligned(block_size);
  const auto add_block = [&](std::uint64_t offset) {
    const bool tail = offset + block_size > disk_bytes;
    const DiskLocation location =
        tail ? DiskLocation{AccessMethod::disk_end, 0}
             : DiskLocation{AccessMethod::disk_begin, static_cast<std::uint32_t>(offset / block_size)};
    add(store, 1, tail ? disk_bytes - block_size : offset, std::span(&location, 1));
  };
  for (const core::Extent& extent : content.aligned(block_size).extents()) {
    for (std::uint64_t offset = extent.offset; offset < extent.end() && offset < disk_bytes; offset += block_size) {
      if (!finals.contains({offset, block_size})) add_block(offset);
    }
  }
  for (const core::Extent& extent : finals.extents()) {
    for (std::uint64_t offset = extent.offset; offset < extent.end() && offset < disk_bytes; offset += block_size)
      add_block(offset);
  }
  set_one_phase(store, wipes);
  return store;
}

Store in_disk_order(const Store& store) {
  Store out = emptied(store);
  const bool had_runs =
      std::ranges::any_of(store.descriptors, [](const WriteDescriptor& one) { return one.block_count > 1; });
  const std::span<const WriteDescriptor> all(store.descriptors);
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    while (end < all.size() && is_sortable(store, all[end])) ++end;
    if (end > i) add_sorted(store, all.subspan(i, end - i), had_runs, out);
    for (i = end; i < all.size() && !is_sortable(store, all[i]); ++i) {
      if (all[i].location_count > 0 && all[i].block_count > 0)
        add(out, all[i].block_count, all[i].plain_offset, store.locations_of(all[i]));
    }
  }
  set_one_phase(out, 0);
  return out;
}

Store in_single_blocks(const Store& store) {
  Store out = emptied(store);
  const auto add_blocks = [&](const WriteDescriptor& descriptor, std::vector<DiskLocation> locations) {
    for (std::uint32_t i = 0; i < descriptor.block_count; ++i) {
      const bool zeros = descriptor.plain_offset == kZeros;
      add(out, 1, zeros ? kZeros : descriptor.plain_offset + std::uint64_t{i} * store.block_size, locations);
      for (DiskLocation& location : locations) ++location.block_index;  // runs count from the disk's start only
    }
  };
  for (const WriteDescriptor& descriptor : store.descriptors) {
    const auto locations = store.locations_of(descriptor);
    if (!overlap(locations, descriptor.block_count)) {
      add_blocks(descriptor, {locations.begin(), locations.end()});
      continue;
    }
    // A run is written whole at one place after the other, so that the last place wins where they overlap.
    for (const DiskLocation& location : locations) add_blocks(descriptor, {location});
  }
  if (out.descriptors.size() != store.descriptors.size()) set_one_phase(out, 0);
  return out;
}

}  // namespace imprint::ffu
