// SPDX-License-Identifier: GPL-3.0-or-later
// Well-known objects: their ids, types, bcdedit's names and the names that BCD XML calls them by.
#include <array>

#include "flash/bcd/names.hpp"
#include "flash/bcd/store.hpp"

namespace imprint::bcd {
namespace {

constexpr std::string_view kBootManagerId = "9dea862c-5cdd-4e70-acc1-f32b344d4795";
constexpr std::string_view kMobileStartupId = "01de5a27-8705-40db-bad6-96fa5187d4a6";
constexpr std::string_view kMmosId = "a5935ff2-32ba-4617-bf36-5ac314b3f9bf";
constexpr std::string_view kUpdateOsId = "311b88b5-9b30-491d-bad9-167ca3e2d417";
constexpr std::string_view kFlashingAppId = "0ff5f24a-3785-4aeb-b8fe-4226215b88c4";
constexpr std::string_view kRamdiskOptionsId = "ae5534e0-a924-466c-b836-758539a3ee3a";
constexpr std::string_view kLoaderSettingsId = "6efb52bf-1766-41db-a6b3-0ee5eff72bd7";
constexpr std::string_view kGlobalSettingsId = "7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e";
constexpr std::string_view kFirmwareManagerId = "a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba";
constexpr std::string_view kMemoryTesterId = "b2721d73-1db4-4c62-bf78-c548a880142d";
constexpr std::string_view kResumeId = "147aa509-0358-4473-b83b-d950dda00615";
constexpr std::string_view kNtldrId = "466f5a88-0af2-4f76-9038-095b170dc21c";
constexpr std::string_view kLoaderId = "7619dcc9-fafe-11d9-b411-000476eba25f";
constexpr std::string_view kSetupRamdiskId = "7619dcc8-fafe-11d9-b411-000476eba25f";
constexpr std::string_view kDebuggerSettingsId = "4636856e-540f-4170-a130-a84776f4c654";
constexpr std::string_view kEmsSettingsId = "0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9";
constexpr std::string_view kBadMemoryId = "5189b25c-5558-4bf2-bca4-289b11bd29e2";
constexpr std::string_view kHypervisorSettingsId = "7ff607e0-4395-11db-b0de-0800200c9a66";
constexpr std::string_view kResumeSettingsId = "1afa9c49-16ab-4a5c-901b-212802da9460";
constexpr std::string_view kCurrentId = "fa926493-6f1c-4193-a414-58f0b2456d1e";
constexpr std::string_view kDefaultId = "1cae1eb7-a0df-4d4d-9851-4860e34ef535";

// Type 0: an alias, or an object whose type no published store shows; it can be named but not made.
constexpr auto kObjects = std::to_array<KnownObject>({
    {kBootManagerId, 0x10100002, "{bootmgr}"},
    {kFirmwareManagerId, 0x10100001, "{fwbootmgr}"},
    {kMemoryTesterId, 0x10200005, "{memdiag}"},
    {kResumeId, 0x10200004, ""},
    {kNtldrId, 0x10300006, "{ntldr}"},
    {kLoaderId, 0x10200003, ""},
    {kSetupRamdiskId, 0x30000000, ""},
    {kRamdiskOptionsId, 0x30000000, "{ramdiskoptions}"},
    {kGlobalSettingsId, 0x20100000, "{globalsettings}"},
    {kDebuggerSettingsId, 0x20100000, "{dbgsettings}"},
    {kEmsSettingsId, 0x20100000, "{emssettings}"},
    {kBadMemoryId, 0x20100000, "{badmemory}"},
    {kLoaderSettingsId, 0x20200003, "{bootloadersettings}"},
    {kHypervisorSettingsId, 0x20200003, "{hypervisorsettings}"},
    {kResumeSettingsId, 0x20200004, "{resumeloadersettings}"},
    {kMobileStartupId, 0x1020000A, ""},
    {kMmosId, 0x10200003, ""},
    {kUpdateOsId, 0x10200003, ""},
    {kFlashingAppId, 0, ""},
    {kCurrentId, 0, "{current}"},
    {kDefaultId, 0, "{default}"},
});

struct SchemaName {
  std::string_view name;
  std::string_view id;
};
constexpr auto kSchemaNames = std::to_array<SchemaName>({
    {"Windows Boot Manager", kBootManagerId},
    {"Firmware Boot Manager", kFirmwareManagerId},
    {"Windows Memory Tester", kMemoryTesterId},
    {"Windows Resume Application", kResumeId},
    {"Windows Resume App", kResumeId},
    {"Windows Legacy NTLDR", kNtldrId},
    {"Windows Loader", kLoaderId},
    {"Windows Setup Ramdisk Options", kSetupRamdiskId},
    {"Ramdisk Options", kRamdiskOptionsId},
    {"Global Settings Group", kGlobalSettingsId},
    {"Debugger Settings Group", kDebuggerSettingsId},
    {"EMS Settings Group", kEmsSettingsId},
    {"Bad Memory Group", kBadMemoryId},
    {"Boot Loader Settings Group", kLoaderSettingsId},
    {"Hypervisor Settings Group", kHypervisorSettingsId},
    {"Resume Loader Settings Group", kResumeSettingsId},
    {"Mobile Startup App", kMobileStartupId},
    {"MMOS", kMmosId},
    {"MMOS WIM", kMmosId},
    {"Update OS WIM", kUpdateOsId},
    {"FFU Flashing App", kFlashingAppId},
    {"Current Boot Entry", kCurrentId},
    {"Default Boot Entry", kDefaultId},
});

const KnownObject* row_of(std::string_view id) {
  for (const KnownObject& row : kObjects) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

core::Guid guid_of(std::string_view id) { return core::Guid::parse(id).value_or(core::Guid{}); }

}  // namespace

const KnownObject* known_object(const core::Guid& id) { return row_of(id.to_string()); }

std::string_view object_name(const core::Guid& id) {
  const KnownObject* row = known_object(id);
  return row == nullptr ? std::string_view() : row->name;
}

const KnownObject* object_of_schema_name(std::string_view name) {
  const std::string folded = folded_name(name);
  for (const SchemaName& row : kSchemaNames) {
    if (folded_name(row.name) == folded) return row_of(row.id);
  }
  return nullptr;
}

namespace objects {
core::Guid boot_manager() { return guid_of(kBootManagerId); }
core::Guid mobile_startup() { return guid_of(kMobileStartupId); }
core::Guid mmos() { return guid_of(kMmosId); }
core::Guid ramdisk_options() { return guid_of(kRamdiskOptionsId); }
core::Guid boot_loader_settings() { return guid_of(kLoaderSettingsId); }
core::Guid global_settings() { return guid_of(kGlobalSettingsId); }
}  // namespace objects

}  // namespace imprint::bcd
