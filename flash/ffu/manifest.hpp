// SPDX-License-Identifier: GPL-3.0-or-later
// The manifest of an FFU: sections of "Key = Value" lines in ASCII, CRLF. Partitions belong to the store before them.
// Source: Microsoft, "FFU image format", section on the manifest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::ffu {

struct ManifestSection {
  std::string name;                                                  // "FullFlash", "Store", "Partition"
  std::vector<std::pair<std::string, std::string>> values;           // in file order
  [[nodiscard]] std::string_view value(std::string_view key) const;  // empty when it is not there
};

struct ManifestPartition {
  std::string name;
  std::string type;
  std::string id;
  std::string file_system;
  std::uint64_t total_sectors = 0;
  std::uint64_t used_sectors = 0;
  bool use_all_space = false;
};

struct ManifestStore {
  std::string device_path;             // V2; empty where it is not given
  std::uint32_t sector_size = 512;     // bytes
  std::uint64_t min_sector_count = 0;  // 0: not given
  std::vector<ManifestPartition> partitions;
  [[nodiscard]] std::uint64_t min_disk_bytes() const { return min_sector_count * sector_size; }
};

struct Manifest {
  std::vector<ManifestSection> sections;
  std::string version;
  std::string os_version;
  std::string description;
  std::vector<std::string> platform_ids;
  std::vector<ManifestStore> stores;
};

// `ffu.manifest` with the line. A line without '=' continues the value before it (descriptions do that).
[[nodiscard]] core::Result<Manifest> parse_manifest(std::string_view text);

// Keys padded to the longest key of their section, as Microsoft's tools write them.
[[nodiscard]] std::string format_manifest(const std::vector<ManifestSection>& sections);

}  // namespace imprint::ffu
