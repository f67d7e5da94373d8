// SPDX-License-Identifier: GPL-3.0-or-later
// The rules: a disk (an FFU's, an image's, a device's) in, findings out. They never throw away a check that could not
// be made: it becomes a not-checked finding.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "flash/bcd/store.hpp"
#include "flash/core/block_io.hpp"
#include "flash/disk/device_layout.hpp"
#include "flash/inspect/finding.hpp"

namespace imprint::inspect {

struct Disk {
  std::string name;  // for the report's source
  std::shared_ptr<const core::BlockSource> bytes;
  std::uint32_t sector_size = 512;
};

// Both GPT copies (layout.gpt-primary, layout.gpt-backup, layout.gpt-agree), and each partition of the layout: present,
// order, type, size, offset or alignment, attributes, file system that opens, its cluster size and free space
// (layout.partition-missing, -type, -size ...); with a platform also the disk's size.
[[nodiscard]] Report inspect_layout(const Disk& disk, const disk::DeviceLayout& layout,
                                    const std::optional<disk::DevicePlatform>& platform);

// The BCD store of the EFI system partition opens and is sound, and its default entry is a loader that starts from this
// disk: bcd.store-present, bcd.store-readable ...
[[nodiscard]] Report inspect_bcd(const Disk& disk);
// The same for a BCD file of its own; what concerns the disk around it is not in the set.
[[nodiscard]] Report inspect_bcd_file(const std::string& name, core::ByteView hive);
// The store that inspect_bcd judges, for those who want to show it. `bcd.store-present`, and the errors of what it
// reads.
[[nodiscard]] core::Result<bcd::Store> read_bcd(const Disk& disk);

enum class RecoveryProfile { iot_mmos, winre };
// iot-mmos: MMOS partition present, FAT32, large enough (2*10^9 bytes); BCD: default object's recoverysequence names
// the MMOS loader object and recoveryenabled is set; that loader is winpe from a ramdisk whose parent is the actual
// MMOS partition's GUID on the actual disk's GUID; winpe.wim, startrecovery.cmd, RecoveryImageVersion.txt and the
// efiesp/mainos/data WIMs are there, intact (wimlib verifies integrity and data), below 4 GiB; winpe.wim has a boot
// index.
// `scratch` is a folder for files that are taken out of the disk to be checked; they are removed again.
[[nodiscard]] Report inspect_recovery(const Disk& disk, RecoveryProfile profile, const std::filesystem::path& scratch);

}  // namespace imprint::inspect
