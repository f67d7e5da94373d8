// SPDX-License-Identifier: GPL-3.0-or-later
// BootConfigurationDatabase XML: every kind of value, and every way to be wrong with its line.
#include <catch2/catch.hpp>

#include "bcd_fixtures.hpp"
#include "flash/bcd/boot_configuration.hpp"

using namespace imprint;
using namespace imprint::bcd;
using namespace imprint::bcd::fixtures;

namespace {

const std::string kOpen =
    "<?xml version='1.0' encoding='utf-8'?>\n"
    "<BootConfigurationDatabase xmlns=\"http://schemas.microsoft.com/phone/2011/10/BootConfiguration\" "
    "IncludeDescriptions=\"true\">\n<Objects>\n";
const std::string kClose = "\n</Objects>\n</BootConfigurationDatabase>";

std::optional<Device> resolve_gpt(std::string_view name) {
  if (name == "MMOS") return gpt_device();
  return std::nullopt;
}
std::optional<Device> resolve_mbr(std::string_view name) {
  if (name == "MMOS") return Device{{}, MbrPartition{0xAE420040, 0x100000}};
  return std::nullopt;
}

std::string element(const std::string& type, const std::string& value) {
  return "<Element><DataType>" + type + "</DataType><ValueType>" + value + "</ValueType></Element>";
}
std::string well_known(const std::string& name) { return "<WellKnownType>" + name + "</WellKnownType>"; }
std::string mmos_with(const std::string& elements) {
  return kOpen + "<Object SaveKeyToRegistry=\"false\"><FriendlyName>MMOS</FriendlyName><Elements>" + elements +
         "</Elements></Object>" + kClose;
}

// The element's value in the MMOS object after a merge of this one element.
Value merged(const std::string& type, const std::string& value, std::uint32_t id,
             const PartitionResolver& resolve = resolve_gpt) {
  Store store;
  const auto status = merge_boot_configuration(store, mmos_with(element(type, value)), "test.xml", resolve);
  if (!status) FAIL(status.error().message());
  const Element* found = store.find(objects::mmos())->find(id);
  REQUIRE(found != nullptr);
  return found->value;
}

core::Error error_of(const std::string& xml, const PartitionResolver& resolve = resolve_gpt) {
  Store store = sample_store();
  const auto status = merge_boot_configuration(store, xml, "test.xml", resolve);
  REQUIRE_FALSE(status);
  CHECK(store == sample_store());
  CHECK(status.error().context_value("file") == "test.xml");
  return status.error();
}
std::string error_id(const std::string& xml, const PartitionResolver& resolve = resolve_gpt) {
  return std::string(error_of(xml, resolve).id());
}

std::string gpt_by(const std::string& partition) {
  return "<DeviceValue><GPTDevice><DiskId>{AE420040-13DD-41F2-AE7F-0DC35854C8D7}</DiskId><Partition>" + partition +
         "</Partition></GPTDevice></DeviceValue>";
}
std::string ramdisk(const std::string& parent, const std::string& options) {
  return "<DeviceValue><RamdiskDevice><ParentDevice>" + parent + "</ParentDevice><FilePath>\\winpe.wim</FilePath>" +
         options + "</RamdiskDevice></DeviceValue>";
}
const std::string kGptMmos =
    "<GPTDevice><DiskId>{AE420040-13DD-41F2-AE7F-0DC35854C8D7}</DiskId><Partition><Name>MMOS</Name></Partition></"
    "GPTDevice>";
const std::string kMbrMmos =
    "<MBRDevice><PartitionName>MMOS</PartitionName><DiskSignature>0xae420040</DiskSignature></MBRDevice>";

}  // namespace

TEST_CASE("Texts, booleans and integers become elements of their well-known type") {
  CHECK(merged(well_known("Description"), "<StringValue>IoT Recovery OS</StringValue>", 0x12000004) ==
        Value(std::string("IoT Recovery OS")));
  CHECK(merged(well_known("WinPE Image"), "<BooleanValue>true</BooleanValue>", 0x26000022) == Value(true));
  CHECK(merged(well_known("Allow Pre-release Signatures"), "<BooleanValue>False</BooleanValue>", 0x16000049) ==
        Value(false));
  CHECK(merged(well_known("Boot Menu Policy"), "<IntegerValue>0x01</IntegerValue>", 0x250000C2) ==
        Value(std::uint64_t{1}));
  CHECK(merged(well_known("Timeout"), "<IntegerValue> 30 </IntegerValue>", 0x25000004) == Value(std::uint64_t{30}));
  CHECK(merged(well_known("Description"), "<StringValue/>", 0x12000004) == Value(std::string()));
}

TEST_CASE("The names of published files are known") {
  const std::vector<std::pair<std::string, std::uint32_t>> booleans = {
      {"Boot UX Progress Animation Disable", 0x16000069},
      {"Allow Flight Signatures", 0x1600007E},
      {"Detect Kernel and HAL", 0x26000010},
      {"Persist Boot Sequence", 0x26000031},
      {"Auto Recovery Enabled", 0x16000009}};
  for (const auto& [name, id] : booleans)
    CHECK(merged(well_known(name), "<BooleanValue>1</BooleanValue>", id) == Value(true));
  CHECK(merged(well_known("System Root"), "<StringValue>\\windows</StringValue>", 0x22000002) ==
        Value(std::string("\\windows")));
  CHECK(merged(well_known("Application Path"), "<StringValue>\\a</StringValue>", 0x12000002) ==
        Value(std::string("\\a")));
  CHECK(merged(well_known("Manufacturing Mode"), "<StringValue>Default</StringValue>", 0x22000140) ==
        Value(std::string("Default")));
  CHECK(merged(well_known("PAE Policy"), "<IntegerValue>1</IntegerValue>", 0x25000021) == Value(std::uint64_t{1}));
  CHECK(merged(well_known("Boot Status Policy"), "<IntegerValue>2</IntegerValue>", 0x250000E0) ==
        Value(std::uint64_t{2}));
}

TEST_CASE("Lists of objects and integers are merged in their order") {
  const std::string objects_list =
      "<ObjectListValue><StringValues><StringValue>Boot Loader Settings Group</StringValue>"
      "<StringValue>{A5935FF2-32BA-4617-BF36-5AC314B3F9BF}</StringValue></StringValues></ObjectListValue>";
  CHECK(merged(well_known("Inherit"), objects_list, 0x14000006) ==
        Value(std::vector<core::Guid>{objects::boot_loader_settings(), objects::mmos()}));
  const std::string integers =
      "<IntegerListValue><StringValues><StringValue>0x10</StringValue><StringValue>2</StringValue></StringValues></"
      "IntegerListValue>";
  CHECK(merged(well_known("Custom Actions List"), integers, 0x27000030) == Value(std::vector<std::uint64_t>{16, 2}));
  CHECK(merged(well_known("Default Object"), "<ObjectValue>Windows Loader</ObjectValue>", 0x23000003) ==
        Value(guid("{7619dcc9-fafe-11d9-b411-000476eba25f}")));
}

TEST_CASE("A raw type takes its format from the value") {
  const auto raw = [](const std::string& name, const std::string& subclass) {
    return "<RawType><Class>" + name + "</Class><SubClass>" + subclass + "</SubClass></RawType>";
  };
  CHECK(merged(raw("Library", "0x000009"), "<BooleanValue>true</BooleanValue>", 0x16000009) == Value(true));
  CHECK(merged(raw("Application", "207"), "<BooleanValue>true</BooleanValue>", 0x26000207) == Value(true));
  CHECK(merged(raw("Device", "4"), "<StringValue>\\boot.sdi</StringValue>", 0x32000004) ==
        Value(std::string("\\boot.sdi")));
  CHECK(merged(raw("SetupTemplate", "10"), "<BooleanValue>true</BooleanValue>", 0x46000010) == Value(true));
  CHECK(merged(raw("OEM", "1"), "<IntegerValue>7</IntegerValue>", 0x55000001) == Value(std::uint64_t{7}));
  CHECK(error_id(mmos_with(element(raw("Kernel", "1"), "<StringValue/>"))) == "bcd.xml-value-invalid");
  CHECK(error_id(mmos_with(element(raw("OEM", "0x1000000"), "<StringValue/>"))) == "bcd.xml-value-invalid");
  CHECK(error_id(mmos_with(element(raw("OEM", "x"), "<StringValue/>"))) == "bcd.xml-value-invalid");
}

TEST_CASE("A GPT partition is taken by its id, or by its name from the resolver") {
  CHECK(merged(well_known("Boot Device"), gpt_by("<Id>{11111111-2222-3333-4444-555555555555}</Id>"), 0x11000001) ==
        Value(gpt_device()));
  CHECK(merged(well_known("OS Loader Type"), gpt_by("<Name>MMOS</Name>"), 0x21000001) == Value(gpt_device()));
}

TEST_CASE("A RAM disk names its parent, its file and its options object") {
  CHECK(merged(well_known("Boot Device"), ramdisk(kGptMmos, "<RamdiskOptions>true</RamdiskOptions>"), 0x11000001) ==
        Value(ramdisk_device()));
  Device without = ramdisk_device();
  without.options = {};
  CHECK(merged(well_known("Boot Device"), ramdisk(kGptMmos, ""), 0x11000001) == Value(without));
}

TEST_CASE("An MBR partition is resolved by its name") {
  const auto value = merged(well_known("Boot Device"), ramdisk(kMbrMmos, "<RamdiskOptions>true</RamdiskOptions>"),
                            0x11000001, resolve_mbr);
  const auto& device = std::get<Device>(value);
  CHECK(*std::get<Ramdisk>(device.kind).parent == resolve_mbr("MMOS"));
}

TEST_CASE("A boot device can be asked for") {
  CHECK(merged(well_known("Boot Device"), "<DeviceValue><BootDevice/></DeviceValue>", 0x11000001) == Value(Device{}));
}

TEST_CASE("A partition that the image does not have is an error with its line") {
  const auto error = error_of(mmos_with("\n\n" + element(well_known("Boot Device"), gpt_by("<Name>Recovery</Name>"))));
  CHECK(error.id() == "bcd.partition-unknown");
  CHECK(error.detail() == "Recovery");
  CHECK(error.context_value("line") == "6");
  CHECK(error_id(mmos_with(element(well_known("Boot Device"), gpt_by("<Name>MMOS</Name>"))), nullptr) ==
        "bcd.partition-unknown");
}

TEST_CASE("A partition on the other kind of disk is an error") {
  CHECK(error_id(mmos_with(element(well_known("Boot Device"), gpt_by("<Name>MMOS</Name>"))), resolve_mbr) ==
        "bcd.xml-value-invalid");
  CHECK(error_id(mmos_with(element(well_known("Boot Device"), "<DeviceValue>" + kMbrMmos + "</DeviceValue>"))) ==
        "bcd.xml-value-invalid");
}

TEST_CASE("Names that are not known are errors with their line, not left out") {
  const auto element_error = error_of(mmos_with("\n" + element(well_known("Boot Devise"), "<StringValue/>")));
  CHECK(element_error.id() == "bcd.xml-unknown-name");
  CHECK(element_error.context_value("line") == "5");
  const auto object_error =
      error_of(kOpen + "<Object>\n<FriendlyName>Windows Boot Manger</FriendlyName></Object>" + kClose);
  CHECK(object_error.id() == "bcd.xml-unknown-name");
  CHECK(object_error.context_value("line") == "5");
  CHECK(error_id(mmos_with(element(well_known("Default Object"), "<ObjectValue>Nobody</ObjectValue>"))) ==
        "bcd.xml-unknown-name");
}

TEST_CASE("An object can be given by its id and raw type, and be named afterwards") {
  Store store;
  const std::string xml =
      kOpen +
      "<Object><FriendlyName>My Loader</FriendlyName><Id>{12345678-0000-0000-0000-000000000001}</Id>"
      "<RawType>0x10200003</RawType></Object>"
      "<Object><FriendlyName>Windows Boot Manager</FriendlyName><Elements>" +
      element(well_known("Default Object"), "<ObjectValue>My Loader</ObjectValue>") + "</Elements></Object>" + kClose;
  REQUIRE(merge_boot_configuration(store, xml, "test.xml", resolve_gpt));
  const core::Guid id = guid("{12345678-0000-0000-0000-000000000001}");
  CHECK(store.find(id)->type == 0x10200003);
  CHECK(store.find(objects::boot_manager())->find(0x23000003)->value == Value(id));
}

TEST_CASE("An object of an id that is not known needs a raw type unless the store has it") {
  const std::string xml = kOpen + "<Object><Id>{12345678-0000-0000-0000-000000000001}</Id></Object>" + kClose;
  CHECK(error_id(xml) == "bcd.xml-unknown-name");
  Store store;
  store.object(guid("{12345678-0000-0000-0000-000000000001}"), 5);
  CHECK(merge_boot_configuration(store, xml, "test.xml", resolve_gpt));
  CHECK(error_id(kOpen + "<Object><Id>{12345678-0000-0000-0000-000000000001}</Id><RawType>zz</RawType></Object>" +
                 kClose) == "bcd.xml-value-invalid");
  CHECK(error_id(kOpen + "<Object><Id>nonsense</Id></Object>" + kClose) == "bcd.xml-value-invalid");
}

TEST_CASE("Elements that the store has are replaced and others stay") {
  Store store = sample_store();
  REQUIRE(merge_boot_configuration(
      store, mmos_with(element(well_known("WinPE Image"), "<BooleanValue>true</BooleanValue>")), "x", resolve_gpt));
  CHECK(store.find(objects::mmos())->find(0x26000022)->value == Value(true));
  CHECK(store.find(objects::mmos())->find(0x11000001)->value == Value(ramdisk_device()));
}

TEST_CASE("Values that do not fit are errors") {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"Boot Menu Policy", "<IntegerValue>one</IntegerValue>"},
      {"Boot Menu Policy", "<IntegerValue>-1</IntegerValue>"},
      {"Boot Menu Policy", "<IntegerValue/>"},
      {"Boot Menu Policy", "<IntegerValue>18446744073709551616</IntegerValue>"},
      {"Boot Menu Policy", "<StringValue>1</StringValue>"},
      {"WinPE Image", "<BooleanValue>maybe</BooleanValue>"},
      {"Boot Device",
       "<DeviceValue><GPTDevice><DiskId>disk</DiskId><Partition><Name>MMOS</Name></Partition></GPTDevice></"
       "DeviceValue>"},
      {"Boot Device",
       "<DeviceValue><MBRDevice><PartitionName>MMOS</PartitionName><DiskSignature>0x100000000</DiskSignature></"
       "MBRDevice></DeviceValue>"},
      {"Boot Device",
       "<DeviceValue><RamdiskDevice><ParentDevice><BootDevice/></ParentDevice><FilePath> "
       "</FilePath></RamdiskDevice></DeviceValue>"},
  };
  for (const auto& [name, value] : wrong)
    CHECK(error_id(mmos_with(element(well_known(name), value))) == "bcd.xml-value-invalid");
}

TEST_CASE("XML that is not of the schema is malformed, with its line") {
  const std::vector<std::string> wrong = {
      "",
      "text",
      "<Other/>",
      "<BootConfigurationDatabase xmlns=\"urn:other\"/>",
      "<BootConfigurationDatabase><Object/></BootConfigurationDatabase>",
      "<BootConfigurationDatabase><Objects><Thing/></Objects></BootConfigurationDatabase>",
      "<BootConfigurationDatabase/><BootConfigurationDatabase/>",
      kOpen,
      kOpen + "<Object/>" + kClose,
      kOpen + "<Object><FriendlyName>MMOS</FriendlyName><Elements><Item/></Elements></Object>" + kClose,
      kOpen + "<Object><FriendlyName>MMOS</FriendlyName><FriendlyName>MMOS</FriendlyName></Object>" + kClose,
      kOpen + "stray" + kClose,
      kOpen + "\xFF" + kClose,
      kOpen + std::string(1, '\0') + kClose,
      mmos_with("<Element><ValueType><StringValue/></ValueType></Element>"),
      mmos_with("<Element><DataType>" + well_known("Description") + "</DataType></Element>"),
      mmos_with(element("", "<StringValue/>")),
      mmos_with(element("<Type/>", "<StringValue/>")),
      mmos_with(element("<RawType><Class>OEM</Class></RawType>", "<StringValue/>")),
      mmos_with(element(well_known("Description"), "")),
      mmos_with(element(well_known("Description"), "<StringValue><b/></StringValue>")),
      mmos_with(element(well_known("Description"), "<TextValue/>")),
      mmos_with(element(well_known("Inherit"), "<ObjectListValue><Items/></ObjectListValue>")),
      mmos_with(
          element(well_known("Inherit"), "<ObjectListValue><StringValues><Item/></StringValues></ObjectListValue>")),
      mmos_with(element(well_known("Boot Device"), "<DeviceValue><SerialDevice/></DeviceValue>")),
      mmos_with(element(well_known("Boot Device"),
                        "<DeviceValue><MBRDevice><DiskSignature>1</DiskSignature></MBRDevice></DeviceValue>")),
      mmos_with(element(well_known("Boot Device"), gpt_by("<Number>1</Number>"))),
      mmos_with(element(well_known("Boot Device"), "<DeviceValue><RamdiskDevice/></DeviceValue>")),
  };
  for (const std::string& xml : wrong) {
    INFO(xml);
    CHECK(error_id(xml) == "bcd.xml-malformed");
  }
  CHECK(error_of(mmos_with("\n\n\n" + element(well_known("Description"), "<TextValue/>"))).context_value("line") ==
        "7");
}

TEST_CASE("RAM disks in RAM disks end somewhere") {
  std::string parent = kGptMmos;
  for (int i = 0; i < 50; ++i) {
    parent = "<RamdiskDevice><ParentDevice>" + parent + "</ParentDevice><FilePath>\\a</FilePath></RamdiskDevice>";
  }
  CHECK(error_id(mmos_with(element(well_known("Boot Device"), "<DeviceValue>" + parent + "</DeviceValue>"))) ==
        "bcd.xml-value-invalid");
}

TEST_CASE("A byte order mark, a prefix, comments and UTF-16 are accepted") {
  const std::string xml =
      mmos_with("<!-- why -->" + element(well_known("Description"), "<StringValue>a<!-- b -->c</StringValue>"));
  Store plain;
  REQUIRE(merge_boot_configuration(plain, xml, "x", resolve_gpt));
  CHECK(plain.find(objects::mmos())->find(0x12000004)->value == Value(std::string("ac")));
  Store marked;
  REQUIRE(merge_boot_configuration(marked, "\xEF\xBB\xBF" + xml, "x", resolve_gpt));
  CHECK(marked == plain);
  std::string wide = "\xFF\xFE";
  for (const char c : xml) wide += std::string{c, '\0'};
  Store utf16_store;
  REQUIRE(merge_boot_configuration(utf16_store, wide, "x", resolve_gpt));
  CHECK(utf16_store == plain);
  Store prefixed;
  REQUIRE(merge_boot_configuration(
      prefixed,
      "<b:BootConfigurationDatabase xmlns:b=\"http://schemas.microsoft.com/phone/2011/10/BootConfiguration\">"
      "<b:Objects><b:Object><b:FriendlyName>MMOS</b:FriendlyName></b:Object></b:Objects>"
      "</b:BootConfigurationDatabase>",
      "x", resolve_gpt));
  CHECK(prefixed.find(objects::mmos()) != nullptr);
}
