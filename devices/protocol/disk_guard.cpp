// SPDX-License-Identifier: GPL-3.0-or-later
// Reads sysfs, mountinfo and swaps.
#include "devices/protocol/disk_guard.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>
#include <vector>

#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::devices {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kKernelSector = 512;  // sysfs counts in these, whatever the disk's own sectors are
constexpr std::size_t kMaxText = 256;

// The first line of a sysfs attribute, without the blanks around it; empty when it is not there.
std::string attribute(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const auto first = line.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  line = line.substr(first, line.find_last_not_of(" \t") - first + 1);
  return core::printable(line.substr(0, kMaxText));
}

std::optional<std::uint64_t> number(const fs::path& path) {
  const std::string text = attribute(path);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error))
    out.push_back(it->path());
  return out;
}

// "8:16" of the disk and of each of its partitions, with their names.
std::vector<std::pair<std::string, std::string>> parts_of(const DiskFacts& disk, const SystemPaths& paths) {
  const fs::path folder = paths.sys / "block" / disk.name;
  std::vector<std::pair<std::string, std::string>> parts{{disk.number, disk.name}};
  for (const fs::path& entry : entries(folder)) {
    if (number(entry / "partition")) parts.emplace_back(attribute(entry / "dev"), entry.filename().string());
  }
  return parts;
}

core::Failure in_use(const std::string& part, std::string by) {
  return fail("device.disk-in-use", std::move(by)).with("disk", part);
}

core::Status check_mounts(const std::vector<std::pair<std::string, std::string>>& parts, const SystemPaths& paths) {
  std::ifstream file(paths.proc / "self/mountinfo");
  if (!file) return core::fail("io.read-failed", "the list of mounts cannot be read");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string id;
    std::string parent;
    std::string device;
    std::string root;
    std::string point;
    fields >> id >> parent >> device >> root >> point;
    for (const auto& [part_number, name] : parts) {
      if (device == part_number) return in_use(name, "mounted at " + core::printable(point));
    }
    // Some file systems count by numbers of their own; then the source names the disk.
    const auto separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream rest(line.substr(separator + 3));
    std::string kind;
    std::string source;
    rest >> kind >> source;
    for (const auto& [part_number, name] : parts) {
      if (source == "/dev/" + name) return in_use(name, "mounted at " + core::printable(point));
    }
  }
  if (file.bad()) return core::fail("io.read-failed", "the list of mounts cannot be read");
  return {};
}

core::Status check_swaps(const std::vector<std::pair<std::string, std::string>>& parts, const SystemPaths& paths) {
  std::ifstream file(paths.proc / "swaps");  // a kernel without swap has none
  for (std::string line; std::getline(file, line);) {
    for (const auto& [part_number, name] : parts) {
      if (line.starts_with("/dev/" + name + " ") || line.starts_with("/dev/" + name + "\t"))
        return in_use(name, "swap space");
    }
  }
  return {};
}

core::Status check_holders(const DiskFacts& disk, const SystemPaths& paths) {
  const fs::path folder = paths.sys / "block" / disk.name;
  std::vector<fs::path> folders{folder};
  for (const fs::path& entry : entries(folder)) {
    if (number(entry / "partition")) folders.push_back(entry);
  }
  for (const fs::path& one : folders) {
    const auto holders = entries(one / "holders");
    if (!holders.empty()) return in_use(one.filename().string(), "part of " + holders.front().filename().string());
  }
  return {};
}

}  // namespace

core::Result<DiskFacts> read_disk_facts(const fs::path& node, const SystemPaths& paths) {
  struct stat info{};
  if (::stat(node.c_str(), &info) != 0) return fail("device.not-present").with("node", node.native());
  if (!S_ISBLK(info.st_mode)) return fail("device.unknown", "no disk").with("node", node.native());
  return read_disk_facts_of(fmt::format("{}:{}", major(info.st_rdev), minor(info.st_rdev)), paths);
}

core::Result<DiskFacts> read_disk_facts_of(const std::string& disk_number, const SystemPaths& paths) {
  DiskFacts facts;
  facts.number = disk_number;
  std::error_code error;
  const fs::path folder = fs::canonical(paths.sys / "dev/block" / facts.number, error);
  if (error) return fail("device.not-present").with("disk", disk_number);
  if (number(folder / "partition")) return fail("device.unknown", "a part of a disk").with("disk", disk_number);
  facts.name = folder.filename().string();
  const auto sectors = number(folder / "size");
  const auto sector_size = number(folder / "queue/logical_block_size");
  constexpr std::uint64_t kMostSectors = UINT64_MAX / kKernelSector;
  if (!sectors || !sector_size || *sectors == 0 || *sectors > kMostSectors || *sector_size > UINT32_MAX)
    return fail("device.not-present", "there is no medium").with("disk", disk_number);
  facts.geometry = {static_cast<std::uint32_t>(*sector_size), *sectors * kKernelSector};
  facts.sequence = number(folder / "diskseq").value_or(0);
  facts.is_removable = number(folder / "removable").value_or(0) == 1;
  facts.is_read_only = number(folder / "ro").value_or(0) == 1;
  const std::string vendor = attribute(folder / "device/vendor");
  facts.model = vendor + (vendor.empty() ? "" : " ") + attribute(folder / "device/model");
  facts.serial = attribute(folder / "device/serial");
  return facts;
}

core::Status check_disk_is_free(const DiskFacts& disk, bool fixed_allowed, const SystemPaths& paths) {
  const auto parts = parts_of(disk, paths);
  IMPRINT_CHECK(check_mounts(parts, paths));
  IMPRINT_CHECK(check_swaps(parts, paths));
  IMPRINT_CHECK(check_holders(disk, paths));
  if (!disk.is_removable && !fixed_allowed) return fail("device.disk-not-removable").with("disk", disk.name);
  return {};
}

}  // namespace imprint::devices
