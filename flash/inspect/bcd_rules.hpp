// SPDX-License-Identifier: GPL-3.0-or-later
// The rules over a BCD store, as the steps that the BCD and the recovery report are put together from. Used by the
// rules only. Settings are looked up through inheritance, as the boot manager does.
#pragma once

#include <optional>
#include <string>

#include "flash/bcd/store.hpp"
#include "flash/inspect/check_list.hpp"
#include "flash/inspect/disk_view.hpp"

namespace imprint::inspect {

// bcd.store-present and bcd.store-readable.
[[nodiscard]] std::optional<bcd::Store> judge_store(CheckList& checks, const DiskView& view);

// bcd.boot-manager and bcd.default-object: the id of the entry that starts by default, when it is in the store, be it a
// loader or not.
[[nodiscard]] std::optional<core::Guid> judge_default(CheckList& checks, const bcd::Store& store);
// bcd.default-device: where the default entry's device and osdevice name a partition, it has to be one of this disk.
// Devices that are only found when the machine starts (Boot, Locate) are taken as they are.
void judge_default_device(CheckList& checks, const bcd::Store& store, const std::optional<core::Guid>& entry,
                          const disk::PartitionTable& table);

// What the recovery loader has to be.
struct RecoveryLoaderRules {
  std::optional<core::Guid> loader;      // nothing: whichever recoverysequence names
  std::string wim_path;                  // the RAM disk's file, "\winpe.wim"
  std::optional<bcd::Device> partition;  // the recovery partition as it really is; nothing when there is none
  bool efi_only = true;                  // winload.efi, not winload.exe
};

// bcd.recovery-sequence, -disabled, -loader, -device, -winpe, -path. `entry`: the default entry, when it is known.
void judge_recovery_entry(CheckList& checks, const bcd::Store& store, const std::optional<core::Guid>& entry,
                          const RecoveryLoaderRules& rules);

// The device that a BCD on this disk names a partition by.
[[nodiscard]] bcd::Device device_of(const disk::PartitionTable& table, const disk::Partition& partition);
// "ramdisk \winpe.wim on GPT partition {...} of disk {...}"
[[nodiscard]] std::string describe(const bcd::Device& device);

}  // namespace imprint::inspect
