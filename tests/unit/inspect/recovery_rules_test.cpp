// SPDX-License-Identifier: GPL-3.0-or-later
// The recovery rules of both profiles: a good disk passes, each defect fails exactly its own check.
#include <algorithm>
#include <catch2/catch.hpp>

#include "disk_fixture.hpp"
#include "flash/core/errors.hpp"

using namespace imprint;
using namespace imprint::inspect;
using namespace imprint::inspect::test;

namespace {

const Checks kMmosChecks = {
    "bcd.boot-manager",     "bcd.default-object",         "bcd.recovery-device",          "bcd.recovery-disabled",
    "bcd.recovery-loader",  "bcd.recovery-path",          "bcd.recovery-sequence",        "bcd.recovery-winpe",
    "bcd.store-present",    "bcd.store-readable",         "layout.table-readable",        "recovery.file-missing",
    "recovery.file-system", "recovery.partition-missing", "recovery.partition-too-small", "recovery.version-file",
    "recovery.wim-damaged", "recovery.wim-not-bootable",  "recovery.wim-too-large"};
const Checks kBcdOfRecovery = {"bcd.recovery-device", "bcd.recovery-disabled", "bcd.recovery-loader",
                               "bcd.recovery-path",   "bcd.recovery-sequence", "bcd.recovery-winpe"};

Checks sorted(Checks checks, const Checks& more) {
  checks.insert(checks.end(), more.begin(), more.end());
  std::sort(checks.begin(), checks.end());
  return checks;
}

}  // namespace

TEST_CASE("a disk that can recover itself passes every check of iot-mmos") {
  const IotDisk d;
  const Report report = d.recovery();
  expect(report, {});
  CHECK(report.verdict() == ReportVerdict::pass);
  CHECK(all_checks(report) == kMmosChecks);
}

TEST_CASE("each defect of the recovery settings fails exactly its own check") {
  IotDisk d;
  SECTION("recoverysequence names another object") {
    d.entry().set(0x14000008, std::vector<core::Guid>{bcd::objects::mobile_startup()});
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-sequence"});
  }
  SECTION("recoverysequence is empty") {
    d.entry().set(0x14000008, std::vector<core::Guid>{});
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-sequence"});
  }
  SECTION("recovery is not enabled") {
    d.entry().set(0x16000009, false);
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-disabled"});
    CHECK(finding(d.recovery(), "bcd.recovery-disabled").actual == "recoveryenabled no");
  }
  SECTION("the loader's RAM disk is on another partition") {
    d.partition("MMOS").id = core::Guid::from_name("another id");
    expect(d.recovery(), {"bcd.recovery-device"});
  }
  SECTION("the loader's RAM disk is on another disk") {
    d.table.disk_id = core::Guid::from_name("another disk");
    expect(d.recovery(), {"bcd.recovery-device"});
  }
  SECTION("only osdevice is wrong") {
    d.loader().set(0x21000001, ramdisk_on(d.table.disk_id, d.partition("Data").id, "\\winpe.wim"));
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-device"});
  }
  SECTION("the loader starts from a partition and not from a RAM disk") {
    bcd::Device device;
    device.kind = bcd::GptPartition{d.table.disk_id, d.partition("MMOS").id};
    d.loader().set(0x11000001, device);
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-device"}, {"bcd.recovery-path"});
  }
  SECTION("winpe is not set") {
    d.loader().set(0x26000022, false);
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-winpe"});
  }
  SECTION("the RAM disk's file is another") {
    d.loader().set(0x11000001, ramdisk_on(d.table.disk_id, d.partition("MMOS").id, "\\other.wim"));
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-path"});
  }
  SECTION("the loader's program is another") {
    d.loader().set(0x12000002, std::string("\\windows\\system32\\boot\\winload.exe"));
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-path"});
  }
  SECTION("systemroot is another") {
    d.loader().set(0x22000002, std::string("\\elsewhere"));
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-path"});
  }
}

TEST_CASE("a store without the recovery loader fails that check and leaves what it would say unmade") {
  IotDisk d;
  bcd::Store store;
  for (const bcd::Object& object : d.store.objects()) {
    if (object.id == bcd::objects::mmos()) continue;
    for (const bcd::Element& element : object.elements)
      store.object(object.id, object.type).set(element.id, element.value);
  }
  d.store = store;
  d.write_store();
  expect(d.recovery(), {"bcd.recovery-loader"}, {"bcd.recovery-device", "bcd.recovery-path", "bcd.recovery-winpe"});
}

TEST_CASE("settings of the default entry count when they are inherited") {
  IotDisk d;
  const core::Guid parent = bcd::objects::boot_loader_settings();
  bcd::Store store;
  store.object(bcd::objects::boot_manager(), 0x10100002).set(0x23000003, bcd::objects::mobile_startup());
  store.object(bcd::objects::mobile_startup(), 0x1020000A).set(0x14000006, std::vector<core::Guid>{parent});
  store.object(parent, 0x20200003).set(0x14000008, std::vector<core::Guid>{bcd::objects::mmos()});
  store.object(parent, 0x20200003).set(0x16000009, true);
  for (const bcd::Element& element : d.loader().elements) {
    store.object(bcd::objects::mmos(), 0x10200003).set(element.id, element.value);
  }
  d.store = store;
  d.write_store();
  expect(d.recovery(), {});
}

TEST_CASE("paths of the recovery loader are compared without case and with either slash") {
  IotDisk d;
  d.loader().set(0x12000002, std::string("/Windows/System32/Boot/WinLoad.efi"));
  d.loader().set(0x22000002, std::string("\\WINDOWS"));
  d.loader().set(0x11000001, ramdisk_on(d.table.disk_id, d.partition("MMOS").id, "\\WinPE.wim"));
  d.write_store();
  expect(d.recovery(), {});
}

TEST_CASE("an unreadable store leaves the recovery settings unmade while the files are still judged") {
  IotDisk d;
  d.write_store_bytes(core::as_bytes("this is not a registry hive"));
  expect(d.recovery(), {"bcd.store-readable"}, sorted(kBcdOfRecovery, {"bcd.boot-manager", "bcd.default-object"}));
}

TEST_CASE("a default entry that is not there leaves its settings unmade while the loader is still judged") {
  IotDisk d;
  d.store.object(bcd::objects::boot_manager(), 0x10100002).set(0x23000003, core::Guid::from_name("nowhere"));
  d.write_store();
  expect(d.recovery(), {"bcd.default-object"}, {"bcd.recovery-disabled", "bcd.recovery-sequence"});
}

TEST_CASE("no recovery partition leaves what it would hold unmade") {
  IotDisk d;
  d.files.emplace("Other", d.files.at("MMOS"));
  d.partition("MMOS").name = "Other";
  expect(d.recovery(), {"recovery.partition-missing"},
         {"bcd.recovery-device", "recovery.file-missing", "recovery.file-system", "recovery.partition-too-small",
          "recovery.version-file", "recovery.wim-damaged", "recovery.wim-not-bootable", "recovery.wim-too-large"});
}

TEST_CASE("the recovery partition is large enough from 2,000,000,000 bytes on") {
  IotDisk d;
  d.files.erase("MMOS");
  d.files.erase("Data");
  d.partition("MMOS").sector_count = 3906250;
  CHECK(finding(d.recovery(), "recovery.partition-too-small").verdict == FindingVerdict::pass);
  d.partition("MMOS").sector_count = 3906249;
  CHECK(finding(d.recovery(), "recovery.partition-too-small").verdict == FindingVerdict::fail);
}

TEST_CASE("a recovery partition that is not formatted leaves its files unmade") {
  IotDisk d;
  d.files.at("MMOS").patch(0, core::ByteBuffer(65536, 0));
  expect(d.recovery(), {"recovery.file-system"},
         {"recovery.file-missing", "recovery.version-file", "recovery.wim-damaged", "recovery.wim-not-bootable",
          "recovery.wim-too-large"});
}

TEST_CASE("an NTFS recovery partition fails the file system and its files are still judged") {
  IotDisk d;
  run({"mkntfs", "-F", "-Q", "-q", "-s", "512", d.files.at("MMOS").path().string()});
  const Report report = d.recovery();
  INFO(troubles(report));
  CHECK(finding(report, "recovery.file-system").actual == "NTFS");
  CHECK(finding(report, "recovery.file-missing").verdict == FindingVerdict::fail);
}

TEST_CASE("each defect of the recovery partition's files fails exactly its own check") {
  IotDisk d;
  SECTION("a script is missing") {
    d.remove_from("MMOS", "startrecovery.cmd");
    expect(d.recovery(), {"recovery.file-missing"});
    CHECK(finding(d.recovery(), "recovery.file-missing").expected == "startrecovery.cmd");
  }
  SECTION("a WIM is missing") {
    d.remove_from("MMOS", "data.wim");
    expect(d.recovery(), {"recovery.file-missing"}, {"recovery.wim-damaged", "recovery.wim-too-large"});
  }
  SECTION("a folder has a WIM's name") {
    d.remove_from("MMOS", "data.wim");
    run({"mmd", "-i", d.files.at("MMOS").path().string(), "::data.wim"});
    expect(d.recovery(), {"recovery.file-missing"}, {"recovery.wim-damaged", "recovery.wim-too-large"});
  }
  SECTION("the version file is missing") {
    d.remove_from("MMOS", "RecoveryImageVersion.txt");
    expect(d.recovery(), {"recovery.file-missing"}, {"recovery.version-file"});
  }
  SECTION("one byte of a WIM's data differs") {
    auto bytes = read_bytes(d.folder / "good.wim");
    bytes[bytes.size() / 2] ^= 1;
    write_bytes(d.folder / "bad.wim", bytes);
    d.copy_to("MMOS", d.folder / "bad.wim", "mainos.wim");
    const Report report = d.recovery();
    expect(report, {"recovery.wim-damaged"});
    CHECK(finding(report, "recovery.wim-damaged").actual.starts_with("mainos.wim: "));
  }
  SECTION("a WIM has no image") {
    make_wim(d.folder, d.folder / "empty.wim", 0);
    d.copy_to("MMOS", d.folder / "empty.wim", "winpe.wim");
    expect(d.recovery(), {"recovery.wim-damaged"}, {"recovery.wim-not-bootable"});
  }
  SECTION("a WIM is an empty file") {
    write_bytes(d.folder / "nothing", {});
    d.copy_to("MMOS", d.folder / "nothing", "winpe.wim");
    expect(d.recovery(), {"recovery.wim-damaged"}, {"recovery.wim-not-bootable"});
  }
  SECTION("winpe.wim has no boot index") {
    make_wim(d.folder, d.folder / "data-only.wim", 1, false);
    d.copy_to("MMOS", d.folder / "data-only.wim", "winpe.wim");
    expect(d.recovery(), {"recovery.wim-not-bootable"});
    CHECK(finding(d.recovery(), "recovery.wim-not-bootable").actual == "winpe.wim boot index 0");
  }
  SECTION("the version file is empty") {
    write_bytes(d.folder / "nothing", {});
    d.copy_to("MMOS", d.folder / "nothing", "RecoveryImageVersion.txt");
    expect(d.recovery(), {"recovery.version-file"});
  }
  SECTION("the version file holds something else") {
    write_bytes(d.folder / "text", core::as_bytes("latest and greatest"));
    d.copy_to("MMOS", d.folder / "text", "RecoveryImageVersion.txt");
    expect(d.recovery(), {"recovery.version-file"});
  }
  SECTION("the version file is far too large") {
    write_bytes(d.folder / "text", core::ByteBuffer(5000, '1'));
    d.copy_to("MMOS", d.folder / "text", "RecoveryImageVersion.txt");
    expect(d.recovery(), {"recovery.version-file"});
  }
}

TEST_CASE("the WIMs that are only applied need no boot index") {
  IotDisk d;
  make_wim(d.folder, d.folder / "data-only.wim", 1, false);
  for (const std::string_view name : {"efiesp.wim", "mainos.wim", "data.wim"}) {
    d.copy_to("MMOS", d.folder / "data-only.wim", name);
  }
  expect(d.recovery(), {});
}

TEST_CASE("a version written by a Windows tool as UTF-16 is a version") {
  IotDisk d;
  const core::ByteBuffer text = {0xFF, 0xFE, '1', 0, '0', 0, '.', 0, '1', 0, '\r', 0, '\n', 0};
  write_bytes(d.folder / "text", text);
  d.copy_to("MMOS", d.folder / "text", "RecoveryImageVersion.txt");
  expect(d.recovery(), {});
}

TEST_CASE("a scratch folder that is not there leaves the WIMs unmade") {
  IotDisk d;
  const Report report = inspect_recovery(d.disk(), RecoveryProfile::iot_mmos, d.folder / "nowhere");
  expect(report, {}, {"recovery.wim-damaged", "recovery.wim-not-bootable"});
  CHECK(finding(report, "recovery.wim-damaged").message.find("io.not-found") != std::string::npos);
}

TEST_CASE("a disk that cannot be read leaves every check of iot-mmos unmade") {
  IotDisk d;
  const auto failing = std::make_shared<FailingSource>(d.disk().bytes);
  failing->fail_at = 1;
  expect(inspect_recovery({"failing", failing, 512}, RecoveryProfile::iot_mmos, d.folder.path()), {}, kMmosChecks);
}

TEST_CASE("whichever read fails, recovery is incomplete, never failed and never passed") {
  IotDisk d;
  const Disk good = d.disk();
  const auto scratch = d.folder / "scratch";
  std::filesystem::create_directories(scratch);
  const auto counter = std::make_shared<FailingSource>(good.bytes);
  REQUIRE(inspect_recovery({"n", counter, 512}, RecoveryProfile::iot_mmos, scratch).verdict() == ReportVerdict::pass);
  const std::uint64_t step = std::max<std::uint64_t>(counter->reads / 60, 1);
  for (std::uint64_t nth = 1; nth <= counter->reads; nth += step) {
    const auto failing = std::make_shared<FailingSource>(good.bytes);
    failing->fail_at = nth;
    const Report report = inspect_recovery({"failing", failing, 512}, RecoveryProfile::iot_mmos, scratch);
    INFO("read " << nth << " of " << counter->reads << "\n" << troubles(report));
    CHECK(all_checks(report) == kMmosChecks);
    CHECK(report.verdict() == ReportVerdict::incomplete);
    CHECK(std::filesystem::is_empty(scratch));
  }
}
