// SPDX-License-Identifier: GPL-3.0-or-later
// May this disk be written? What the kernel says about a block device, and who uses it. Nothing is opened for writing
// before it was asked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "devices/protocol/disk_file.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

// Where the kernel's views are; tests lay out their own.
struct SystemPaths {
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
};

// Which disks a place takes.
enum class DisksAllowed : std::uint8_t { none, removable, fixed };

struct DiskFacts {
  std::string name;  // "sdb": of the whole disk, not of a partition
  DiskFile::Identity identity;
  engine::DiskGeometry geometry;
  bool is_removable = false;
  bool is_read_only = false;
  bool is_simulated = false;  // below vhci-hcd or dummy_hcd, or no hardware at all
  std::string model;          // vendor and model, printable; empty where the kernel knows none
  // The disk's own, else that of the USB device that it is in; as it is, so that two never become one. Of a card in a
  // reader it is the reader's.
  std::string serial;
};

// What sysfs says about the disk with this node (/dev/sdb). `device.not-present`, also where there is no medium and
// where the kernel does not number its media (it does since Linux 5.15); `device.unknown` for what is no whole disk.
[[nodiscard]] core::Result<DiskFacts> read_disk_facts(const std::filesystem::path& node, const SystemPaths& paths = {});

// The same by the kernel's number for it ("8:16").
[[nodiscard]] core::Result<DiskFacts> read_disk_facts_of(const std::string& number, const SystemPaths& paths = {});

// Good only for a disk that nothing of this computer uses: no file system of it or its partitions is mounted, no swap,
// nothing is built upon it (RAID, LVM, encryption, a loop device), and it is removable unless `fixed_allowed`.
// `device.disk-in-use` names the user, `device.disk-not-removable`, `io.read-failed` where it cannot be found out.
[[nodiscard]] core::Status check_disk_is_free(const DiskFacts& disk, bool fixed_allowed, const SystemPaths& paths = {});

}  // namespace imprint::devices
