// SPDX-License-Identifier: GPL-3.0-or-later
// The BCD rules, and the store as JSON.
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "disk_fixture.hpp"
#include "flash/inspect/bcd_json.hpp"
#include "flash/inspect/report_json.hpp"

using namespace imprint;
using namespace imprint::inspect;
using namespace imprint::inspect::test;

namespace {

const Checks kBcdChecks = {"bcd.boot-manager",  "bcd.default-device", "bcd.default-object",
                           "bcd.store-present", "bcd.store-readable", "layout.table-readable"};
const Checks kWithoutStore = {"bcd.boot-manager", "bcd.default-device", "bcd.default-object", "bcd.store-readable"};

bcd::Device on_gpt(const core::Guid& disk, const core::Guid& partition) {
  bcd::Device device;
  device.kind = bcd::GptPartition{disk, partition};
  return device;
}

boost::json::value device_json(const bcd::Device& device) {
  bcd::Store store;
  store.object(core::Guid::from_name("x"), 0x10200003).set(0x11000001, device);
  const auto json = boost::json::parse(to_json(store, nullptr));
  return json.at("objects").at(0).at("elements").at(0).at("value");
}

}  // namespace

TEST_CASE("a good store passes every BCD check") {
  const IotDisk d;
  const Report report = d.bcd();
  expect(report, {});
  CHECK(all_checks(report) == kBcdChecks);
  CHECK(finding(report, "bcd.store-present").actual == "partition 1 (EFIESP), efi\\microsoft\\boot\\bcd");
}

TEST_CASE("each BCD defect fails exactly its own check") {
  IotDisk d;
  SECTION("no store") {
    d.remove_from("EFIESP", "EFI/Microsoft/Boot/BCD");
    expect(d.bcd(), {"bcd.store-present"}, kWithoutStore);
  }
  SECTION("no EFI system partition") {
    d.partition("EFIESP").type = d.partition("Data").type;
    d.files.emplace("Boot", d.files.at("EFIESP"));
    d.partition("EFIESP").name = "Boot";
    expect(d.bcd(), {"bcd.store-present"}, kWithoutStore);
  }
  SECTION("the EFI system partition is not formatted") {
    d.files.at("EFIESP").patch(0, core::ByteBuffer(65536, 0));
    expect(d.bcd(), {"bcd.store-present"}, kWithoutStore);
  }
  SECTION("the file is no hive") {
    d.write_store_bytes(core::as_bytes("this is not a registry hive"));
    expect(d.bcd(), {"bcd.store-readable"}, {"bcd.boot-manager", "bcd.default-device", "bcd.default-object"});
  }
  SECTION("the file is empty") {
    d.write_store_bytes({});
    expect(d.bcd(), {"bcd.store-readable"}, {"bcd.boot-manager", "bcd.default-device", "bcd.default-object"});
  }
  SECTION("the file is larger than any store") {
    d.write_store_bytes(core::ByteBuffer((16U << 20) + 1, 0));
    expect(d.bcd(), {"bcd.store-readable"}, {"bcd.boot-manager", "bcd.default-device", "bcd.default-object"});
  }
  SECTION("no boot manager") {
    d.store = bcd::Store();
    d.store.object(bcd::objects::mmos(), 0x10200003);
    d.write_store();
    expect(d.bcd(), {"bcd.boot-manager"}, {"bcd.default-device", "bcd.default-object"});
  }
  SECTION("a boot manager of another type") {
    const core::Guid entry = bcd::objects::mobile_startup();
    d.store = bcd::Store();
    d.store.object(bcd::objects::boot_manager(), 0x10200003).set(0x23000003, entry);
    d.store.object(entry, 0x1020000A);
    d.write_store();
    expect(d.bcd(), {"bcd.boot-manager"});
  }
  SECTION("no default") {
    d.store = bcd::Store();
    d.store.object(bcd::objects::boot_manager(), 0x10100002);
    d.write_store();
    expect(d.bcd(), {"bcd.default-object"}, {"bcd.default-device"});
  }
  SECTION("a default that is not in the store") {
    d.store.object(bcd::objects::boot_manager(), 0x10100002).set(0x23000003, core::Guid::from_name("nowhere"));
    d.write_store();
    expect(d.bcd(), {"bcd.default-object"}, {"bcd.default-device"});
  }
}

TEST_CASE("a default that is no operating system loader fails its check alone") {
  IotDisk d;
  const core::Guid other = core::Guid::from_name("other");
  const auto type = GENERATE(0x20100000U, 0x30000000U, 0x10100001U, 0x10200005U, 0U);
  d.store.object(other, type);
  d.store.object(bcd::objects::boot_manager(), 0x10100002).set(0x23000003, other);
  d.write_store();
  expect(d.bcd(), {"bcd.default-object"});
}

TEST_CASE("an operating system loader of Windows is a default too") {
  IotDisk d;
  const core::Guid other = core::Guid::from_name("other");
  d.store.object(other, 0x10200003);
  d.store.object(bcd::objects::boot_manager(), 0x10100002).set(0x23000003, other);
  d.write_store();
  expect(d.bcd(), {});
}

TEST_CASE("the default entry's devices have to name partitions of this disk") {
  IotDisk d;
  const auto element = GENERATE(0x11000001U, 0x21000001U);
  const bcd::Device good = on_gpt(d.table.disk_id, d.partition("MainOS").id);
  d.entry().set(0x11000001, good);
  d.entry().set(0x21000001, good);
  Checks failed = {"bcd.default-device"};
  SECTION("they do") { failed = {}; }
  SECTION("a partition that is not there") {
    d.entry().set(element, on_gpt(d.table.disk_id, core::Guid::from_name("nowhere")));
  }
  SECTION("a partition of another disk") {
    d.entry().set(element, on_gpt(core::Guid::from_name("another disk"), d.partition("MainOS").id));
  }
  SECTION("a partition of an MBR") {
    bcd::Device device;
    device.kind = bcd::MbrPartition{1, d.partition("MainOS").first_sector * 512};
    d.entry().set(element, device);
  }
  SECTION("a RAM disk on a partition that is not there") {
    d.entry().set(element, ramdisk_on(d.table.disk_id, core::Guid::from_name("nowhere"), "\\x.wim"));
  }
  SECTION("the boot device") {
    d.entry().set(element, bcd::Device{});
    failed = {};
  }
  SECTION("whichever partition holds the file") {
    bcd::Device device;
    device.kind = bcd::Locate{0x12000002};
    d.entry().set(element, device);
    failed = {};
  }
  d.write_store();
  expect(d.bcd(), failed);
}

TEST_CASE("the EFI system partition is found by its type when it has another name") {
  IotDisk d;
  d.files.emplace("Boot", d.files.at("EFIESP"));
  d.partition("EFIESP").name = "Boot";
  expect(d.bcd(), {});
}

TEST_CASE("the legacy place of the store is taken when the other is empty") {
  IotDisk d;
  d.remove_from("EFIESP", "EFI/Microsoft/Boot/BCD");
  run({"mmd", "-i", d.files.at("EFIESP").path().string(), "::Boot"});
  d.copy_to("EFIESP", d.folder / "bcd-source", "Boot/BCD");
  expect(d.bcd(), {});
  CHECK(finding(d.bcd(), "bcd.store-present").actual == "partition 1 (EFIESP), boot\\bcd");
}

TEST_CASE("a disk that cannot be read leaves every BCD check unmade") {
  IotDisk d;
  const auto failing = std::make_shared<FailingSource>(d.disk().bytes);
  failing->fail_at = 1;
  const Report report = inspect_bcd({"failing", failing, 512});
  expect(report, {}, kBcdChecks);
}

TEST_CASE("whichever read fails, no BCD check fails and none vanishes") {
  IotDisk d;
  const Disk good = d.disk();
  const auto counter = std::make_shared<FailingSource>(good.bytes);
  REQUIRE(inspect_bcd({"counted", counter, 512}).verdict() == ReportVerdict::pass);
  for (std::uint64_t nth = 1; nth <= counter->reads; ++nth) {
    const auto failing = std::make_shared<FailingSource>(good.bytes);
    failing->fail_at = nth;
    const Report report = inspect_bcd({"failing", failing, 512});
    INFO("read " << nth << "\n" << troubles(report));
    CHECK(all_checks(report) == kBcdChecks);
    CHECK(report.verdict() == ReportVerdict::incomplete);
  }
}

TEST_CASE("a store file on its own is judged without the checks of a disk") {
  IotDisk d;
  const auto hive = d.store.to_hive();
  REQUIRE(hive.has_value());
  const Report report = inspect_bcd_file("file", *hive);
  expect(report, {});
  CHECK(all_checks(report) == Checks{"bcd.boot-manager", "bcd.default-object", "bcd.store-readable"});
  expect(inspect_bcd_file("file", core::as_bytes("regf")), {"bcd.store-readable"},
         {"bcd.boot-manager", "bcd.default-object"});
}

TEST_CASE("the store that was judged can be read from the disk") {
  IotDisk d;
  const auto store = read_bcd(d.disk());
  REQUIRE(store.has_value());
  CHECK(store->objects().size() == d.store.objects().size());
  d.remove_from("EFIESP", "EFI/Microsoft/Boot/BCD");
  const auto none = read_bcd(d.disk());
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().id() == "bcd.store-present");
}

TEST_CASE("a store's JSON names objects and elements as bcdedit does") {
  IotDisk d;
  const auto json = boost::json::parse(to_json(d.store, nullptr));
  CHECK(json.as_object().size() == 1);
  const boost::json::value* found = nullptr;
  for (const auto& object : json.at("objects").as_array()) {
    if (object.at("id").as_string() == "{01de5a27-8705-40db-bad6-96fa5187d4a6}") found = &object;
  }
  REQUIRE(found != nullptr);
  CHECK(found->at("type").as_string() == "0x1020000a");
  const auto& sequence = found->at("elements").at(0);
  CHECK(sequence.at("id").as_string() == "14000008");
  CHECK(sequence.at("name").as_string() == "recoverysequence");
  CHECK(sequence.at("value").at(0).as_string() == "{a5935ff2-32ba-4617-bf36-5ac314b3f9bf}");
  const auto& enabled = found->at("elements").at(1);
  CHECK(enabled.at("name").as_string() == "recoveryenabled");
  CHECK(enabled.at("value").as_bool());
}

TEST_CASE("with expectations a store's JSON carries their verdict and findings") {
  const Report report{"x", {{"bcd.store-readable", FindingVerdict::pass, Severity::error, "", "", "", ""}}};
  const auto json = boost::json::parse(to_json(bcd::Store(), &report));
  CHECK(json.at("verdict").as_string() == "pass");
  CHECK(json.at("findings").as_array().size() == 1);
  CHECK(json.at("objects").as_array().empty());
}

TEST_CASE("devices are decoded to their kinds") {
  const core::Guid disk = core::Guid::from_name("disk");
  const core::Guid partition = core::Guid::from_name("partition");
  bcd::Device device;
  SECTION("boot") {
    device.kind = bcd::BootDevice{};
    CHECK(device_json(device).at("kind").as_string() == "boot");
  }
  SECTION("GPT") {
    device.kind = bcd::GptPartition{disk, partition};
    CHECK(device_json(device).at("kind").as_string() == "gpt-partition");
    CHECK(std::string(device_json(device).at("disk").as_string()) == disk.braced());
    CHECK(std::string(device_json(device).at("partition").as_string()) == partition.braced());
  }
  SECTION("MBR") {
    device.kind = bcd::MbrPartition{0xAE420040, 0x100000};
    CHECK(device_json(device).at("kind").as_string() == "mbr-partition");
    CHECK(device_json(device).at("signature").as_string() == "0xae420040");
    CHECK(device_json(device).at("offset").to_number<std::uint64_t>() == 0x100000);
  }
  SECTION("ramdisk") {
    const auto json = device_json(ramdisk_on(disk, partition, "\\winpe.wim"));
    CHECK(json.at("kind").as_string() == "ramdisk");
    CHECK(json.at("path").as_string() == "\\winpe.wim");
    CHECK(json.at("parent").at("kind").as_string() == "gpt-partition");
    CHECK(json.at("options").as_string() == "{ae5534e0-a924-466c-b836-758539a3ee3a}");
  }
  SECTION("locate") {
    device.kind = bcd::Locate{0x12000002};
    CHECK(device_json(device).at("kind").as_string() == "locate");
    CHECK(device_json(device).at("element").as_string() == "12000002");
  }
  SECTION("unknown") {
    device.kind = bcd::UnknownDevice{4, {1, 2}};
    CHECK(device_json(device).at("kind").as_string() == "unknown");
    CHECK(device_json(device).at("bytes").as_string() == "0102");
  }
}

TEST_CASE("RAM disks nested without end do not overrun the stack") {
  auto device = std::make_shared<bcd::Device>();
  for (int i = 0; i < 100; ++i) {
    auto outer = std::make_shared<bcd::Device>();
    outer->kind = bcd::Ramdisk{device, "\\x"};
    device = outer;
  }
  CHECK(device_json(*device).at("kind").as_string() == "ramdisk");
}

TEST_CASE("values of every format are written, and text that is no UTF-8 does not break the JSON") {
  bcd::Store store;
  bcd::Object& object = store.object(core::Guid::from_name("x"), 0x10200003);
  object.set(0x12000004, std::string("caf\xff\x1b"));
  object.set(0x23000003, core::Guid::from_name("y"));
  object.set(0x25000004, std::uint64_t{0xFFFFFFFFFFFFFFFF});
  object.set(0x27000030, std::vector<std::uint64_t>{1, 2});
  object.set(0x25000020, core::ByteBuffer{0xAB});
  const auto json = boost::json::parse(to_json(store, nullptr));
  const auto& elements = json.at("objects").at(0).at("elements").as_array();
  REQUIRE(elements.size() == 5);
  CHECK(elements[0].at("value").as_string() == "caf??");
  CHECK(std::string(elements[1].at("value").as_string()) == core::Guid::from_name("y").braced());
}

TEST_CASE("real stores are written as JSON that parses") {
  const char* samples = std::getenv("IMPRINT_SAMPLES");
  if (samples == nullptr) {
    WARN("skipped: IMPRINT_SAMPLES is not set");
    return;
  }
  int read = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(samples) / "bcd")) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || (name != "BCD" && name != "bcd" && name != "BCD-efi")) continue;
    INFO(entry.path());
    const auto store = bcd::Store::read(read_bytes(entry.path()));
    REQUIRE(store.has_value());
    CHECK(boost::json::parse(to_json(*store, nullptr)).at("objects").as_array().size() == store->objects().size());
    ++read;
  }
  CHECK(read > 0);
}
