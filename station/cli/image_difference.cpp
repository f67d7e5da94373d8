// SPDX-License-Identifier: GPL-3.0-or-later
// Two images as the disks that they describe, store by store.
#include "station/cli/image_difference.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/partition_table.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/unit_reader.hpp"

namespace imprint::station::cli {
namespace {

using ProgressCall = std::function<void(std::uint64_t, std::uint64_t)>;

// The disk of one store, with its table where it has one that can be read.
struct Side {
  std::shared_ptr<const ffu::DescribedDisk> disk;
  std::optional<disk::PartitionTable> table;
};

core::Result<std::uint64_t> disk_bytes(const FfuFile& file, const FfuFile& other, std::size_t index) {
  auto size = ffu::disk_bytes_for(file.image(), index, std::nullopt);
  if (size || size.error().id() != "ffu.disk-size-unknown") return size;
  return ffu::disk_bytes_for(other.image(), index, std::nullopt);
}

core::Result<Side> open_side(const FfuFile& file, const FfuFile& other, std::size_t index) {
  IMPRINT_TRY(const auto size, disk_bytes(file, other, index));
  IMPRINT_TRY(auto map, ffu::DiskMap::build(file.image().stores[index], size));
  auto plain = std::make_shared<ffu::PlainSource>(file.opened, file.file);
  Side side{std::make_shared<ffu::DescribedDisk>(std::move(map), std::move(plain)), std::nullopt};
  const auto& stores = file.image().manifest.stores;
  const std::uint32_t sector_size = index < stores.size() ? stores[index].sector_size : 512;
  if (auto table = disk::read_partition_table(*side.disk, sector_size)) side.table = std::move(*table);
  return side;
}

core::Extent place_of(const disk::PartitionTable& table, const disk::Partition& partition) {
  return {partition.first_sector * table.sector_size, partition.sector_count * table.sector_size};
}

// By name where that says which one is meant, by number otherwise.
const disk::Partition* counterpart(const disk::Partition& wanted, const disk::PartitionTable& own,
                                   const disk::PartitionTable& other) {
  const auto count = [&](const disk::PartitionTable& table) {
    return std::ranges::count(table.partitions, wanted.name, &disk::Partition::name);
  };
  const bool by_name = !wanted.name.empty() && count(own) == 1 && count(other) == 1;
  const auto found = std::ranges::find_if(other.partitions, [&](const disk::Partition& candidate) {
    return by_name ? candidate.name == wanted.name
                   : candidate.number == wanted.number && (candidate.name == wanted.name || count(other) == 0);
  });
  return found == other.partitions.end() ? nullptr : &*found;
}

core::ExtentSet described_by(const Side& side) {
  core::ExtentSet out;
  for (const ffu::MappedRun& run : side.disk->map().runs()) out.add({run.disk_offset, run.length});
  return out;
}

// The parts of `extents` (ascending, none overlapping) that are not in `taken`.
core::ExtentSet outside_of(const std::vector<core::Extent>& extents, const core::ExtentSet& taken) {
  core::ExtentSet out;
  for (const core::Extent& extent : extents) {
    std::uint64_t from = extent.offset;
    for (const core::Extent& inside : taken.within(extent)) {
      if (inside.offset > from) out.add({from, inside.offset - from});
      from = inside.end();
    }
    if (extent.end() > from) out.add({from, extent.end() - from});
  }
  return out;
}

core::Result<PartitionDifference> compare_partition(const disk::Partition& in_a, const Side& a,
                                                    const disk::Partition& in_b, const Side& b,
                                                    const std::vector<core::Extent>& extents,
                                                    const std::stop_token& stop) {
  const core::Extent place_a = place_of(*a.table, in_a);
  const core::Extent place_b = place_of(*b.table, in_b);
  PartitionDifference out{.number = in_a.number,
                          .name = in_a.name,
                          .moved = place_a.offset != place_b.offset,
                          .bytes_in_a = place_a.length,
                          .bytes_in_b = place_b.length,
                          .difference = {}};
  if (place_a == place_b) {
    out.difference = inspect::size_of(inspect::extents_within(extents, place_a));
  } else {
    IMPRINT_TRY(const auto bytes_a, disk::open_partition(a.disk, *a.table, in_a));
    IMPRINT_TRY(const auto bytes_b, disk::open_partition(b.disk, *b.table, in_b));
    IMPRINT_TRY(const auto differing, inspect::compare_disks(*bytes_a, *bytes_b, {}, stop));
    out.difference = inspect::size_of(differing);
  }
  const bool same = out.difference.bytes == 0 && out.bytes_in_a == out.bytes_in_b && in_a.type == in_b.type &&
                    in_a.mbr_type == in_b.mbr_type;
  out.state = same ? PartitionState::same : PartitionState::different;
  return out;
}

core::Status compare_partitions(const Side& a, const Side& b, const std::stop_token& stop, StoreDifference& out) {
  std::vector<const disk::Partition*> met;
  core::ExtentSet covered;
  for (const disk::Partition& partition : a.table->partitions) {
    covered.add(place_of(*a.table, partition));
    const disk::Partition* other = counterpart(partition, *a.table, *b.table);
    if (other == nullptr) {
      out.partitions.push_back({.number = partition.number,
                                .name = partition.name,
                                .state = PartitionState::only_in_a,
                                .bytes_in_a = place_of(*a.table, partition).length,
                                .difference = {}});
      continue;
    }
    met.push_back(other);
    IMPRINT_TRY(auto difference, compare_partition(partition, a, *other, b, out.extents, stop));
    out.partitions.push_back(std::move(difference));
  }
  for (const disk::Partition& partition : b.table->partitions) {
    if (std::ranges::find(met, &partition) != met.end()) continue;
    out.partitions.push_back({.number = partition.number,
                              .name = partition.name,
                              .state = PartitionState::only_in_b,
                              .bytes_in_b = place_of(*b.table, partition).length,
                              .difference = {}});
  }
  out.outside = inspect::size_of(outside_of(out.extents, covered).extents());
  return {};
}

core::Result<StoreDifference> compare_stores(const FfuFile& file_a, const FfuFile& file_b, std::size_t index,
                                             const ProgressCall& progress, const std::stop_token& stop) {
  IMPRINT_TRY(const Side a, open_side(file_a, file_b, index));
  IMPRINT_TRY(const Side b, open_side(file_b, file_a, index));
  StoreDifference out;
  out.disk_bytes_a = a.disk->size();
  out.disk_bytes_b = b.disk->size();
  IMPRINT_TRY(out.extents, inspect::compare_disks(*a.disk, *b.disk, progress, stop));
  const core::ExtentSet in_a = described_by(a);
  const core::ExtentSet in_b = described_by(b);
  out.described_only_in_a = outside_of(in_a.extents(), in_b).extents();
  out.described_only_in_b = outside_of(in_b.extents(), in_a).extents();
  out.has_tables = a.table && b.table;
  if (out.has_tables) IMPRINT_CHECK(compare_partitions(a, b, stop, out));
  return out;
}

void note(std::vector<FactDifference>& facts, std::string fact, std::string a, std::string b) {
  if (a != b) facts.push_back({std::move(fact), std::move(a), std::move(b)});
}

// The entries one after the other with the data that each asks for, wherever in the table that lies.
std::string validation_text(const ffu::Store& store) {
  if (store.validation.empty()) return "none";
  core::Sha256Stream digest;
  for (const ffu::ValidationEntry& entry : store.validation) {
    core::ByteWriter fields;
    fields.le(entry.sector_index);
    fields.le(entry.sector_offset);
    fields.le(entry.data_size);
    digest.update(fields.buffer());
    digest.update(store.data_of(entry));
  }
  return fmt::format("{}, SHA-256 of what they ask {}", store.validation.size(), core::to_hex(digest.finish()));
}

std::string partitions_text(const ffu::ManifestStore& store) {
  std::vector<std::string> out;
  out.reserve(store.partitions.size());
  for (const ffu::ManifestPartition& partition : store.partitions) {
    out.push_back(fmt::format("{} {} {}", partition.name, partition.file_system.empty() ? "raw" : partition.file_system,
                              partition.use_all_space ? std::string("rest") : std::to_string(partition.total_sectors)));
  }
  return fmt::format("{}", fmt::join(out, ", "));
}

std::string update_text(const ffu::Store& store) {
  return store.update_type == ffu::UpdateType::full ? "full" : "partial";
}

std::string targets_text(const ffu::Image& image) {
  std::vector<std::string> out;
  out.reserve(image.targets.size());
  for (const ffu::DeviceTarget& one : image.targets) {
    const auto fields = {one.manufacturer,     one.family,     one.product_name,
                         one.product_version,  one.sku_number, one.baseboard_manufacturer,
                         one.baseboard_product};
    out.push_back(fmt::format("{}", fmt::join(fields, "/")));
  }
  return fmt::format("{}", fmt::join(out, ", "));
}

std::vector<FactDifference> compare_facts(const ffu::Image& a, const ffu::Image& b) {
  std::vector<FactDifference> out;
  const auto form = [](const ffu::Image& image) { return std::string(ffu::to_string(image.form)); };
  note(out, "form", form(a), form(b));
  note(out, "size of the file", std::to_string(a.file_size), std::to_string(b.file_size));
  note(out, "chunk size", std::to_string(a.chunk_size), std::to_string(b.chunk_size));
  note(out, "platform ids", fmt::format("{}", fmt::join(a.platform_ids(), ", ")),
       fmt::format("{}", fmt::join(b.platform_ids(), ", ")));
  note(out, "device targets", targets_text(a), targets_text(b));
  note(out, "description", a.manifest.description, b.manifest.description);
  note(out, "OS version", a.manifest.os_version, b.manifest.os_version);
  note(out, "stores", std::to_string(a.stores.size()), std::to_string(b.stores.size()));
  for (std::size_t i = 0; i < std::min(a.stores.size(), b.stores.size()); ++i) {
    const auto named = [&](std::string_view fact) { return fmt::format("store {}: {}", i, fact); };
    const ffu::Store& in_a = a.stores[i];
    const ffu::Store& in_b = b.stores[i];
    note(out, named("update"), update_text(in_a), update_text(in_b));
    const std::size_t before = out.size();
    note(out, named("validation entries"), validation_text(in_a), validation_text(in_b));
    if (out.size() != before) out.back().of_contents = true;
    note(out, named("device path"), in_a.device_path, in_b.device_path);
    note(out, named("block size"), std::to_string(in_a.block_size), std::to_string(in_b.block_size));
    note(out, named("writes"), std::to_string(in_a.descriptors.size()), std::to_string(in_b.descriptors.size()));
    if (i >= a.manifest.stores.size() || i >= b.manifest.stores.size()) continue;
    const ffu::ManifestStore& manifest_a = a.manifest.stores[i];
    const ffu::ManifestStore& manifest_b = b.manifest.stores[i];
    note(out, named("sector size"), std::to_string(manifest_a.sector_size), std::to_string(manifest_b.sector_size));
    note(out, named("smallest disk"), std::to_string(manifest_a.min_disk_bytes()),
         std::to_string(manifest_b.min_disk_bytes()));
    note(out, named("partitions of the manifest"), partitions_text(manifest_a), partitions_text(manifest_b));
  }
  return out;
}

}  // namespace

bool ImageDifference::same_contents() const {
  const auto is_same = [](const StoreDifference& store) {
    return store.extents.empty() && store.described_only_in_a.empty() && store.described_only_in_b.empty();
  };
  return stores_in_a == stores_in_b && std::ranges::none_of(facts, &FactDifference::of_contents) &&
         std::ranges::all_of(stores, is_same);
}

core::Result<ImageDifference> compare_images(const FfuFile& a, const FfuFile& b, const ProgressCall& progress,
                                             const std::stop_token& stop) {
  ImageDifference out{.facts = compare_facts(a.image(), b.image()),
                      .stores = {},
                      .stores_in_a = a.image().stores.size(),
                      .stores_in_b = b.image().stores.size()};
  for (std::size_t i = 0; i < std::min(out.stores_in_a, out.stores_in_b); ++i) {
    IMPRINT_TRY(auto store, compare_stores(a, b, i, progress, stop));
    out.stores.push_back(std::move(store));
  }
  return out;
}

}  // namespace imprint::station::cli
