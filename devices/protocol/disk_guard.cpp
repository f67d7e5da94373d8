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

// Nothing where the folder is there and cannot be read.
std::optional<std::vector<fs::path>> entries(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error))
    out.push_back(it->path());
  if (error && error != std::errc::no_such_file_or_directory) return std::nullopt;
  return out;
}

core::Failure unreadable(const fs::path& path) {
  return core::fail("io.read-failed", "who uses the disk cannot be found out").with("path", path.native());
}

// A serial number as the disk or its USB device gives it, without blanks around it.
std::string serial_text(std::string text) {
  const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\0'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  text.erase(text.begin(), std::ranges::find_if_not(text, blank));
  return text;
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxText, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

// MMC and NVMe disks have a serial in sysfs. A SCSI disk tells its own in a page of its inquiry data (SPC, unit serial
// number, 80h: four bytes of header), which many readers and sticks leave out; the USB device's is in its descriptor.
std::string serial_of(const fs::path& folder) {
  constexpr std::size_t kPageHeader = 4;
  if (auto own = serial_text(bytes_of(folder / "device/serial")); !own.empty()) return own;
  for (fs::path parent = folder; parent.has_relative_path(); parent = parent.parent_path()) {
    std::error_code error;
    if (fs::exists(parent / "idVendor", error)) {
      if (auto usb = serial_text(bytes_of(parent / "serial")); !usb.empty()) return usb;
      break;
    }
  }
  const std::string page = bytes_of(folder / "device/vpd_pg80");
  return page.size() > kPageHeader ? serial_text(page.substr(kPageHeader)) : std::string();
}

bool is_simulated_path(const fs::path& folder) {
  return std::ranges::any_of(folder, [](const fs::path& part) {
    const std::string name = part.string();
    return name.starts_with("vhci_hcd") || name.starts_with("dummy_hcd") || name == "virtual";
  });
}

// "8:16" of the disk and of each of its partitions, with their names.
using Parts = std::vector<std::pair<std::string, std::string>>;

core::Result<Parts> parts_of(const DiskFacts& disk, const SystemPaths& paths) {
  const fs::path folder = paths.sys / "block" / disk.name;
  const auto inside = entries(folder);
  if (!inside) return unreadable(folder);
  Parts parts{{disk.identity.number, disk.name}};
  for (const fs::path& entry : *inside) {
    if (number(entry / "partition")) parts.emplace_back(attribute(entry / "dev"), entry.filename().string());
  }
  return parts;
}

core::Failure in_use(const std::string& part, std::string by) {
  return fail("device.disk-in-use", std::move(by)).with("disk", part);
}

core::Status check_mounts(const Parts& parts, const SystemPaths& paths) {
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

core::Status check_swaps(const Parts& parts, const SystemPaths& paths) {
  std::error_code error;
  if (!fs::exists(paths.proc / "swaps", error) && !error) return {};  // a kernel without swap
  std::ifstream file(paths.proc / "swaps");
  if (!file) return unreadable(paths.proc / "swaps");
  for (std::string line; std::getline(file, line);) {
    for (const auto& [part_number, name] : parts) {
      if (line.starts_with("/dev/" + name + " ") || line.starts_with("/dev/" + name + "\t"))
        return in_use(name, "swap space");
    }
  }
  return file.bad() ? core::Status(unreadable(paths.proc / "swaps")) : core::Status();
}

core::Status check_holders(const DiskFacts& disk, const Parts& parts, const SystemPaths& paths) {
  const fs::path folder = paths.sys / "block" / disk.name;
  for (const auto& [part_number, name] : parts) {
    const fs::path place = (name == disk.name ? folder : folder / name) / "holders";
    const auto holders = entries(place);
    if (!holders) return unreadable(place);
    if (!holders->empty()) return in_use(name, "part of " + holders->front().filename().string());
  }
  return {};
}

// A loop device upon a disk is no holder of it to the kernel.
core::Status check_loops(const Parts& parts, const SystemPaths& paths) {
  const auto disks = entries(paths.sys / "block");
  if (!disks) return unreadable(paths.sys / "block");
  for (const fs::path& disk : *disks) {
    const std::string behind = attribute(disk / "loop/backing_file");
    for (const auto& [part_number, name] : parts) {
      if (behind == "/dev/" + name) return in_use(name, "part of " + disk.filename().string());
    }
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
  std::error_code error;
  const fs::path folder = fs::canonical(paths.sys / "dev/block" / disk_number, error);
  if (error) return fail("device.not-present").with("disk", disk_number);
  if (number(folder / "partition")) return fail("device.unknown", "a part of a disk").with("disk", disk_number);
  facts.name = folder.filename().string();
  const auto sectors = number(folder / "size");
  const auto sector_size = number(folder / "queue/logical_block_size");
  constexpr std::uint64_t kMostSectors = UINT64_MAX / kKernelSector;
  if (!sectors || !sector_size || *sectors == 0 || *sectors > kMostSectors || *sector_size > UINT32_MAX)
    return fail("device.not-present", "there is no medium").with("disk", disk_number);
  facts.geometry = {static_cast<std::uint32_t>(*sector_size), *sectors * kKernelSector};
  const auto sequence = number(folder / "diskseq");
  if (!sequence || *sequence == 0)
    return fail("device.not-present", "the kernel does not tell its media apart").with("disk", disk_number);
  facts.identity = {disk_number, *sequence};
  facts.is_removable = number(folder / "removable").value_or(0) == 1;
  facts.is_read_only = number(folder / "ro").value_or(0) == 1;
  const std::string vendor = attribute(folder / "device/vendor");
  facts.model = vendor + (vendor.empty() ? "" : " ") + attribute(folder / "device/model");
  facts.is_simulated = is_simulated_path(folder);
  facts.serial = serial_of(folder);
  return facts;
}

core::Status check_disk_is_free(const DiskFacts& disk, bool fixed_allowed, const SystemPaths& paths) {
  IMPRINT_TRY(const Parts parts, parts_of(disk, paths));
  IMPRINT_CHECK(check_mounts(parts, paths));
  IMPRINT_CHECK(check_swaps(parts, paths));
  IMPRINT_CHECK(check_holders(disk, parts, paths));
  IMPRINT_CHECK(check_loops(parts, paths));
  if (!disk.is_removable && !fixed_allowed) return fail("device.disk-not-removable").with("disk", disk.name);
  return {};
}

}  // namespace imprint::devices
