// SPDX-License-Identifier: GPL-3.0-or-later
// Judges whether a disk can recover itself: the recovery partition, the way that the BCD leads there, and what lies
// there. Two profiles: MMOS of Windows IoT Core, and WinRE.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "flash/core/text.hpp"
#include "flash/inspect/bcd_rules.hpp"
#include "flash/inspect/disk_view.hpp"
#include "flash/inspect/recovery_files.hpp"
#include "flash/inspect/rules.hpp"

namespace imprint::inspect {
namespace {

// Decimal on purpose: the shipped layouts' 4,096,000 sectors are 2,000 MiB, which is less than 2 GiB.
constexpr std::uint64_t kSmallestMmos = 2'000'000'000;
constexpr std::uint64_t kWinReAttributes = 0x8000000000000001;
constexpr std::string_view kWinPeFile = "winpe.wim";
constexpr std::string_view kWinReFile = "\\Recovery\\WindowsRE\\Winre.wim";
constexpr std::string_view kStepFailed = "a step before it failed";

// The recovery partition, or why there is none.
using Choice = core::Result<const disk::Partition*>;

bool holds_recovery(disk::Volume& volume, core::Result<void>& stopped_by) {
  for (const std::string_view name : {kWinPeFile, std::string_view("startrecovery.cmd")}) {
    const auto entry = volume.find(name);
    if (entry) return true;
    if (!is_file_missing(entry.error()) && stopped_by) stopped_by = std::unexpected(entry.error());
  }
  return false;
}

// GPT: by name. An MBR has no names, so the partition whose root holds the recovery system is taken.
Choice choose_mmos(const DiskView& view) {
  const disk::PartitionTable& table = *view.table();
  if (table.style == disk::TableStyle::gpt) {
    if (const auto* partition = table.find("MMOS")) return partition;
    return fail("recovery.partition-missing", "no partition is named MMOS");
  }
  core::Result<void> stopped_by;
  for (const disk::Partition& partition : table.partitions) {
    if (is_container(table, partition)) continue;
    auto volume = view.open(partition);
    if (!volume) {
      if (stopped_by && !says_contents_are_bad(volume.error())) stopped_by = std::unexpected(volume.error());
      continue;
    }
    if (holds_recovery(**volume, stopped_by)) return &partition;
  }
  if (!stopped_by) return std::unexpected(stopped_by.error());
  return fail("recovery.partition-missing", "no partition holds winpe.wim in its root");
}

bool is_windows_re(const disk::PartitionTable& table, const disk::Partition& partition) {
  return table.style == disk::TableStyle::gpt ? partition.type == partition_types::windows_re()
                                              : partition.mbr_type == partition_types::kMbrWindowsRe;
}

// Updates of WinRE can leave an old recovery partition behind, so the one that the BCD names comes first.
Choice choose_windows_re(const DiskView& view, const std::optional<core::Guid>& named) {
  const disk::PartitionTable& table = *view.table();
  const disk::Partition* first = nullptr;
  for (const disk::Partition& partition : table.partitions) {
    if (!is_windows_re(table, partition)) continue;
    if (named && partition.id == *named) return &partition;
    if (first == nullptr) first = &partition;
  }
  if (first != nullptr) return first;
  return fail("recovery.partition-missing", "no partition has the type of Windows RE");
}

void judge_choice(CheckList& checks, const Choice& choice, std::string expected) {
  if (choice) {
    checks.pass("recovery.partition-missing", std::move(expected), describe(**choice));
  } else if (choice.error().id() == "recovery.partition-missing") {
    checks.fail("recovery.partition-missing", std::move(expected), choice.error().detail());
  } else {
    checks.fail_or_skip("recovery.partition-missing", std::move(expected), choice.error());
  }
}

void judge_contents(CheckList& checks, const DiskView& view, const disk::Partition& partition, disk::FileSystem wanted,
                    const RecoveryFiles& files, const std::filesystem::path& scratch) {
  const std::string expected(disk::to_string(wanted));
  auto volume = view.open(partition);
  if (!volume) {
    checks.fail_or_skip("recovery.file-system", expected, volume.error());
    return;
  }
  const disk::FileSystem kind = (*volume)->info().kind;
  checks.judge("recovery.file-system", kind == wanted, expected, std::string(disk::to_string(kind)));
  judge_recovery_files(checks, **volume, files, scratch);
}

Report inspect_mmos(const Disk& disk, const std::filesystem::path& scratch) {
  CheckList checks(disk.name, {"layout.table-readable", "recovery.partition-missing", "recovery.partition-too-small",
                               "recovery.file-system", "bcd.store-present", "bcd.store-readable", "bcd.boot-manager",
                               "bcd.default-object", "bcd.recovery-sequence", "bcd.recovery-disabled",
                               "bcd.recovery-loader", "bcd.recovery-device", "bcd.recovery-winpe", "bcd.recovery-path",
                               "recovery.file-missing", "recovery.version-file", "recovery.wim-too-large",
                               "recovery.wim-damaged", "recovery.wim-not-bootable"});
  const DiskView view(disk);
  if (!view.judge_table(checks)) return checks.finish("the partition table could not be read");
  const disk::PartitionTable& table = *view.table();
  const Choice mmos = choose_mmos(view);
  judge_choice(checks, mmos, "a partition MMOS");

  RecoveryLoaderRules rules;
  rules.loader = bcd::objects::mmos();
  rules.wim_path = "\\" + std::string(kWinPeFile);
  rules.efi_only = table.style == disk::TableStyle::gpt;
  if (mmos) {
    const disk::Partition& partition = **mmos;
    rules.partition = device_of(table, partition);
    std::uint64_t bytes = 0;
    const bool counted = core::checked_mul(partition.sector_count, disk.sector_size, bytes);
    checks.judge("recovery.partition-too-small", counted && bytes >= kSmallestMmos,
                 fmt::format("at least {} bytes", kSmallestMmos), fmt::format("{} bytes", bytes));
    const RecoveryFiles files{{std::string(kWinPeFile), "efiesp.wim", "mainos.wim", "data.wim"},
                              {"startrecovery.cmd"},
                              "RecoveryImageVersion.txt",
                              std::string(kWinPeFile)};
    judge_contents(checks, view, partition, disk::FileSystem::fat32, files, scratch);
  }
  if (const auto store = judge_store(checks, view)) {
    judge_recovery_entry(checks, *store, judge_default(checks, *store), rules);
  }
  return checks.finish(mmos ? kStepFailed : "there is no recovery partition, or a step before it failed");
}

// The partition that a loader's element names by a GPT device, through a RAM disk if it has one.
std::optional<core::Guid> named_partition(const bcd::Store& store, const core::Guid& object, std::uint32_t element_id) {
  const bcd::Element* element = store.find_inherited(object, element_id);
  const auto* device = element != nullptr ? std::get_if<bcd::Device>(&element->value) : nullptr;
  if (device == nullptr) return std::nullopt;
  if (const auto* ramdisk = std::get_if<bcd::Ramdisk>(&device->kind)) {
    if (!ramdisk->parent) return std::nullopt;
    device = ramdisk->parent.get();
  }
  const auto* gpt = std::get_if<bcd::GptPartition>(&device->kind);
  return gpt != nullptr ? std::optional(gpt->partition) : std::nullopt;
}

// The partition that the store says Windows RE starts from.
std::optional<core::Guid> named_recovery(const bcd::Store& store, const std::optional<core::Guid>& entry) {
  const bcd::Element* sequence = entry ? store.find_inherited(*entry, 0x14000008) : nullptr;
  const auto* loaders = sequence != nullptr ? std::get_if<std::vector<core::Guid>>(&sequence->value) : nullptr;
  if (loaders == nullptr || loaders->empty()) return std::nullopt;
  return named_partition(store, loaders->front(), 0x11000001);
}

void judge_place(CheckList& checks, const disk::PartitionTable& table, const disk::Partition& recovery,
                 const std::optional<core::Guid>& windows) {
  if (table.style == disk::TableStyle::gpt) {
    checks.judge("recovery.partition-attributes", recovery.attributes == kWinReAttributes,
                 fmt::format("0x{:016x}", kWinReAttributes), fmt::format("0x{:016x}", recovery.attributes));
  }
  const disk::Partition* before = nullptr;
  for (const disk::Partition& partition : table.partitions) {
    if (is_container(table, partition) || partition.first_sector >= recovery.first_sector) continue;
    if (before == nullptr || before->first_sector < partition.first_sector) before = &partition;
  }
  const auto is_windows = [&](const disk::Partition& partition) {
    if (table.style == disk::TableStyle::mbr) return partition.mbr_type == 0x07;
    return windows ? partition.id == *windows : partition.type == partition_types::basic_data();
  };
  checks.judge("recovery.partition-order", before != nullptr && is_windows(*before),
               "directly after the Windows partition",
               before != nullptr ? "after " + describe(*before) : "first on the disk");
}

CheckList winre_checks(const Disk& disk, const DiskView& view) {
  std::vector<CheckList::Entry> set = {
      "layout.table-readable",    "recovery.partition-missing", "recovery.partition-order", "recovery.file-system",
      "bcd.store-present",        "bcd.store-readable",         "bcd.boot-manager",         "bcd.default-object",
      "bcd.recovery-sequence",    "bcd.recovery-disabled",      "bcd.recovery-loader",      "bcd.recovery-device",
      "bcd.recovery-winpe",       "bcd.recovery-path",          "recovery.file-missing",    "recovery.wim-damaged",
      "recovery.wim-not-bootable"};
  // An MBR partition has no such attributes. Where the table cannot be read the check stays in the set, not made.
  if (!view.table() || view.table()->style == disk::TableStyle::gpt) {
    set.push_back(CheckList::Entry("recovery.partition-attributes"));
  }
  return {disk.name, set};
}

Report inspect_windows_re(const Disk& disk, const std::filesystem::path& scratch) {
  const DiskView view(disk);
  CheckList checks = winre_checks(disk, view);
  if (!view.judge_table(checks)) return checks.finish("the partition table could not be read");
  const disk::PartitionTable& table = *view.table();

  const auto store = judge_store(checks, view);
  const std::optional<core::Guid> entry = store ? judge_default(checks, *store) : std::nullopt;
  const Choice recovery = choose_windows_re(view, store ? named_recovery(*store, entry) : std::nullopt);
  judge_choice(checks, recovery, "a partition of the type of Windows RE");

  RecoveryLoaderRules rules;
  rules.wim_path = kWinReFile;
  rules.efi_only = table.style == disk::TableStyle::gpt;
  if (recovery) {
    rules.partition = device_of(table, **recovery);
    const auto windows = store && entry ? named_partition(*store, *entry, 0x21000001) : std::nullopt;
    judge_place(checks, table, **recovery, windows);
    judge_contents(checks, view, **recovery, disk::FileSystem::ntfs,
                   {{std::string(kWinReFile)}, {}, {}, std::string(kWinReFile)}, scratch);
  }
  if (store) judge_recovery_entry(checks, *store, entry, rules);
  return checks.finish(recovery ? kStepFailed : "there is no recovery partition, or a step before it failed");
}

}  // namespace

Report inspect_recovery(const Disk& disk, RecoveryProfile profile, const std::filesystem::path& scratch) {
  return profile == RecoveryProfile::iot_mmos ? inspect_mmos(disk, scratch) : inspect_windows_re(disk, scratch);
}

}  // namespace imprint::inspect
