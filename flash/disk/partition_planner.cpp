// SPDX-License-Identifier: GPL-3.0-or-later
// Turns a layout and a disk size into first sectors and sizes, as the kit's own images have them: the part of
// device_layout.hpp that computes instead of parsing.
#include <algorithm>
#include <array>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/device_layout.hpp"
#include "flash/disk/errors.hpp"

namespace imprint::disk {
namespace {

using core::Result;
using core::Status;

constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kGptEntryBytes = 128ULL * 128;
constexpr std::uint64_t kAttributeReadOnly = 0x1000000000000000;
constexpr std::uint64_t kAttributeHidden = 0x4000000000000000;
constexpr std::uint64_t kAttributeNoDriveLetter = 0x8000000000000000;
// What Windows' own formatter asks for at least.
constexpr std::uint64_t kMinFatOrNtfsBytes = 7340032;
constexpr std::uint64_t kMinFat32Bytes = 34603008;

bool is_main_os(const LayoutPartition& partition) { return core::equals_ignoring_case(partition.name, "MainOS"); }

// A disk being filled from its start.
class Planner {
 public:
  Planner(const DeviceLayout& layout, const DevicePlatform& platform, const std::vector<std::uint64_t>& content)
      : layout_(layout), platform_(platform), content_(content), sector_(layout.sector_size) {}

  [[nodiscard]] Result<PartitionTable> plan();

 private:
  [[nodiscard]] Status start_table();
  [[nodiscard]] Status place(std::size_t index);
  [[nodiscard]] std::uint64_t wanted_sectors(std::size_t index) const;
  [[nodiscard]] core::Failure does_not_fit(const LayoutPartition& partition, std::uint64_t wanted) const;
  void describe(std::size_t index, Partition& out) const;

  const DeviceLayout& layout_;
  const DevicePlatform& platform_;
  const std::vector<std::uint64_t>& content_;
  std::uint64_t sector_;  // bytes
  PartitionTable table_;
  std::uint64_t cursor_ = 0;  // the first sector that is still free
  std::uint64_t end_ = 0;     // one past the last sector that may be used
};

Status Planner::start_table() {
  const std::uint64_t disk_bytes = platform_.min_sector_count * 512;  // at most 2^41: min_sector_count is a u32
  const std::uint64_t disk_sectors = disk_bytes / sector_;
  table_.style = layout_.style();
  table_.sector_size = layout_.sector_size;
  const std::uint64_t entry_sectors = core::round_up(kGptEntryBytes, sector_) / sector_;
  const std::uint64_t metadata = table_.style == TableStyle::gpt ? 2 * entry_sectors + 3 : 1;
  if (disk_sectors * sector_ <= 2 * kMiB || disk_sectors <= metadata) {
    return fail("layout.does-not-fit", "the disk is too small for a partition table").with("actual", disk_bytes);
  }
  if (table_.style == TableStyle::gpt) {
    table_.disk_id = default_disk_id();
    table_.first_usable_sector = 2 + entry_sectors;
    table_.last_usable_sector = disk_sectors - entry_sectors - 2;
  } else {
    table_.mbr_signature = kDefaultMbrSignature;
    table_.first_usable_sector = 1;
    table_.last_usable_sector = std::min<std::uint64_t>(disk_sectors - 1, 0xFFFFFFFE);
  }
  cursor_ = core::round_up(kMiB, sector_) / sector_;
  cursor_ = std::max(cursor_, table_.first_usable_sector);
  end_ = table_.last_usable_sector + 1;
  return {};
}

std::uint64_t Planner::wanted_sectors(std::size_t index) const {
  const LayoutPartition& partition = layout_.partitions[index];
  if (core::equals_ignoring_case(partition.name, "MMOS") && platform_.mmos_total_sectors_override != 0) {
    return platform_.mmos_total_sectors_override;
  }
  if (partition.use_all_space) {
    const std::uint64_t end = all_space_end(table_);
    return end > cursor_ ? end - cursor_ : 0;
  }
  if (partition.min_free_sectors == 0) return partition.total_sectors;
  const std::uint64_t free = guaranteed_free_sectors(partition, platform_);
  // Content beyond any disk would overflow below; it cannot fit anyway.
  const std::uint64_t content = index < content_.size() ? std::min<std::uint64_t>(content_[index], 1ULL << 50) : 0;
  std::uint64_t bytes = content + free * sector_;
  if (is_main_os(partition)) bytes += bytes / 25;  // Windows' own image builder leaves 4 % on MainOS
  return core::round_up(bytes, kMiB) / sector_;
}

core::Failure Planner::does_not_fit(const LayoutPartition& partition, std::uint64_t wanted) const {
  return fail("layout.does-not-fit", "partition " + partition.name)
      .with("partition", partition.name)
      .with("needed_sectors", wanted)
      .with("free_sectors", end_ > cursor_ ? end_ - cursor_ : 0);
}

void Planner::describe(std::size_t index, Partition& out) const {
  const LayoutPartition& partition = layout_.partitions[index];
  out.name = partition.name;
  out.number = static_cast<std::uint32_t>(index + 1);
  if (table_.style == TableStyle::mbr) {
    if (index >= 3) out.number = static_cast<std::uint32_t>(index + 2);
    out.mbr_type = static_cast<std::uint8_t>(core::parse_number(partition.type).value_or(0));
    out.bootable = partition.bootable;
    return;
  }
  out.type = core::Guid::parse(partition.type).value_or(core::Guid{});
  out.id = partition.id.value_or(default_partition_id(partition.name));
  if (partition.hidden) out.attributes |= kAttributeHidden;
  if (partition.read_only) out.attributes |= kAttributeReadOnly;
  if (!partition.attach_drive_letter) out.attributes |= kAttributeNoDriveLetter;
}

Status Planner::place(std::size_t index) {
  const LayoutPartition& partition = layout_.partitions[index];
  const std::uint64_t alignment =
      (partition.byte_alignment != 0 ? partition.byte_alignment : layout_.default_partition_byte_alignment) / sector_;
  Partition out;
  describe(index, out);
  if (table_.style == TableStyle::mbr && index >= 3) {
    // A logical partition is announced by a boot record of its own, which takes a place before it.
    const std::uint64_t record = core::round_up(cursor_, alignment);
    table_.extended_boot_sectors.push_back(record);
    cursor_ = record + 1;
  }
  if (partition.offset_in_sectors != 0) {
    if (partition.offset_in_sectors < cursor_) {
      return fail("layout.does-not-fit", "OffsetInSectors lies in what is used before it")
          .with("partition", partition.name);
    }
    cursor_ = partition.offset_in_sectors;
  } else {
    cursor_ = core::round_up(cursor_, alignment);
  }
  out.first_sector = cursor_;
  out.sector_count = wanted_sectors(index);
  if (out.sector_count == 0 || cursor_ >= end_ || out.sector_count > end_ - cursor_) {
    return does_not_fit(partition, out.sector_count);
  }
  const std::uint64_t least = partition.file_system == LayoutFileSystem::none    ? 0
                              : partition.file_system == LayoutFileSystem::fat32 ? kMinFat32Bytes
                                                                                 : kMinFatOrNtfsBytes;
  if (out.sector_count * sector_ < least) {
    return fail("layout.does-not-fit", "the partition is too small for its file system")
        .with("partition", partition.name)
        .with("expected", least)
        .with("actual", out.sector_count * sector_);
  }
  cursor_ += out.sector_count;
  table_.partitions.push_back(std::move(out));
  return {};
}

Result<PartitionTable> Planner::plan() {
  IMPRINT_CHECK(start_table());
  for (std::size_t i = 0; i < layout_.partitions.size(); ++i) IMPRINT_CHECK(place(i));
  return std::move(table_);
}

}  // namespace

core::Guid default_partition_id(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kKnown{
      {{"MainOS", "A76B8CE2-0187-4C13-8FCA-8651C9B0620A"},
       {"EFIESP", "8183040A-8B44-4592-92F7-C6D9EE0560F7"},
       {"MMOS", "27A47557-8243-4C8E-9D30-846844C29C52"}}};
  for (const auto& [known, id] : kKnown) {
    if (core::equals_ignoring_case(known, name)) return *core::Guid::parse(id);
  }
  return core::Guid::from_name("imprint/partition/" + core::to_lower_ascii(name));
}

core::Guid default_disk_id() { return *core::Guid::parse("AE420040-13DD-41F2-AE7F-0DC35854C8D7"); }

std::uint64_t guaranteed_free_sectors(const LayoutPartition& partition, const DevicePlatform& platform) {
  if (partition.min_free_sectors == 0) return 0;
  // Each is a u32 or the sum of two, so that this cannot overflow.
  return partition.min_free_sectors + partition.generated_file_overhead_sectors +
         (is_main_os(partition) ? platform.mainos_extra_free_sectors : 0);
}

std::uint64_t all_space_end(const PartitionTable& table) {
  const std::uint64_t mib = std::max<std::uint64_t>(kMiB / std::max<std::uint32_t>(table.sector_size, 1), 1);
  std::uint64_t usable_end = table.last_usable_sector;
  if (usable_end != UINT64_MAX) ++usable_end;
  return usable_end / mib * mib;
}

Result<PartitionTable> plan_partitions(const DeviceLayout& layout, const DevicePlatform& platform,
                                       const std::vector<std::uint64_t>& content_bytes) {
  return Planner(layout, platform, content_bytes).plan();
}

}  // namespace imprint::disk
