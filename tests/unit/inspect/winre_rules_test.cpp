// SPDX-License-Identifier: GPL-3.0-or-later
// The recovery rules of a Windows PC's disk.
#include <catch2/catch.hpp>

#include "disk_fixture.hpp"

using namespace imprint;
using namespace imprint::inspect;
using namespace imprint::inspect::test;

TEST_CASE("a Windows disk that can recover itself passes every check of winre") {
  const WindowsDisk d;
  const Report report = d.recovery();
  expect(report, {});
  CHECK(report.verdict() == ReportVerdict::pass);
  CHECK(report.findings.size() == 18);
}

TEST_CASE("each defect of a Windows disk's recovery fails exactly its own check") {
  WindowsDisk d;
  SECTION("the recovery partition has another type") {
    d.table.partitions[2].type = d.table.partitions[1].type;
    expect(d.recovery(), {"recovery.partition-missing"},
           {"bcd.recovery-device", "recovery.file-missing", "recovery.file-system", "recovery.partition-attributes",
            "recovery.partition-order", "recovery.wim-damaged", "recovery.wim-not-bootable"});
  }
  SECTION("the recovery partition has other attributes") {
    d.table.partitions[2].attributes = 0x8000000000000000;
    expect(d.recovery(), {"recovery.partition-attributes"});
  }
  SECTION("another partition lies between Windows and recovery") {
    disk::Partition between = d.table.partitions[2];
    d.table.partitions[2].number = 4;
    between.number = 3;
    between.type = d.table.partitions[1].type;
    between.id = core::Guid::from_name("between");
    between.attributes = 0;
    d.table.partitions[2].first_sector += 65536;
    d.table.partitions.push_back(between);
    expect(d.recovery(), {"recovery.partition-order"});
  }
  SECTION("recovery is not enabled") {
    d.store.object(d.entry_id, 0x10200003).set(0x16000009, false);
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-disabled"});
  }
  SECTION("the RAM disk is on the Windows partition") {
    const auto device = ramdisk_on(d.table.disk_id, d.table.partitions[1].id, "\\Recovery\\WindowsRE\\Winre.wim");
    d.store.object(d.loader_id, 0x10200003).set(0x11000001, device);
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-device"});
  }
  SECTION("no recovery loader is named") {
    d.store.object(d.entry_id, 0x10200003).set(0x14000008, std::vector<core::Guid>{});
    d.write_store();
    expect(d.recovery(), {"bcd.recovery-sequence"},
           {"bcd.recovery-device", "bcd.recovery-loader", "bcd.recovery-path", "bcd.recovery-winpe"});
  }
  SECTION("Winre.wim is missing") {
    run({"mkntfs", "-F", "-Q", "-q", "-s", "512", d.files[2].path().string()});
    expect(d.recovery(), {"recovery.file-missing"}, {"recovery.wim-damaged", "recovery.wim-not-bootable"});
  }
}
