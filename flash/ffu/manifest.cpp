// SPDX-License-Identifier: GPL-3.0-or-later
// Reads and writes the manifest's sections and what the product needs of them.
#include "flash/ffu/manifest.hpp"

#include <algorithm>

#include "flash/core/text.hpp"
#include "flash/ffu/errors.hpp"

namespace imprint::ffu {
namespace {

core::Result<std::uint64_t> number(const ManifestSection& section, std::string_view key, std::uint64_t otherwise,
                                   std::uint64_t limit) {
  const std::string_view text = section.value(key);
  if (text.empty()) return otherwise;
  const auto value = core::parse_number(text);
  if (!value || *value > limit) {
    return fail("ffu.manifest", "not a number that fits").with("key", key).with("value", core::printable(text));
  }
  return *value;
}

bool is_true(std::string_view text) { return core::equals_ignoring_case(text, "true"); }

core::Status add_store(Manifest& manifest, const ManifestSection& section) {
  ManifestStore store;
  IMPRINT_TRY(const auto sector_size, number(section, "SectorSize", 512, 65536));
  if (sector_size != 512 && sector_size != 4096)
    return fail("ffu.manifest", "the sector size is neither 512 nor 4096").with("value", sector_size);
  store.sector_size = static_cast<std::uint32_t>(sector_size);
  IMPRINT_TRY(store.min_sector_count, number(section, "MinSectorCount", 0, 1ULL << 44));
  store.device_path = core::printable(section.value("DevicePath"));
  manifest.stores.push_back(std::move(store));
  return {};
}

core::Status add_partition(Manifest& manifest, const ManifestSection& section) {
  if (manifest.stores.empty()) return fail("ffu.manifest", "a partition stands before the first store");
  ManifestPartition partition;
  partition.name = core::printable(section.value("Name"));
  partition.type = core::printable(section.value("Type"));
  partition.id = core::printable(section.value("Id"));
  partition.file_system = core::printable(section.value("FileSystem"));
  IMPRINT_TRY(partition.total_sectors, number(section, "TotalSectors", 0, UINT64_MAX));
  IMPRINT_TRY(partition.used_sectors, number(section, "UsedSectors", 0, UINT64_MAX));
  partition.use_all_space = is_true(section.value("UseAllSpace"));
  manifest.stores.back().partitions.push_back(std::move(partition));
  return {};
}

void add_full_flash(Manifest& manifest, const ManifestSection& section) {
  manifest.version = core::printable(section.value("Version"));
  manifest.os_version = core::printable(section.value("OSVersion"));
  manifest.description = core::printable(section.value("Description"));
  for (const auto& [key, value] : section.values) {
    if (core::to_lower_ascii(key).starts_with("deviceplatformid"))
      manifest.platform_ids.push_back(core::printable(value));
  }
}

core::Status add_line(std::vector<ManifestSection>& sections, std::string_view line, std::size_t number_of_line) {
  if (line.front() == '[' && line.back() == ']' && line.size() >= 3) {
    sections.push_back({std::string(line.substr(1, line.size() - 2)), {}});
    return {};
  }
  const bool goes_on = !sections.empty() && !sections.back().values.empty();
  if (line.front() == '[' && !goes_on)
    return fail("ffu.manifest", "a section's name is not closed").with("line", number_of_line);
  if (sections.empty()) return fail("ffu.manifest", "text before the first section").with("line", number_of_line);
  auto& values = sections.back().values;
  const auto equals = line.find('=');
  // A value may go on over several lines, and a description may say anything in them.
  if (equals == std::string_view::npos || line.front() == '[') {
    if (values.empty()) return fail("ffu.manifest", "a value without a key").with("line", number_of_line);
    values.back().second += "\n" + std::string(line);
    return {};
  }
  const auto key = core::trimmed(line.substr(0, equals));
  if (key.empty()) return fail("ffu.manifest", "a value without a key").with("line", number_of_line);
  values.emplace_back(key, core::trimmed(line.substr(equals + 1)));
  return {};
}

}  // namespace

std::string_view ManifestSection::value(std::string_view key) const {
  const auto found =
      std::ranges::find_if(values, [&](const auto& entry) { return core::equals_ignoring_case(entry.first, key); });
  return found == values.end() ? std::string_view() : std::string_view(found->second);
}

core::Result<Manifest> parse_manifest(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return fail("ffu.manifest", "the text holds a NUL");
  Manifest manifest;
  std::size_t line_number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    ++line_number;
    const std::string_view line = core::trimmed(text.substr(start, end - start));
    if (!line.empty()) {
      if (auto added = add_line(manifest.sections, line, line_number); !added)
        return core::Failure(std::move(added).error()).with("text_offset", start);
    }
    start = end + 1;
  }
  for (const ManifestSection& section : manifest.sections) {
    if (core::equals_ignoring_case(section.name, "FullFlash")) add_full_flash(manifest, section);
    if (core::equals_ignoring_case(section.name, "Store")) IMPRINT_CHECK(add_store(manifest, section));
    if (core::equals_ignoring_case(section.name, "Partition")) IMPRINT_CHECK(add_partition(manifest, section));
  }
  return manifest;
}

std::string format_manifest(const std::vector<ManifestSection>& sections) {
  std::string out;
  for (const ManifestSection& section : sections) {
    out += "[" + section.name + "]\r\n";
    std::size_t width = 0;
    for (const auto& [key, value] : section.values) width = std::max(width, key.size());
    for (const auto& [key, value] : section.values) {
      out += key + std::string(width - key.size() + 1, ' ') + "= " + value + "\r\n";
    }
    out += "\r\n";
  }
  return out;
}

}  // namespace imprint::ffu
