// SPDX-License-Identifier: GPL-3.0-or-later
// The checks that the rules make: each is a row of the product's error table, so that what a finding counts as, what it
// tells people and what the kiosk translates are one thing. A check's text is what is wrong when it fails.
#pragma once

#include <array>
#include <string>

#include "flash/core/errors.hpp"

namespace imprint::inspect {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"layout.table-readable", "The disk has no partition table that can be read",
     "Flash the device again; if the image shows the same, build the image again.", core::FaultClass::unit},
    {"layout.table-style", "The partition table is not of the style that the layout asks for",
     "Check that this DeviceLayout.xml belongs to this board, then build and flash the image again.",
     core::FaultClass::image},
    {"layout.gpt-primary", "The primary partition table (GPT) is damaged",
     "Flash the device again; if it returns, set the unit aside with a suspected storage fault.", core::FaultClass::unit},
    {"layout.gpt-backup", "The backup partition table (GPT) is damaged or missing",
     "Flash the device again; if it returns, set the unit aside with a suspected storage fault.", core::FaultClass::unit},
    {"layout.gpt-backup-position", "The backup partition table (GPT) does not lie in the disk's last sector",
     "Check that the image was made for a disk of this size; the device works, but repair tools will complain.",
     core::FaultClass::image},
    {"layout.gpt-agree", "The two copies of the partition table (GPT) differ",
     "Flash the device again; something wrote to one copy only.", core::FaultClass::unit},
    {"layout.protective-mbr", "The protective MBR in front of the GPT is missing",
     "Flash the device again; firmware and Windows ignore a GPT without it.", core::FaultClass::unit},
    {"layout.sector-size", "The disk's sector size is not the layout's",
     "Use the image and the layout that were made for this sector size.", core::FaultClass::image},
    {"layout.disk-size", "The disk is smaller than the platform asks for",
     "Check the unit's storage against the bill of material, or MinSectorCount in OEMDevicePlatform.xml.",
     core::FaultClass::unit},
    {"layout.partition-missing", "A partition of the layout is missing",
     "Check that the image was built from this DeviceLayout.xml, then flash the device again.", core::FaultClass::image},
    {"layout.partition-order", "The partitions are not in the layout's order",
     "Check that the image was built from this DeviceLayout.xml, then flash the device again.", core::FaultClass::image},
    {"layout.partition-type", "A partition has another type than the layout says",
     "Check Type in DeviceLayout.xml against the image that was flashed.", core::FaultClass::image},
    {"layout.partition-id", "A partition's own id is not the layout's, is empty, or is used twice",
     "Check Id in DeviceLayout.xml against the image that was flashed.", core::FaultClass::image},
    {"layout.partition-size", "A partition has another size than the layout says",
     "Check TotalSectors, MinFreeSectors and UseAllSpace in DeviceLayout.xml against the image that was flashed.",
     core::FaultClass::image},
    {"layout.partition-alignment", "A partition does not begin at a multiple of its alignment",
     "Check ByteAlignment in DeviceLayout.xml against the image that was flashed.", core::FaultClass::image},
    {"layout.partition-attributes", "A partition has other attributes than the layout says",
     "Check Bootable, ReadOnly, Hidden and AttachDriveLetter in DeviceLayout.xml against the image that was flashed.",
     core::FaultClass::image},
    {"layout.partition-unexpected", "The disk has a partition that the layout does not name",
     "Check where it comes from; add it to DeviceLayout.xml if it belongs there.", core::FaultClass::image},
    {"layout.file-system", "A partition does not hold the file system that the layout says",
     "Flash the device again; if the image shows the same, build the image again.", core::FaultClass::image},
    {"bcd.store-present", "There is no BCD store on the EFI system partition",
     "Check that the image's BCD package is in the build; the file is EFI\\Microsoft\\Boot\\BCD.", core::FaultClass::image},
    {"bcd.store-readable", "The BCD store cannot be read",
     "Flash the device again; if the image shows the same, build the image again.", core::FaultClass::image},
    {"bcd.boot-manager", "The BCD store has no boot manager object",
     "Check that the image's BCD package is complete, then build the image again.", core::FaultClass::image},
    {"bcd.default-object", "The boot manager's default entry is not set or names no object of the store",
     "Set default in the boot manager object to the loader of the main system.", core::FaultClass::image},
    {"bcd.recovery-sequence", "The default entry's recoverysequence does not name the recovery loader",
     "Set recoverysequence of the default entry to the recovery loader's id, for example by the RECOVERY_BCD feature.",
     core::FaultClass::image},
    {"bcd.recovery-disabled", "Recovery is not enabled for the default entry",
     "Set recoveryenabled of the default entry to yes.", core::FaultClass::image},
    {"bcd.recovery-loader", "The recovery loader object is missing or is not an operating system loader",
     "Check that the image's recovery BCD package is in the build.", core::FaultClass::image},
    {"bcd.recovery-device", "The recovery loader does not start from a RAM disk on the disk's own recovery partition",
     "Set device and osdevice of the recovery loader to a ramdisk on the recovery partition of this disk.",
     core::FaultClass::image},
    {"bcd.recovery-winpe", "The recovery loader is not marked as Windows PE", "Set winpe of the recovery loader to yes.",
     core::FaultClass::image},
    {"bcd.recovery-path", "The recovery loader's paths do not name the recovery WIM and its Windows loader",
     "Set the ramdisk's file, path and systemroot of the recovery loader as the recovery BCD package does.",
     core::FaultClass::image},
    {"recovery.partition-missing", "The disk has no recovery partition",
     "Use a layout with a recovery partition, for example GPT8GB-R, and build the image again.", core::FaultClass::image},
    {"recovery.partition-too-small", "The recovery partition is smaller than 2,000,000,000 bytes",
     "Set TotalSectors of the MMOS partition to at least 3906250 sectors of 512 bytes.", core::FaultClass::image},
    {"recovery.partition-attributes", "The recovery partition does not have the attributes required and no drive letter",
     "Set its GPT attributes to 0x8000000000000001.", core::FaultClass::image},
    {"recovery.partition-order", "The recovery partition does not follow directly after the Windows partition",
     "Create the recovery partition directly after the Windows partition, or updates of WinRE cannot grow it.",
     core::FaultClass::image},
    {"recovery.file-system", "The recovery partition does not hold the file system that it must",
     "Format the recovery partition as the recovery profile asks, and build the recovery image again.",
     core::FaultClass::image},
    {"recovery.file-missing", "A file that recovery needs is missing",
     "Build the recovery image again, and check that its files were copied to the recovery partition's root.",
     core::FaultClass::image},
    {"recovery.wim-damaged", "A WIM that recovery needs is damaged",
     "Flash the device again; if the image shows the same, build the recovery image again.", core::FaultClass::image},
    {"recovery.wim-too-large", "A WIM is larger than a FAT32 file can be",
     "Make the captured partition smaller; each WIM has to be below 4 GiB.", core::FaultClass::image},
    {"recovery.version-file", "RecoveryImageVersion.txt does not hold a version",
     "Write the version of the board support package into it, for example 10.0.1.0.", core::FaultClass::image},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::inspect
