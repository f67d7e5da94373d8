// SPDX-License-Identifier: GPL-3.0-or-later
// DeviceLayout.xml and OEMDevicePlatform.xml: what a board's disk is to look like, and where every partition then lies.
// Schemas: windows-iotcore-docs, "Device layout", and the add-on kit's files (namespace .../2004/10/ImageUpdate).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/guid.hpp"
#include "flash/core/result.hpp"
#include "flash/disk/partition_table.hpp"
#include "flash/disk/volume.hpp"

namespace imprint::disk {

enum class LayoutFileSystem { none, fat, fat32, ntfs };  // fat is 12 or 16 by size

struct LayoutPartition {
  std::string name;
  std::string type;  // "{GUID}" (GPT) or "0xNN" (MBR), as written
  std::optional<core::Guid> id;
  LayoutFileSystem file_system = LayoutFileSystem::none;
  std::uint64_t total_sectors = 0;     // 0: not given
  std::uint64_t min_free_sectors = 0;  // 0: not given
  bool use_all_space = false;
  bool bootable = false;
  bool read_only = false;
  bool hidden = false;
  bool attach_drive_letter = false;
  bool required_to_flash = false;
  std::uint64_t byte_alignment = 0;                   // bytes; 0: the layout's default
  std::uint32_t cluster_size = 0;                     // bytes; 0: the file system's default
  std::uint64_t generated_file_overhead_sectors = 0;  // added to min_free_sectors
  std::uint64_t offset_in_sectors = 0;                // fixed start; 0: not given
  std::string primary_partition;                      // empty: the partition itself
};

struct DeviceLayout {
  std::uint32_t sector_size = 512;                         // bytes
  std::uint32_t chunk_size = 256 * 1024;                   // bytes
  std::uint64_t default_partition_byte_alignment = 65536;  // bytes
  std::string version_tag;
  std::vector<LayoutPartition> partitions;
  [[nodiscard]] TableStyle style() const;
  [[nodiscard]] const LayoutPartition* find(std::string_view name) const;
};

struct DevicePlatform {
  std::uint64_t min_sector_count = 0;  // in sectors of 512 bytes, as the schema has it
  std::vector<std::string> platform_ids;
  std::uint64_t mmos_total_sectors_override = 0;  // 0: none
  std::uint64_t mainos_extra_free_sectors = 0;    // what both elements that enlarge MainOS ask for together
};

// Fixed ids of the platform's own partitions, where the layout gives none: MainOS, EFIESP, MMOS and the disk itself
// (facts of the add-on kit's images). Other partitions get an id from their name, so that a build can be repeated.
[[nodiscard]] core::Guid default_partition_id(std::string_view name);
[[nodiscard]] core::Guid default_disk_id();
inline constexpr std::uint32_t kDefaultMbrSignature = 0xAE420040;

// `name` is used in errors. `workspace.xml-malformed` (with line), `workspace.value-invalid` (with line and element),
// `layout.file-system-unknown`, `layout.schema-unsupported` for v2.
[[nodiscard]] core::Result<DeviceLayout> parse_device_layout(std::string_view xml, std::string_view name);
[[nodiscard]] core::Result<DevicePlatform> parse_device_platform(std::string_view xml, std::string_view name);
[[nodiscard]] core::Result<DeviceLayout> read_device_layout(const std::filesystem::path& path);
[[nodiscard]] core::Result<DevicePlatform> read_device_platform(const std::filesystem::path& path);

// Sectors that must be free on a partition in the end: MinFreeSectors, GeneratedFileOverheadSectors, and on MainOS what
// the platform asks for beside them. 0 without MinFreeSectors: such a partition guarantees nothing.
[[nodiscard]] std::uint64_t guaranteed_free_sectors(const LayoutPartition& partition, const DevicePlatform& platform);

// One past the last sector of a partition with UseAllSpace on a disk with this table: the last whole MiB that still
// lies in the usable sectors, however the partition is aligned. The planner ends it there; a partition that was
// extended further, up to the last usable sector, has all space too.
[[nodiscard]] std::uint64_t all_space_end(const PartitionTable& table);

// Where each partition lies. `content_bytes[i]` is what partition i's files and file system need (used where the layout
// gives MinFreeSectors), empty where nothing is known. `layout.does-not-fit` names the partition.
// Partitions start after the first MiB, at multiples of their alignment; UseAllSpace ends at a whole MiB, and in a GPT
// leaves the last MiB to the backup table. In an MBR the fourth and later partitions are logical ones, numbered from 5.
[[nodiscard]] core::Result<PartitionTable> plan_partitions(const DeviceLayout& layout, const DevicePlatform& platform,
                                                           const std::vector<std::uint64_t>& content_bytes);

}  // namespace imprint::disk
