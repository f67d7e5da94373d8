// SPDX-License-Identifier: GPL-3.0-or-later
// Judges a disk's partition table and file systems against a DeviceLayout.xml. Rules of the layout schema:
// windows-iotcore-docs, "Device layout"; how its elements become attributes: docs/formats.md.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flash/core/text.hpp"
#include "flash/inspect/disk_view.hpp"
#include "flash/inspect/rules.hpp"

namespace imprint::inspect {
namespace {

constexpr std::uint64_t kHidden = 0x4000000000000000;
constexpr std::uint64_t kReadOnly = 0x1000000000000000;
constexpr std::uint64_t kNoDriveLetter = 0x8000000000000000;
constexpr std::uint64_t kSchemaSectorSize = 512;  // MinSectorCount counts these whatever the disk's sectors are
constexpr std::uint64_t kDefaultAlignment = 65536;

// A partition of the layout and the entry of the table that plays it.
struct Pair {
  const disk::LayoutPartition* wanted;
  const disk::Partition* found;  // nullptr: missing
};

// GPT entries are found by name. An MBR has none: its entries play the layout's partitions in the order of the disk.
std::vector<Pair> pair_up(const disk::DeviceLayout& layout, const disk::PartitionTable& table) {
  std::vector<Pair> pairs;
  pairs.reserve(layout.partitions.size());
  if (table.style == disk::TableStyle::gpt) {
    for (const auto& wanted : layout.partitions) pairs.push_back({&wanted, table.find(wanted.name)});
    return pairs;
  }
  std::vector<const disk::Partition*> entries;
  for (const auto& partition : table.partitions) {
    if (!is_container(table, partition)) entries.push_back(&partition);
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto* a, const auto* b) { return a->first_sector < b->first_sector; });
  for (std::size_t i = 0; i < layout.partitions.size(); ++i) {
    pairs.push_back({&layout.partitions[i], i < entries.size() ? entries[i] : nullptr});
  }
  return pairs;
}

std::string_view to_text(disk::TableStyle style) { return style == disk::TableStyle::gpt ? "GPT" : "MBR"; }

void judge_disk(CheckList& checks, const Disk& disk, const disk::DeviceLayout& layout,
                const std::optional<disk::DevicePlatform>& platform) {
  checks.judge("layout.sector-size", disk.sector_size == layout.sector_size,
               fmt::format("{} bytes", layout.sector_size), fmt::format("{} bytes", disk.sector_size));
  if (!platform || !disk.bytes) return;
  std::uint64_t wanted = 0;
  const bool fits = core::checked_mul(platform->min_sector_count, kSchemaSectorSize, wanted);
  checks.judge("layout.disk-size", fits && disk.bytes->size() >= wanted,
               fmt::format("at least {} sectors of 512 bytes", platform->min_sector_count),
               fmt::format("{} bytes", disk.bytes->size()));
}

void judge_gpt_copy(CheckList& checks, ErrorId check, const core::Result<disk::PartitionTable>& copy) {
  if (copy) {
    checks.pass(check, "a sound copy", fmt::format("{} partitions", copy->partitions.size()));
  } else {
    checks.fail_or_skip(check, "a sound copy", copy.error());
  }
}

void judge_gpt_copies(CheckList& checks, const Disk& disk) {
  if (!disk.bytes) return;
  const auto copies = disk::read_gpt_copies(*disk.bytes, disk.sector_size);
  if (!copies) {
    for (const ErrorId check :
         {ErrorId("layout.gpt-primary"), ErrorId("layout.gpt-backup"), ErrorId("layout.protective-mbr")}) {
      checks.fail_or_skip(check, "a sound copy", copies.error());
    }
    return;
  }
  judge_gpt_copy(checks, "layout.gpt-primary", copies->primary);
  judge_gpt_copy(checks, "layout.gpt-backup", copies->backup);
  checks.judge("layout.protective-mbr", copies->protective_mbr, "present",
               copies->protective_mbr ? "present" : "missing");
  if (!copies->primary || !copies->backup) {
    checks.not_checked("layout.gpt-agree", "only two sound copies can be compared");
  } else {
    checks.judge("layout.gpt-agree", copies->agree, "the same disk and partitions in both copies",
                 copies->agree ? "the same" : "different");
  }
  if (copies->primary && copies->backup && disk.sector_size != 0) {
    const std::uint64_t last = disk.bytes->size() / disk.sector_size - 1;
    checks.judge("layout.gpt-backup-position", copies->backup_sector == last, fmt::format("sector {}", last),
                 fmt::format("sector {}", copies->backup_sector));
  }
}

void judge_order(CheckList& checks, const std::vector<Pair>& pairs) {
  const disk::Partition* before = nullptr;
  bool judged = false;
  for (const Pair& pair : pairs) {
    if (pair.found == nullptr) continue;
    if (before != nullptr) {
      const bool good = before->first_sector < pair.found->first_sector && before->number < pair.found->number;
      judged = true;
      checks.judge("layout.partition-order", good, fmt::format("{} after {}", pair.wanted->name, describe(*before)),
                   fmt::format("{} at sector {}, {} at sector {}", describe(*before), before->first_sector,
                               describe(*pair.found), pair.found->first_sector));
    }
    before = pair.found;
  }
  if (!judged) checks.pass("layout.partition-order", "the layout's order", "no two partitions to compare");
}

void judge_type(CheckList& checks, const Pair& pair, disk::TableStyle style) {
  const auto& wanted = *pair.wanted;
  const std::string expected = fmt::format("{} {}", wanted.name, core::to_lower_ascii(wanted.type));
  if (style == disk::TableStyle::gpt) {
    const auto type = core::Guid::parse(wanted.type);
    checks.judge("layout.partition-type", type && *type == pair.found->type, expected,
                 fmt::format("{} {}", wanted.name, pair.found->type.braced()));
  } else {
    const auto type = core::parse_number(wanted.type);
    checks.judge("layout.partition-type", type && *type == pair.found->mbr_type, expected,
                 fmt::format("{} 0x{:02x}", wanted.name, pair.found->mbr_type));
  }
}

void judge_id(CheckList& checks, const Pair& pair, const disk::PartitionTable& table) {
  const core::Guid& id = pair.found->id;
  const auto same = std::count_if(table.partitions.begin(), table.partitions.end(),
                                  [&](const disk::Partition& other) { return other.id == id; });
  const bool as_wanted = !pair.wanted->id || *pair.wanted->id == id;
  checks.judge(
      "layout.partition-id", as_wanted && same == 1 && !id.is_zero(),
      fmt::format("{} {}", pair.wanted->name, pair.wanted->id ? pair.wanted->id->braced() : "an id of its own"),
      fmt::format("{} {}{}", pair.wanted->name, id.braced(), same > 1 ? ", used twice" : ""));
}

std::uint64_t alignment_of(const disk::LayoutPartition& wanted, const disk::DeviceLayout& layout) {
  if (wanted.byte_alignment != 0) return wanted.byte_alignment;
  return layout.default_partition_byte_alignment != 0 ? layout.default_partition_byte_alignment : kDefaultAlignment;
}

bool takes_all_space(const disk::Partition& found, const disk::PartitionTable& table) {
  std::uint64_t end = 0;
  if (!core::checked_add(found.first_sector, found.sector_count, end) || end == 0) return false;
  return end >= disk::all_space_end(table) && end - 1 <= table.last_usable_sector;
}

// The size that the platform gives MMOS instead of what the layout says about it; 0: none.
std::uint64_t size_override(const disk::LayoutPartition& wanted, const std::optional<disk::DevicePlatform>& platform) {
  return platform && core::equals_ignoring_case(wanted.name, "MMOS") ? platform->mmos_total_sectors_override : 0;
}

void judge_size(CheckList& checks, const Pair& pair, const disk::PartitionTable& table,
                const std::optional<disk::DevicePlatform>& platform) {
  const auto& wanted = *pair.wanted;
  const std::uint64_t replaced = size_override(wanted, platform);
  const std::uint64_t exact = replaced != 0 ? replaced : wanted.total_sectors;
  const std::uint64_t count = pair.found->sector_count;
  const std::string actual = fmt::format("{} {} sectors", wanted.name, count);
  if (wanted.use_all_space && replaced == 0) {
    checks.judge("layout.partition-size", takes_all_space(*pair.found, table),
                 fmt::format("{} with its end between sector {} and the last usable sector {}", wanted.name,
                             disk::all_space_end(table), table.last_usable_sector),
                 fmt::format("{} sectors {} to {}", wanted.name, pair.found->first_sector,
                             pair.found->first_sector + (count > 0 ? count - 1 : 0)));
  } else if (exact != 0) {
    checks.judge("layout.partition-size", count == exact, fmt::format("{} {} sectors", wanted.name, exact), actual);
  } else {
    checks.judge(
        "layout.partition-size", count >= std::max<std::uint64_t>(wanted.min_free_sectors, 1),
        fmt::format("{} at least {} sectors", wanted.name, std::max<std::uint64_t>(wanted.min_free_sectors, 1)),
        actual);
  }
}

// A fixed offset stands instead of the alignment, as it does when the image is built.
void judge_alignment(CheckList& checks, const Pair& pair, const disk::DeviceLayout& layout, std::uint32_t sector_size) {
  const std::uint64_t offset = pair.wanted->offset_in_sectors;
  if (offset != 0) {
    checks.judge("layout.partition-alignment", pair.found->first_sector == offset,
                 fmt::format("{} at sector {}", pair.wanted->name, offset),
                 fmt::format("{} at sector {}", pair.wanted->name, pair.found->first_sector));
    return;
  }
  const std::uint64_t alignment = alignment_of(*pair.wanted, layout);
  std::uint64_t begin = 0;
  const bool good = core::checked_mul(pair.found->first_sector, sector_size, begin) && begin % alignment == 0;
  checks.judge("layout.partition-alignment", good,
               fmt::format("{} at a multiple of 0x{:x} bytes", pair.wanted->name, alignment),
               fmt::format("{} at sector {} of {} bytes", pair.wanted->name, pair.found->first_sector, sector_size));
}

void judge_attributes(CheckList& checks, const Pair& pair, disk::TableStyle style) {
  const auto& wanted = *pair.wanted;
  if (style == disk::TableStyle::mbr) {
    const auto text = [&](bool active) { return fmt::format("{} {}", wanted.name, active ? "active" : "not active"); };
    checks.judge("layout.partition-attributes", wanted.bootable == pair.found->bootable, text(wanted.bootable),
                 text(pair.found->bootable));
    return;
  }
  const std::uint64_t expected = (wanted.hidden ? kHidden : 0) | (wanted.read_only ? kReadOnly : 0) |
                                 (wanted.attach_drive_letter ? 0 : kNoDriveLetter);
  checks.judge("layout.partition-attributes", pair.found->attributes == expected,
               fmt::format("{} 0x{:016x}", wanted.name, expected),
               fmt::format("{} 0x{:016x}", wanted.name, pair.found->attributes));
}

bool is_wanted_kind(disk::LayoutFileSystem wanted, disk::FileSystem kind) {
  switch (wanted) {
    case disk::LayoutFileSystem::none:
      return true;
    case disk::LayoutFileSystem::fat:
      return kind == disk::FileSystem::fat12 || kind == disk::FileSystem::fat16;
    case disk::LayoutFileSystem::fat32:
      return kind == disk::FileSystem::fat32;
    case disk::LayoutFileSystem::ntfs:
      return kind == disk::FileSystem::ntfs;
  }
  return false;
}

std::string_view to_text(disk::LayoutFileSystem kind) {
  switch (kind) {
    case disk::LayoutFileSystem::none:
      return "any";
    case disk::LayoutFileSystem::fat:
      return "FAT12 or FAT16";
    case disk::LayoutFileSystem::fat32:
      return "FAT32";
    case disk::LayoutFileSystem::ntfs:
      return "NTFS";
  }
  return "any";
}

bool asks_for_file_system(const disk::LayoutPartition& wanted) {
  return wanted.file_system != disk::LayoutFileSystem::none;
}

bool asks_for_cluster_size(const disk::LayoutPartition& wanted) {
  return wanted.cluster_size != 0 && asks_for_file_system(wanted);
}

bool asks_for_free_space(const disk::LayoutPartition& wanted, const std::optional<disk::DevicePlatform>& platform) {
  return wanted.min_free_sectors != 0 && size_override(wanted, platform) == 0;
}

void judge_free_space(CheckList& checks, const disk::LayoutPartition& wanted, const disk::VolumeInfo& info,
                      std::uint32_t sector_size, const std::optional<disk::DevicePlatform>& platform) {
  const std::uint64_t sectors = disk::guaranteed_free_sectors(wanted, platform.value_or(disk::DevicePlatform{}));
  std::uint64_t bytes = 0;
  const bool counted = core::checked_mul(sectors, sector_size, bytes);
  checks.judge("layout.free-space", counted && info.free >= bytes,
               counted ? fmt::format("{} at least {} bytes free", wanted.name, bytes)
                       : fmt::format("{} with more bytes free than can be counted", wanted.name),
               fmt::format("{} {} bytes free", wanted.name, info.free));
}

// What only the opened volume shows: its kind, its clusters and its free space.
void judge_volume(CheckList& checks, const Pair& pair, const DiskView& view,
                  const std::optional<disk::DevicePlatform>& platform) {
  const auto& wanted = *pair.wanted;
  const bool free_space = asks_for_free_space(wanted, platform);
  if (!asks_for_file_system(wanted) && !free_space) return;
  const std::string expected = fmt::format("{} {}", wanted.name, to_text(wanted.file_system));
  const auto volume = view.open(*pair.found);
  if (!volume) {
    const std::string reason = fmt::format("{} could not be opened: {}", wanted.name, volume.error().id());
    if (asks_for_file_system(wanted)) {
      checks.fail_or_skip("layout.file-system", expected, volume.error(), wanted.name);
    }
    if (asks_for_cluster_size(wanted)) checks.not_checked("layout.cluster-size", reason, wanted.name);
    if (free_space) checks.not_checked("layout.free-space", reason, wanted.name);
    return;
  }
  const disk::VolumeInfo& info = (*volume)->info();
  if (asks_for_file_system(wanted)) {
    checks.judge("layout.file-system", is_wanted_kind(wanted.file_system, info.kind), expected,
                 fmt::format("{} {}", wanted.name, disk::to_string(info.kind)));
  }
  if (asks_for_cluster_size(wanted)) {
    checks.judge("layout.cluster-size", info.cluster_size == wanted.cluster_size,
                 fmt::format("{} {} bytes", wanted.name, wanted.cluster_size),
                 fmt::format("{} {} bytes", wanted.name, info.cluster_size));
  }
  if (free_space) judge_free_space(checks, wanted, info, view.disk().sector_size, platform);
}

// A check that the layout asks of no partition is passed, not left open.
void pass_unasked(CheckList& checks, const disk::DeviceLayout& layout,
                  const std::optional<disk::DevicePlatform>& platform) {
  const auto none = [&](auto&& asks) { return std::ranges::none_of(layout.partitions, asks); };
  const auto pass = [&](ErrorId check) { checks.pass(check, "none asked for", "none looked at"); };
  if (none(asks_for_file_system)) pass("layout.file-system");
  if (none(asks_for_cluster_size)) pass("layout.cluster-size");
  if (none([&](const auto& wanted) { return asks_for_free_space(wanted, platform); })) pass("layout.free-space");
}

void judge_unexpected(CheckList& checks, const std::vector<Pair>& pairs, const disk::PartitionTable& table) {
  bool any = false;
  for (const disk::Partition& partition : table.partitions) {
    const bool known = std::any_of(pairs.begin(), pairs.end(), [&](const Pair& p) { return p.found == &partition; });
    if (known || is_container(table, partition)) continue;
    any = true;
    checks.fail("layout.partition-unexpected", "only the layout's partitions",
                fmt::format("{} at sector {}", describe(partition), partition.first_sector));
  }
  if (!any) checks.pass("layout.partition-unexpected", "only the layout's partitions", "none");
}

void skip_missing(CheckList& checks, const Pair& pair, const std::optional<disk::DevicePlatform>& platform) {
  checks.fail("layout.partition-missing", pair.wanted->name, fmt::format("{} is not in the table", pair.wanted->name));
  const std::string reason = pair.wanted->name + " is missing";
  for (const ErrorId check :
       {ErrorId("layout.partition-type"), ErrorId("layout.partition-size"), ErrorId("layout.partition-alignment"),
        ErrorId("layout.partition-attributes"), ErrorId("layout.partition-id")}) {
    checks.not_checked(check, reason, pair.wanted->name);
  }
  const auto skip_if = [&](bool asked, ErrorId check) {
    if (asked) checks.not_checked(check, reason, pair.wanted->name);
  };
  skip_if(asks_for_file_system(*pair.wanted), "layout.file-system");
  skip_if(asks_for_cluster_size(*pair.wanted), "layout.cluster-size");
  skip_if(asks_for_free_space(*pair.wanted, platform), "layout.free-space");
}

void judge_partitions(CheckList& checks, const DiskView& view, const disk::DeviceLayout& layout,
                      const std::optional<disk::DevicePlatform>& platform) {
  const disk::PartitionTable& table = *view.table();
  const std::vector<Pair> pairs = pair_up(layout, table);
  for (const Pair& pair : pairs) {
    if (pair.found == nullptr) {
      skip_missing(checks, pair, platform);
      continue;
    }
    checks.pass("layout.partition-missing", pair.wanted->name, describe(*pair.found));
    judge_type(checks, pair, table.style);
    if (table.style == disk::TableStyle::gpt) judge_id(checks, pair, table);
    judge_size(checks, pair, table, platform);
    judge_alignment(checks, pair, layout, view.disk().sector_size);
    judge_attributes(checks, pair, table.style);
    judge_volume(checks, pair, view, platform);
  }
  judge_order(checks, pairs);
  judge_unexpected(checks, pairs, table);
  pass_unasked(checks, layout, platform);
}

// The checks that this kind of input gets. An MBR has no second copy and its partitions have no ids.
CheckList layout_checks(const std::string& source, disk::TableStyle style, bool with_platform) {
  std::vector<CheckList::Entry> set = {"layout.table-readable",
                                       "layout.table-style",
                                       "layout.sector-size",
                                       "layout.disk-size",
                                       "layout.gpt-primary",
                                       "layout.gpt-backup",
                                       {"layout.gpt-backup-position", Severity::warning},
                                       "layout.gpt-agree",
                                       "layout.protective-mbr",
                                       "layout.partition-missing",
                                       "layout.partition-order",
                                       "layout.partition-type",
                                       "layout.partition-id",
                                       "layout.partition-size",
                                       "layout.partition-alignment",
                                       "layout.partition-attributes",
                                       "layout.file-system",
                                       "layout.cluster-size",
                                       "layout.free-space",
                                       {"layout.partition-unexpected", Severity::warning}};
  std::erase_if(set, [&](const CheckList::Entry& entry) {
    const std::string_view id = entry.id.row().id;
    if (id == "layout.disk-size") return !with_platform;
    const bool of_gpt = id.starts_with("layout.gpt-") || id == "layout.protective-mbr" || id == "layout.partition-id";
    return of_gpt && style != disk::TableStyle::gpt;
  });
  return {source, std::move(set)};
}

}  // namespace

Report inspect_layout(const Disk& disk, const disk::DeviceLayout& layout,
                      const std::optional<disk::DevicePlatform>& platform) {
  const disk::TableStyle style = layout.style();
  CheckList checks = layout_checks(disk.name, style, platform.has_value());
  judge_disk(checks, disk, layout, platform);
  const DiskView view(disk);
  if (style == disk::TableStyle::gpt) judge_gpt_copies(checks, disk);
  if (!view.judge_table(checks)) return checks.finish("the partition table could not be read");
  const disk::TableStyle actual = view.table()->style;
  checks.judge("layout.table-style", actual == style, std::string(to_text(style)), std::string(to_text(actual)));
  if (actual != style) return checks.finish("the partition table is not of the layout's style");
  judge_partitions(checks, view, layout, platform);
  return checks.finish("a step before it failed");
}

}  // namespace imprint::inspect
