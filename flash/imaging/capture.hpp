// SPDX-License-Identifier: GPL-3.0-or-later
// A disk as it is, a file or a block device, made ready to be written as an image: which of its blocks have to be in
// it, in which order, and the manifest that describes it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"
#include "flash/disk/partition_table.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::imaging {

// 512 or 4096, by where the disk's GPT lies; nothing where no partition table can be read (an MBR reads as 512).
// `io.*` when the medium itself cannot be read.
[[nodiscard]] core::Result<std::optional<std::uint32_t>> find_sector_size(const core::BlockSource& disk);

struct CaptureRequest {
  std::vector<std::string> platform_ids;     // "Manufacturer.Family.Product[.Version]", into header and manifest
  std::uint32_t block_size = 131072;         // bytes, a power of two from 4 KiB to 1 MiB
  std::optional<std::uint32_t> sector_size;  // 512 or 4096; found from the partition table, or 512, unless given
  std::string description;                   // one line of ASCII for the manifest
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes of the disk that are looked through
  std::stop_token stop;
};

struct Capture {
  ffu::Store store;      // for ffu::write_image, with the disk as its source
  std::string manifest;  // FullFlash, Store, and a Partition for each one of the table
  std::uint32_t sector_size = 512;
  std::optional<disk::PartitionTable> table;  // nothing: the disk has none that can be read, and is taken as it is
  core::ExtentSet content;                    // bytes of the disk that are in the image; whole blocks go into it
};

// What extract gives back is the disk, byte for byte: every block that holds a byte other than zero is in the image. So
// is what a device needs though it is zero: what FAT and NTFS have allocated, and partitions (or a disk without a
// table) of unknown contents, but for the holes of a sparse file. The partition tables come last. Reads what is not
// allocated once to look for such bytes; a disk that changes meanwhile is the caller's to prevent.
// `ffu.unwritable` for a size that the format cannot express, `ffu.block-size`, `ffu.platform-ids`, `job.cancelled`,
// and what reading the disk gives.
[[nodiscard]] core::Result<Capture> capture_disk(const std::shared_ptr<const core::BlockSource>& disk,
                                                 const CaptureRequest& request);

}  // namespace imprint::imaging
