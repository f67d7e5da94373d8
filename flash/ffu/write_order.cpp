// SPDX-License-Identifier: GPL-3.0-or-later
// Orders of writes, as descriptors without a place in a file yet.
#include "flash/ffu/write_order.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"
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

bool has_effect(const WriteDescriptor& descriptor) {
  return descriptor.location_count > 0 && descriptor.block_count > 0;
}

bool is_sortable(const Store& store, const WriteDescriptor& descriptor) {
  if (!has_effect(descriptor)) return true;
  return descriptor.location_count == 1 && descriptor.plain_offset != kZeros &&
         store.locations[descriptor.first_location].method == AccessMethod::disk_begin;
}

constexpr std::string_view kTooMany = "taken apart, it has more writes than any reader takes";

core::Status check_counts(const Store& store) {
  if (store.descriptors.size() > format::kMaxDescriptors || store.locations.size() > format::kMaxLocations)
    return fail("ffu.unwritable", std::string(kTooMany));
  return {};
}

// What a stretch of sortable writes leaves behind, in the order of the disk but for the place of the first partition
// table, which comes last. Runs stay runs where there were some.
core::Status add_sorted(const Store& store, std::span<const WriteDescriptor> stretch, bool had_runs, Store& out) {
  Store part;
  part.block_size = store.block_size;
  for (const WriteDescriptor& descriptor : stretch) {
    if (has_effect(descriptor))
      add(part, descriptor.block_count, descriptor.plain_offset, store.locations_of(descriptor));
  }
  IMPRINT_TRY(const auto map, DiskMap::build(part, (1ULL << 32) * store.block_size));
  const auto add_part = [&](std::uint64_t from, std::uint64_t to) -> core::Status {
    for (const MappedRun& run : map.within(from, to - from)) {
      const std::uint64_t blocks = run.length / store.block_size;
      const std::uint64_t step = had_runs ? blocks : 1;
      for (std::uint64_t i = 0; i < blocks; i += step) {
        const DiskLocation location{AccessMethod::disk_begin,
                                    static_cast<std::uint32_t>(run.disk_offset / store.block_size + i)};
        add(out, static_cast<std::uint32_t>(step), run.plain_offset + i * store.block_size, std::span(&location, 1));
        if (i % 4096 == 0) IMPRINT_CHECK(check_counts(out));
      }
    }
    return {};
  };
  const std::uint64_t table_end = std::max(kTableBytes, store.block_size);
  IMPRINT_CHECK(add_part(table_end, map.disk_bytes()));
  return add_part(0, table_end);
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
  if (content.contains({0, 1})) finals.add({0, 1});  // also of a disk without a table
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
  // What lies at the disk's start comes last of all: the disk counts as whole by its first sector.
  const auto add_extent = [&](const core::Extent& extent) {
    for (std::uint64_t offset = extent.offset; offset < extent.end() && offset < disk_bytes; offset += block_size)
      add_block(offset);
  };
  for (const core::Extent& extent : finals.extents()) {
    if (extent.offset != 0) add_extent(extent);
  }
  for (const core::Extent& extent : finals.extents()) {
    if (extent.offset == 0) add_extent(extent);
  }
  set_one_phase(store, wipes);
  return store;
}

core::Result<Store> in_disk_order(const Store& store) {
  Store out = emptied(store);
  const bool had_runs =
      std::ranges::any_of(store.descriptors, [](const WriteDescriptor& one) { return one.block_count > 1; });
  const std::span<const WriteDescriptor> all(store.descriptors);
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    while (end < all.size() && is_sortable(store, all[end])) ++end;
    if (end > i) IMPRINT_CHECK(add_sorted(store, all.subspan(i, end - i), had_runs, out));
    for (i = end; i < all.size() && !is_sortable(store, all[i]); ++i) {
      add(out, all[i].block_count, all[i].plain_offset, store.locations_of(all[i]));
    }
  }
  IMPRINT_CHECK(check_counts(out));
  set_one_phase(out, 0);
  return out;
}

core::Result<Store> in_single_blocks(const Store& store) {
  Store out = emptied(store);
  const auto add_blocks = [&](const WriteDescriptor& descriptor, std::span<const DiskLocation> at) -> core::Status {
    std::vector<DiskLocation> places(at.begin(), at.end());
    for (std::uint32_t i = 0; i < descriptor.block_count; ++i) {
      const bool zeros = descriptor.plain_offset == kZeros;
      add(out, 1, zeros ? kZeros : descriptor.plain_offset + std::uint64_t{i} * store.block_size, places);
      IMPRINT_CHECK(check_counts(out));
      for (DiskLocation& place : places) ++place.block_index;  // runs count from the disk's start only
    }
    return {};
  };
  for (const WriteDescriptor& descriptor : store.descriptors) {
    const auto places = store.locations_of(descriptor);
    if (overlaps_itself(places, descriptor.block_count)) return fail("ffu.run-overlap");
    IMPRINT_CHECK(add_blocks(descriptor, places));
  }
  if (out.descriptors.size() != store.descriptors.size()) set_one_phase(out, 0);
  return out;
}

}  // namespace imprint::ffu
