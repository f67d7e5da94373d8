// SPDX-License-Identifier: GPL-3.0-or-later
// Judges the store, its default entry and the way from there to the recovery system.
#include "flash/inspect/bcd_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "flash/core/text.hpp"

namespace imprint::inspect {
namespace {

constexpr std::uint32_t kDevice = 0x11000001;
constexpr std::uint32_t kPath = 0x12000002;
constexpr std::uint32_t kOsDevice = 0x21000001;
constexpr std::uint32_t kSystemRoot = 0x22000002;
constexpr std::uint32_t kDefault = 0x23000003;
constexpr std::uint32_t kRecoverySequence = 0x14000008;
constexpr std::uint32_t kRecoveryEnabled = 0x16000009;
constexpr std::uint32_t kWinPe = 0x26000022;
constexpr std::uint32_t kBootManagerType = 0x10100002;
constexpr std::uint32_t kOsLoaderType = 0x10200003;
constexpr std::uint32_t kMobileLoaderType = 0x1020000A;  // the loader of IoT Core's main system

// The element's value when it is there and of this kind.
template <class T>
const T* value_of(const bcd::Store& store, const core::Guid& id, std::uint32_t element) {
  const bcd::Element* found = store.find_inherited(id, element);
  return found != nullptr ? std::get_if<T>(&found->value) : nullptr;
}

std::string name_of(const core::Guid& id) {
  const std::string_view name = bcd::object_name(id);
  return id.braced() + (name.empty() ? "" : " " + std::string(name));
}

std::string normalised(std::string_view path) {
  std::string out = core::to_lower_ascii(path);
  std::replace(out.begin(), out.end(), '/', '\\');
  return out;
}

std::string yes_or_no(const bool* value) { return value == nullptr ? "not set" : *value ? "yes" : "no"; }

void judge_flag(CheckList& checks, ErrorId check, std::string_view name, const bool* value) {
  checks.judge(check, value != nullptr && *value, fmt::format("{} yes", name),
               fmt::format("{} {}", name, yes_or_no(value)));
}

bool same_place(const bcd::Device& a, const bcd::Device& b) {
  if (const auto* gpt = std::get_if<bcd::GptPartition>(&a.kind)) {
    const auto* other = std::get_if<bcd::GptPartition>(&b.kind);
    return other != nullptr && *gpt == *other;
  }
  const auto* mbr = std::get_if<bcd::MbrPartition>(&a.kind);
  const auto* other = std::get_if<bcd::MbrPartition>(&b.kind);
  return mbr != nullptr && other != nullptr && *mbr == *other;
}

const bcd::Ramdisk* ramdisk_of(const bcd::Store& store, const core::Guid& loader, std::uint32_t element) {
  const auto* device = value_of<bcd::Device>(store, loader, element);
  return device != nullptr ? std::get_if<bcd::Ramdisk>(&device->kind) : nullptr;
}

void judge_device(CheckList& checks, const bcd::Store& store, const core::Guid& loader, std::uint32_t element,
                  std::string_view name, const RecoveryLoaderRules& rules) {
  const auto* device = value_of<bcd::Device>(store, loader, element);
  const std::string actual = fmt::format("{} {}", name, device != nullptr ? describe(*device) : "not set");
  if (!rules.partition) {
    checks.not_checked("bcd.recovery-device", "there is no recovery partition to compare it with");
    return;
  }
  const auto* ramdisk = device != nullptr ? std::get_if<bcd::Ramdisk>(&device->kind) : nullptr;
  const bool good = ramdisk != nullptr && ramdisk->parent && same_place(*rules.partition, *ramdisk->parent);
  checks.judge("bcd.recovery-device", good, fmt::format("{} ramdisk on {}", name, describe(*rules.partition)), actual);
}

void judge_ramdisk_file(CheckList& checks, const bcd::Store& store, const core::Guid& loader, std::uint32_t element,
                        std::string_view name, const RecoveryLoaderRules& rules) {
  const std::string expected = fmt::format("{} file {}", name, rules.wim_path);
  const auto* ramdisk = ramdisk_of(store, loader, element);
  if (ramdisk == nullptr) {
    checks.not_checked("bcd.recovery-path", fmt::format("{} is not a ramdisk", name), expected);
    return;
  }
  checks.judge("bcd.recovery-path", normalised(ramdisk->path) == normalised(rules.wim_path), expected,
               fmt::format("{} file {}", name, ramdisk->path));
}

void judge_paths(CheckList& checks, const bcd::Store& store, const core::Guid& loader,
                 const RecoveryLoaderRules& rules) {
  judge_ramdisk_file(checks, store, loader, kDevice, "device", rules);
  judge_ramdisk_file(checks, store, loader, kOsDevice, "osdevice", rules);
  const auto* path = value_of<std::string>(store, loader, kPath);
  const std::string program = path != nullptr ? normalised(*path) : std::string();
  const bool good = program.ends_with("\\winload.efi") || (!rules.efi_only && program.ends_with("\\winload.exe"));
  checks.judge("bcd.recovery-path", good, "path \\windows\\system32\\boot\\winload.efi",
               "path " + (path != nullptr ? *path : "not set"));
  const auto* root = value_of<std::string>(store, loader, kSystemRoot);
  checks.judge("bcd.recovery-path", root != nullptr && normalised(*root) == "\\windows", "systemroot \\windows",
               "systemroot " + (root != nullptr ? *root : "not set"));
}

// A RAM disk counts as the partition that its file lies on.
void judge_on_disk(CheckList& checks, const bcd::Store& store, const core::Guid& entry, std::uint32_t element,
                   std::string_view name, const disk::PartitionTable& table) {
  const std::string expected = fmt::format("{} on a partition of this disk", name);
  const auto* device = value_of<bcd::Device>(store, entry, element);
  const std::string actual = fmt::format("{} {}", name, device != nullptr ? describe(*device) : "not set");
  const auto* ramdisk = device != nullptr ? std::get_if<bcd::Ramdisk>(&device->kind) : nullptr;
  if (ramdisk != nullptr && ramdisk->parent) device = ramdisk->parent.get();
  const bool names_partition = device != nullptr && (std::holds_alternative<bcd::GptPartition>(device->kind) ||
                                                     std::holds_alternative<bcd::MbrPartition>(device->kind));
  const auto is_named = [&](const disk::Partition& partition) {
    return !is_container(table, partition) && same_place(device_of(table, partition), *device);
  };
  checks.judge("bcd.default-device", !names_partition || std::ranges::any_of(table.partitions, is_named), expected,
               actual);
}

// What recoverysequence names first: that is what the boot manager starts.
std::optional<core::Guid> judge_sequence(CheckList& checks, const bcd::Store& store,
                                         const std::optional<core::Guid>& entry, const RecoveryLoaderRules& rules) {
  if (!entry) {
    checks.not_checked("bcd.recovery-sequence", "the default entry is not known");
    checks.not_checked("bcd.recovery-disabled", "the default entry is not known");
    return rules.loader;
  }
  const auto* sequence = value_of<std::vector<core::Guid>>(store, *entry, kRecoverySequence);
  std::string actual;
  for (const core::Guid& id : sequence != nullptr ? *sequence : std::vector<core::Guid>{}) {
    actual += (actual.empty() ? "" : ", ") + name_of(id);
  }
  const bool named = sequence != nullptr && !sequence->empty();
  checks.judge("bcd.recovery-sequence", named && (!rules.loader || sequence->front() == *rules.loader),
               rules.loader ? name_of(*rules.loader) : "a recovery loader", named ? actual : "not set");
  judge_flag(checks, "bcd.recovery-disabled", "recoveryenabled", value_of<bool>(store, *entry, kRecoveryEnabled));
  if (rules.loader) return rules.loader;
  return named ? std::optional(sequence->front()) : std::nullopt;
}

}  // namespace

std::string describe(const bcd::Device& device) {
  struct Describer {
    std::string operator()(const bcd::BootDevice&) const { return "the boot device"; }
    std::string operator()(const bcd::GptPartition& p) const {
      return fmt::format("GPT partition {} of disk {}", p.partition.braced(), p.disk.braced());
    }
    std::string operator()(const bcd::MbrPartition& p) const {
      return fmt::format("MBR partition at byte {} of disk 0x{:08X}", p.offset, p.signature);
    }
    std::string operator()(const bcd::Ramdisk& r) const {
      // One level is all that real stores have; a deeper parent is named without its own.
      const auto* nested = r.parent ? std::get_if<bcd::Ramdisk>(&r.parent->kind) : nullptr;
      const std::string parent = nested != nullptr ? "another ramdisk" : r.parent ? describe(*r.parent) : "nothing";
      return fmt::format("ramdisk {} on {}", r.path, parent);
    }
    std::string operator()(const bcd::Locate& l) const { return fmt::format("locate by element {:08x}", l.element); }
    std::string operator()(const bcd::UnknownDevice& u) const {
      return fmt::format("a device of unknown type {}", u.type);
    }
  };
  return std::visit(Describer{}, device.kind);
}

bcd::Device device_of(const disk::PartitionTable& table, const disk::Partition& partition) {
  bcd::Device device;
  if (table.style == disk::TableStyle::gpt) {
    device.kind = bcd::GptPartition{table.disk_id, partition.id};
  } else {
    device.kind = bcd::MbrPartition{table.mbr_signature, partition.first_sector * table.sector_size};
  }
  return device;
}

std::optional<bcd::Store> judge_store(CheckList& checks, const DiskView& view) {
  const std::string expected = "EFI\\Microsoft\\Boot\\BCD on the EFI system partition";
  bool present = false;
  auto hive = view.read_hive(present);
  if (!present) {
    if (!hive) checks.fail_or_skip("bcd.store-present", expected, hive.error());
    checks.not_checked("bcd.store-readable", "there is no store to read");
    return std::nullopt;
  }
  if (!hive) {
    checks.pass("bcd.store-present", expected, "present");
    checks.fail_or_skip("bcd.store-readable", "a BCD hive", hive.error());
    return std::nullopt;
  }
  checks.pass("bcd.store-present", expected, hive->place);
  auto store = bcd::Store::read(hive->bytes);
  if (!store) {
    checks.fail_or_skip("bcd.store-readable", "a BCD hive", store.error());
    return std::nullopt;
  }
  checks.pass("bcd.store-readable", "a BCD hive", fmt::format("{} objects", store->objects().size()));
  return *std::move(store);
}

std::optional<core::Guid> judge_default(CheckList& checks, const bcd::Store& store) {
  const core::Guid manager_id = bcd::objects::boot_manager();
  const bcd::Object* manager = store.find(manager_id);
  const std::string expected = fmt::format("{} of type 0x{:08x}", name_of(manager_id), kBootManagerType);
  if (manager == nullptr) {
    checks.fail("bcd.boot-manager", expected, "not there");
    checks.not_checked("bcd.default-object", "there is no boot manager object");
    return std::nullopt;
  }
  checks.judge("bcd.boot-manager", manager->type == kBootManagerType, expected,
               fmt::format("type 0x{:08x}", manager->type));
  const std::string wanted =
      fmt::format("default names an object of type 0x{:08x} or 0x{:08x}", kOsLoaderType, kMobileLoaderType);
  const auto* entry = value_of<core::Guid>(store, manager_id, kDefault);
  if (entry == nullptr) {
    checks.fail("bcd.default-object", wanted, "default not set");
    return std::nullopt;
  }
  const bcd::Object* object = store.find(*entry);
  const bool good = object != nullptr && (object->type == kOsLoaderType || object->type == kMobileLoaderType);
  checks.judge(
      "bcd.default-object", good, wanted,
      name_of(*entry) + (object != nullptr ? fmt::format(" of type 0x{:08x}", object->type) : ", not in the store"));
  return object != nullptr ? std::optional(*entry) : std::nullopt;
}

void judge_default_device(CheckList& checks, const bcd::Store& store, const std::optional<core::Guid>& entry,
                          const disk::PartitionTable& table) {
  if (!entry) {
    checks.not_checked("bcd.default-device", "the default entry is not known");
    return;
  }
  judge_on_disk(checks, store, *entry, kDevice, "device", table);
  judge_on_disk(checks, store, *entry, kOsDevice, "osdevice", table);
}

void judge_recovery_entry(CheckList& checks, const bcd::Store& store, const std::optional<core::Guid>& entry,
                          const RecoveryLoaderRules& rules) {
  const std::optional<core::Guid> loader = judge_sequence(checks, store, entry, rules);
  if (!loader) {
    for (const ErrorId check : {ErrorId("bcd.recovery-loader"), ErrorId("bcd.recovery-device"),
                                ErrorId("bcd.recovery-winpe"), ErrorId("bcd.recovery-path")}) {
      checks.not_checked(check, "no recovery loader is named");
    }
    return;
  }
  const bcd::Object* object = store.find(*loader);
  checks.judge("bcd.recovery-loader", object != nullptr && object->type == kOsLoaderType,
               fmt::format("{} of type 0x{:08x}", name_of(*loader), kOsLoaderType),
               object != nullptr ? fmt::format("type 0x{:08x}", object->type) : "not there");
  if (object == nullptr) {
    for (const ErrorId check :
         {ErrorId("bcd.recovery-device"), ErrorId("bcd.recovery-winpe"), ErrorId("bcd.recovery-path")}) {
      checks.not_checked(check, "the recovery loader is missing");
    }
    return;
  }
  judge_device(checks, store, *loader, kDevice, "device", rules);
  judge_device(checks, store, *loader, kOsDevice, "osdevice", rules);
  judge_flag(checks, "bcd.recovery-winpe", "winpe", value_of<bool>(store, *loader, kWinPe));
  judge_paths(checks, store, *loader, rules);
}

Report inspect_bcd(const Disk& disk) {
  CheckList checks(disk.name, {"layout.table-readable", "bcd.store-present", "bcd.store-readable", "bcd.boot-manager",
                               "bcd.default-object", "bcd.default-device"});
  const DiskView view(disk);
  if (!view.judge_table(checks)) return checks.finish("the partition table could not be read");
  if (const auto store = judge_store(checks, view)) {
    judge_default_device(checks, *store, judge_default(checks, *store), *view.table());
  }
  return checks.finish("the BCD store could not be read");
}

Report inspect_bcd_file(const std::string& name, core::ByteView hive) {
  CheckList checks(name, {"bcd.store-readable", "bcd.boot-manager", "bcd.default-object"});
  auto store = bcd::Store::read(hive);
  if (!store) {
    checks.fail_or_skip("bcd.store-readable", "a BCD hive", store.error());
    return checks.finish("the BCD store could not be read");
  }
  checks.pass("bcd.store-readable", "a BCD hive", fmt::format("{} objects", store->objects().size()));
  (void)judge_default(checks, *store);
  return checks.finish("the BCD store could not be read");
}

core::Result<bcd::Store> read_bcd(const Disk& disk) {
  const DiskView view(disk);
  bool present = false;
  IMPRINT_TRY(const auto hive, view.read_hive(present));
  return bcd::Store::read(hive.bytes);
}

}  // namespace imprint::inspect
