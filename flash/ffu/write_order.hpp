// SPDX-License-Identifier: GPL-3.0-or-later
// In which order blocks are written: for a disk that is captured or built, and for an image that is put into the order
// of the disk.
#pragma once

#include <cstdint>
#include <vector>

#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

// The writes that bring a disk of `disk_bytes` onto a device: zeros over both places of the partition tables, every
// block that touches `content` in the order of the disk, and the blocks that touch `last` (the partition tables) at the
// end, so that an interrupted device never looks complete. One block a descriptor, counted from the disk's start, the
// backup partition table's too: on a larger disk it then lies where its headers say that it does. Only a tail that is
// no whole block is counted from the end, as the block that ends where the disk does. plain_offset is the offset on the
// disk. The disk is at least one block and at most 2^32 blocks.
[[nodiscard]] Store order_writes(std::uint64_t disk_bytes, std::uint32_t block_size, const core::ExtentSet& content,
                                 const std::vector<core::Extent>& last);

// The same writes in the order of the disk as far as that changes nothing about what a disk of any size holds
// afterwards: writes to several places or from the disk's end stay where they are, and what lies between two of them is
// sorted, the first partition table's place at the end. Writes that later ones of the same stretch cover, and those to
// no place, are left out. `ffu.unwritable` where that would be more writes than any reader takes.
[[nodiscard]] core::Result<Store> in_disk_order(const Store& store);

// Every run as descriptors of one block each: what a compressed image asks for. `ffu.run-overlap` for what no reader
// takes anyway, `ffu.unwritable` as above.
[[nodiscard]] core::Result<Store> in_single_blocks(const Store& store);

}  // namespace imprint::ffu
