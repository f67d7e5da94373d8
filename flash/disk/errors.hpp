// SPDX-License-Identifier: GPL-3.0-or-later
// Failures of disks: their partition tables, their file systems, and the layout files that say how they should look.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::disk {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"layout.no-partition-table", "The disk has neither a GPT nor an MBR partition table",
     "Check that this is a whole disk and that its sector size is right.", core::FaultClass::image},
    {"layout.gpt-damaged", "The GUID partition table is damaged",
     "Write the image again, or rebuild it from its source if the image itself has the damage.",
     core::FaultClass::image},
    {"layout.mbr-damaged", "The MBR partition table is damaged",
     "Write the image again, or rebuild it from its source if the image itself has the damage.",
     core::FaultClass::image},
    {"layout.partition-out-of-bounds", "A partition does not lie inside of the usable part of the disk",
     "Use a larger disk, or correct the start and size of the partition that is named.", core::FaultClass::image},
    {"layout.partitions-overlap", "Two partitions overlap",
     "Correct the start and size of the partitions that are named.", core::FaultClass::image},
    {"layout.partition-invalid", "A partition cannot be written into the table",
     "Correct its number, name or type in the layout.", core::FaultClass::image},
    {"volume.file-unreadable", "The file is stored in a way that cannot be read here",
     "Store it without encryption and without WIM-backed compression.", core::FaultClass::image},
    {"volume.unknown-file-system", "The partition holds no file system that can be read here",
     "Check that the partition should be FAT or NTFS and that it was formatted.", core::FaultClass::image},
    {"volume.damaged", "The file system is damaged", "Check the volume with chkdsk or fsck, or rebuild the image.",
     core::FaultClass::image},
    {"volume.file-not-found", "The file or folder is not on the volume",
     "Check the path and the partition that it should be on.", core::FaultClass::image},
    {"volume.not-a-directory", "The path names a file where a folder is needed, or a folder where a file is needed",
     "Correct the path that is named.", core::FaultClass::image},
    // Device layouts and the workspace files that carry them.
    {"workspace.xml-malformed", "A file of the workspace is not well-formed XML",
     "Correct the file at the line that is named.", core::FaultClass::image},
    {"workspace.value-invalid", "A file of the workspace holds a value that is not allowed there",
     "Correct the element at the line that is named; the detail says what is allowed.", core::FaultClass::image},
    {"layout.schema-unsupported", "The device layout uses a schema that this version does not build",
     "Write the layout in schema v1 with a GUID partition table.", core::FaultClass::image},
    {"layout.file-system-unknown", "The device layout names a file system that is not known",
     "Use FAT, FAT32 or NTFS, or leave FileSystem out for a raw partition.", core::FaultClass::image},
    {"layout.does-not-fit", "The partitions do not fit the disk",
     "Make the named partition smaller, or raise MinSectorCount to the size of the real disk.",
     core::FaultClass::image},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::disk
