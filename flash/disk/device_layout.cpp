// SPDX-License-Identifier: GPL-3.0-or-later
// Reads DeviceLayout.xml and OEMDevicePlatform.xml. Every rule of the schema is checked here, so that the planner and
// the image builder can trust the values.
#include "flash/disk/device_layout.hpp"

#include <array>
#include <bit>
#include <limits>
#include <set>

#include "flash/core/atomic_file.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/errors.hpp"
#include "flash/disk/xml_document.hpp"

namespace imprint::disk {
namespace {

using core::Result;
using core::Status;

constexpr std::string_view kNamespace = "http://schemas.microsoft.com/embedded/2004/10/ImageUpdate";
constexpr std::size_t kMaxPartitions = 128;       // entries of a GPT as Windows writes it
constexpr std::size_t kMaxNameUnits = 36;         // UTF-16 units of a GPT entry
constexpr std::size_t kPlatformFieldBytes = 191;  // of the 192 bytes in an FFU's store header, one ends the list
constexpr std::uint64_t kMaxSectorBytes = 4096;   // of any disk, and what the formatters take
constexpr std::uint64_t kMaxU32 = std::numeric_limits<std::uint32_t>::max();

std::string_view text_of(const pugi::xml_node& node) { return core::trimmed(node.text().get()); }

Result<std::uint64_t> number_of(const XmlDocument& xml, const pugi::xml_node& node, std::uint64_t limit = kMaxU32) {
  const auto value = core::parse_number(text_of(node));
  if (!value || *value > limit) {
    return xml.fail_at(node, "workspace.value-invalid", "not a number up to " + std::to_string(limit))
        .with("actual", core::printable(text_of(node)));
  }
  return *value;
}

Result<bool> bool_of(const XmlDocument& xml, const pugi::xml_node& node) {
  const std::string_view text = text_of(node);
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return xml.fail_at(node, "workspace.value-invalid", "not true or false").with("actual", core::printable(text));
}

core::Failure invalid(const XmlDocument& xml, const pugi::xml_node& node, std::string detail) {
  return xml.fail_at(node, "workspace.value-invalid", std::move(detail));
}

Result<LayoutFileSystem> file_system_of(const XmlDocument& xml, const pugi::xml_node& node) {
  const std::string_view text = text_of(node);
  if (core::equals_ignoring_case(text, "NTFS")) return LayoutFileSystem::ntfs;
  if (core::equals_ignoring_case(text, "FAT32")) return LayoutFileSystem::fat32;
  if (core::equals_ignoring_case(text, "FAT")) return LayoutFileSystem::fat;
  return xml.fail_at(node, "layout.file-system-unknown", core::printable(text));
}

// The schema's xs:all: every child at most once. The second would overwrite the first in silence.
Status check_children_once(const XmlDocument& xml, const pugi::xml_node& parent) {
  std::set<std::string_view> seen;
  for (const pugi::xml_node node : parent.children()) {
    if (node.type() != pugi::node_element) continue;
    if (!seen.insert(XmlDocument::local_name(node)).second)
      return invalid(xml, node, "this element stands there twice");
  }
  return {};
}

// "{GUID}" for GPT, "0xNN" for MBR.
bool is_gpt_type(std::string_view type) { return type.starts_with('{') && core::Guid::parse(type).has_value(); }
bool is_mbr_type(std::string_view type) {
  if (!core::to_lower_ascii(type).starts_with("0x")) return false;
  const auto value = core::parse_number(type);
  return value && *value > 0 && *value <= 0xFF;
}

// One child of a Partition element. Elements that say how a device is serviced later are checked by name only.
Status read_partition_child(const XmlDocument& xml, const pugi::xml_node& node, LayoutPartition& out,
                            bool& single_sector) {
  const std::string_view element = XmlDocument::local_name(node);
  const std::array<std::pair<std::string_view, bool*>, 7> flags{{{"UseAllSpace", &out.use_all_space},
                                                                 {"Bootable", &out.bootable},
                                                                 {"ReadOnly", &out.read_only},
                                                                 {"Hidden", &out.hidden},
                                                                 {"AttachDriveLetter", &out.attach_drive_letter},
                                                                 {"RequiredToFlash", &out.required_to_flash},
                                                                 {"SingleSectorAlignment", &single_sector}}};
  for (const auto& [name, value] : flags) {
    if (element != name) continue;
    IMPRINT_TRY(*value, bool_of(xml, node));
    return {};
  }
  const std::array<std::pair<std::string_view, std::uint64_t*>, 4> numbers{
      {{"TotalSectors", &out.total_sectors},
       {"MinFreeSectors", &out.min_free_sectors},
       {"GeneratedFileOverheadSectors", &out.generated_file_overhead_sectors},
       {"ByteAlignment", &out.byte_alignment}}};
  for (const auto& [name, value] : numbers) {
    if (element != name) continue;
    IMPRINT_TRY(*value, number_of(xml, node));
    return {};
  }
  if (element == "Name") {
    out.name = text_of(node);
  } else if (element == "Type") {
    out.type = text_of(node);
  } else if (element == "PrimaryPartition") {
    out.primary_partition = text_of(node);
  } else if (element == "Id") {
    out.id = core::Guid::parse(text_of(node));
    if (!out.id) return invalid(xml, node, "not a GUID");
  } else if (element == "FileSystem") {
    IMPRINT_TRY(out.file_system, file_system_of(xml, node));
  } else if (element == "ClusterSize") {
    IMPRINT_TRY(const auto size, number_of(xml, node));
    out.cluster_size = static_cast<std::uint32_t>(size);
  } else if (element == "OffsetInSectors") {
    IMPRINT_TRY(out.offset_in_sectors, number_of(xml, node, std::numeric_limits<std::int64_t>::max()));
  } else if (element != "UpdateType" && element != "RequiresCompression" && element != "Compressed") {
    return invalid(xml, node, "this element is not known in a Partition");
  }
  return {};
}

Status check_partition_sizes(const XmlDocument& xml, const pugi::xml_node& node, const LayoutPartition& partition) {
  const int ways = (partition.total_sectors != 0 ? 1 : 0) + (partition.min_free_sectors != 0 ? 1 : 0) +
                   (partition.use_all_space ? 1 : 0);
  if (ways != 1) return invalid(xml, node, "exactly one of TotalSectors, MinFreeSectors and UseAllSpace is needed");
  if (partition.min_free_sectors != 0 && partition.min_free_sectors < 8192) {
    return invalid(xml, node, "MinFreeSectors is at least 8192");
  }
  if (partition.min_free_sectors == 0 && partition.generated_file_overhead_sectors != 0) {
    return invalid(xml, node, "GeneratedFileOverheadSectors needs MinFreeSectors");
  }
  return {};
}

Status check_partition(const XmlDocument& xml, const pugi::xml_node& node, const LayoutPartition& partition,
                       const DeviceLayout& layout) {
  const auto utf16 = core::utf16le_from_utf8(partition.name);
  if (partition.name.empty() || !utf16 || utf16->size() / 2 > kMaxNameUnits) {
    return invalid(xml, node, "a partition needs a Name of 1 to 36 characters");
  }
  if (layout.find(partition.name) != nullptr)
    return invalid(xml, node, "this Name is used twice").with("partition", partition.name);
  if (!is_gpt_type(partition.type) && !is_mbr_type(partition.type)) {
    return invalid(xml, node, "Type is neither {GUID} nor 0xNN").with("partition", partition.name);
  }
  if (!layout.partitions.empty() && is_gpt_type(partition.type) != is_gpt_type(layout.partitions.front().type)) {
    return invalid(xml, node, "GPT and MBR types are mixed").with("partition", partition.name);
  }
  if (partition.byte_alignment != 0 &&
      (!std::has_single_bit(partition.byte_alignment) || partition.byte_alignment < layout.sector_size)) {
    return invalid(xml, node, "ByteAlignment is not a power of 2 of at least a sector")
        .with("partition", partition.name);
  }
  if (partition.cluster_size != 0 &&
      (!std::has_single_bit(partition.cluster_size) || partition.cluster_size < layout.sector_size ||
       partition.cluster_size > (2U << 20))) {
    return invalid(xml, node, "ClusterSize is not a power of 2 between a sector and 2 MiB")
        .with("partition", partition.name);
  }
  return check_partition_sizes(xml, node, partition);
}

Status read_partitions(const XmlDocument& xml, const pugi::xml_node& list, DeviceLayout& layout) {
  pugi::xml_node last;
  for (const pugi::xml_node node : list.children()) {
    if (node.type() != pugi::node_element) continue;
    if (XmlDocument::local_name(node) != "Partition") return invalid(xml, node, "only Partition is known here");
    if (layout.partitions.size() == kMaxPartitions) return invalid(xml, node, "more than 128 partitions");
    if (!layout.partitions.empty() && layout.partitions.back().use_all_space) {
      return invalid(xml, last, "only the last partition may use all space");
    }
    IMPRINT_CHECK(check_children_once(xml, node));
    LayoutPartition partition;
    bool single_sector = false;
    for (const pugi::xml_node child : node.children()) {
      if (child.type() != pugi::node_element) continue;
      IMPRINT_CHECK(read_partition_child(xml, child, partition, single_sector));
    }
    if (single_sector) {
      if (partition.byte_alignment != 0 && partition.byte_alignment != layout.sector_size) {
        return invalid(xml, node, "SingleSectorAlignment and another ByteAlignment");
      }
      partition.byte_alignment = layout.sector_size;
    }
    IMPRINT_CHECK(check_partition(xml, node, partition, layout));
    layout.partitions.push_back(std::move(partition));
    last = node;
  }
  if (layout.partitions.empty()) return invalid(xml, list, "there is no Partition");
  for (const LayoutPartition& partition : layout.partitions) {
    if (!partition.primary_partition.empty() && layout.find(partition.primary_partition) == nullptr) {
      return invalid(xml, list, "PrimaryPartition names no partition").with("partition", partition.name);
    }
  }
  return {};
}

Status read_layout_head(const XmlDocument& xml, const pugi::xml_node& node, DeviceLayout& layout,
                        bool& has_sector_size) {
  const std::string_view element = XmlDocument::local_name(node);
  if (element == "SectorSize") {
    IMPRINT_TRY(const auto size, number_of(xml, node, kMaxSectorBytes));
    if (size < 512 || !std::has_single_bit(size)) return invalid(xml, node, "not a power of 2 from 512 to 4096");
    layout.sector_size = static_cast<std::uint32_t>(size);
    has_sector_size = true;
  } else if (element == "ChunkSize") {
    IMPRINT_TRY(const auto kib, number_of(xml, node, 1024));
    if (kib < 4 || !std::has_single_bit(kib)) return invalid(xml, node, "not a power of 2 from 4 to 1024");
    layout.chunk_size = static_cast<std::uint32_t>(kib * 1024);
  } else if (element == "DefaultPartitionByteAlignment") {
    IMPRINT_TRY(const auto alignment, number_of(xml, node));
    if (alignment != 0 && !std::has_single_bit(alignment)) return invalid(xml, node, "not a power of 2");
    if (alignment != 0) layout.default_partition_byte_alignment = alignment;
  } else if (element == "VersionTag") {
    layout.version_tag = text_of(node);
  } else if (element != "Partitions") {
    return invalid(xml, node, "this element is not known in a DeviceLayout");
  }
  return {};
}

Status add_platform_id(const XmlDocument& xml, const pugi::xml_node& node, DevicePlatform& out, std::size_t& bytes) {
  const std::string_view id = text_of(node);
  bool good = !id.empty() && !id.starts_with('.') && !id.ends_with('.') && id.find("..") == std::string_view::npos;
  for (const char c : id) good = good && c > ' ' && c <= '~';
  if (!good) return invalid(xml, node, "not a platform id (Manufacturer.Family.Product[.Version])");
  bytes += id.size() + 1;
  if (bytes > kPlatformFieldBytes) return invalid(xml, node, "the platform ids together are over 191 bytes");
  out.platform_ids.emplace_back(id);
  return {};
}

Status read_platform_child(const XmlDocument& xml, const pugi::xml_node& node, DevicePlatform& out,
                           std::size_t& id_bytes) {
  const std::string_view element = XmlDocument::local_name(node);
  if (element == "MinSectorCount") {
    IMPRINT_TRY(out.min_sector_count, number_of(xml, node));
    if (out.min_sector_count == 0) return invalid(xml, node, "a disk of no sectors");
  } else if (element == "DevicePlatformID") {
    if (!out.platform_ids.empty())
      return invalid(xml, node, "DevicePlatformID and DevicePlatformIDs exclude each other");
    return add_platform_id(xml, node, out, id_bytes);
  } else if (element == "DevicePlatformIDs") {
    if (!out.platform_ids.empty())
      return invalid(xml, node, "DevicePlatformID and DevicePlatformIDs exclude each other");
    for (const pugi::xml_node id : node.children()) {
      if (id.type() != pugi::node_element) continue;
      if (XmlDocument::local_name(id) != "ID") return invalid(xml, id, "only ID is known here");
      IMPRINT_CHECK(add_platform_id(xml, id, out, id_bytes));
    }
  } else if (element == "MMOSPartitionTotalSectorsOverride") {
    IMPRINT_TRY(out.mmos_total_sectors_override, number_of(xml, node));
  } else if (element == "AdditionalMainOSFreeSectorsRequest") {
    IMPRINT_TRY(const auto sectors, number_of(xml, node));
    out.mainos_extra_free_sectors += sectors;
  } else if (element == "MainOSRTCDataReservedSectors") {
    IMPRINT_TRY(const auto sectors, number_of(xml, node, 204800));
    out.mainos_extra_free_sectors += sectors;
  } else if (element != "CompressedPartitions" && element != "UncompressedPartitions" && element != "BIOSMode" &&
             element != "Rules") {
    return invalid(xml, node, "this element is not known in an OEMDevicePlatform");
  }
  return {};
}

}  // namespace

TableStyle DeviceLayout::style() const {
  return !partitions.empty() && is_mbr_type(partitions.front().type) ? TableStyle::mbr : TableStyle::gpt;
}

const LayoutPartition* DeviceLayout::find(std::string_view name) const {
  for (const LayoutPartition& partition : partitions) {
    if (core::equals_ignoring_case(partition.name, name)) return &partition;
  }
  return nullptr;
}

Result<DeviceLayout> parse_device_layout(std::string_view text, std::string_view name) {
  IMPRINT_TRY(const auto xml, XmlDocument::parse(text, name));
  if (xml.root_namespace() == std::string(kNamespace) + "/v2") {
    return xml.fail_at(xml.root(), "layout.schema-unsupported", "a DeviceLayout of schema v2");
  }
  IMPRINT_CHECK(xml.expect_root("DeviceLayout", kNamespace));
  IMPRINT_CHECK(check_children_once(xml, xml.root()));
  DeviceLayout layout;
  bool has_sector_size = false;
  pugi::xml_node partitions;
  // The head first, wherever it stands: partitions are checked against the sector size.
  for (const pugi::xml_node node : xml.root().children()) {
    if (node.type() != pugi::node_element) continue;
    IMPRINT_CHECK(read_layout_head(xml, node, layout, has_sector_size));
    if (XmlDocument::local_name(node) == "Partitions") partitions = node;
  }
  if (!has_sector_size) return invalid(xml, xml.root(), "SectorSize is missing");
  if (layout.chunk_size % layout.sector_size != 0)
    return invalid(xml, xml.root(), "ChunkSize is not a multiple of SectorSize");
  if (layout.default_partition_byte_alignment < layout.sector_size) {
    return invalid(xml, xml.root(), "DefaultPartitionByteAlignment is less than a sector");
  }
  if (!partitions) return invalid(xml, xml.root(), "Partitions is missing");
  IMPRINT_CHECK(read_partitions(xml, partitions, layout));
  return layout;
}

Result<DevicePlatform> parse_device_platform(std::string_view text, std::string_view name) {
  IMPRINT_TRY(const auto xml, XmlDocument::parse(text, name));
  IMPRINT_CHECK(xml.expect_root("OEMDevicePlatform", kNamespace));
  IMPRINT_CHECK(check_children_once(xml, xml.root()));
  DevicePlatform platform;
  std::size_t id_bytes = 0;
  for (const pugi::xml_node node : xml.root().children()) {
    if (node.type() != pugi::node_element) continue;
    IMPRINT_CHECK(read_platform_child(xml, node, platform, id_bytes));
  }
  if (platform.min_sector_count == 0) return invalid(xml, xml.root(), "MinSectorCount is missing");
  if (platform.platform_ids.empty()) return invalid(xml, xml.root(), "there is no device platform id");
  return platform;
}

Result<DeviceLayout> read_device_layout(const std::filesystem::path& path) {
  IMPRINT_TRY(const auto text, core::read_text_file(path));
  return parse_device_layout(text, path.string());
}

Result<DevicePlatform> read_device_platform(const std::filesystem::path& path) {
  IMPRINT_TRY(const auto text, core::read_text_file(path));
  return parse_device_platform(text, path.string());
}

}  // namespace imprint::disk
