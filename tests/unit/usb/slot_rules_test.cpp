// SPDX-License-Identifier: GPL-3.0-or-later
// What the udev rules do, the shipped ones and those generated for slot ports, to devices at slots and elsewhere.
#include "devices/usb/slot_rules.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <vector>

#include "devices/protocol/usb_identity.hpp"
#include "tests/unit/usb/slot_rules_test_udev.hpp"

using namespace imprint;
using test::PlayedDevice;
using test::PlayedRules;
using test::Verdict;

namespace {

const std::string kFolder = IMPRINT_UDEV_RULES;
const std::string kKeyboard = ":030101:";
const std::string kDisk = ":080650:";
const std::string kSimpleIo = ":ff0000:";
const std::string kHub = ":090000:";

// Between the shipped files, as udev sorts them: `rivals` are other packages' rules.
PlayedRules rules_for(const std::vector<std::string>& ports, const std::string& rivals = "") {
  const auto generated = usb::make_slot_rules(ports);
  REQUIRE(generated);
  PlayedRules rules;
  rules.add_file(kFolder + "/52-imprint.rules");
  rules.add(*generated);
  rules.add(rivals);
  rules.add_file(kFolder + "/72-imprint-late.rules");
  return rules;
}

PlayedDevice usb_device(const std::string& port, const std::string& interfaces, const std::string& authorized = "0") {
  PlayedDevice device{.subsystem = "usb", .devtype = "usb_device", .kernel = port};
  device.attributes = {{"idVendor", "1d6b"},      {"idProduct", "0104"},
                       {"bDeviceClass", "00"},    {"authorized", authorized},
                       {"power/control", "auto"}, {"[module/usbcore]parameters/authorized_default", "-1"}};
  device.properties["ID_USB_INTERFACES"] = interfaces;
  return device;
}

PlayedDevice simple_io(const std::string& port, const std::string& interfaces = kSimpleIo) {
  PlayedDevice device = usb_device(port, interfaces);
  device.attributes["idVendor"] = "045e";
  device.attributes["idProduct"] = "062a";
  return device;
}

PlayedDevice hub(const std::string& port, const std::string& interfaces = kHub) {
  PlayedDevice device = usb_device(port, interfaces);
  device.attributes["bDeviceClass"] = "09";
  return device;
}

PlayedDevice interface_of(const PlayedDevice& parent, const std::string& interface_class) {
  PlayedDevice device{.subsystem = "usb", .devtype = "usb_interface", .kernel = parent.kernel + ":1.0"};
  device.attributes = {{"bInterfaceClass", interface_class},
                       {"authorized", "1"},
                       {"../bDeviceClass", parent.attributes.at("bDeviceClass")}};
  device.parents = {parent};
  return device;
}

// The disk of a device, which may hang below others.
PlayedDevice disk_of(const std::vector<PlayedDevice>& devices) {
  PlayedDevice disk{.subsystem = "block", .devtype = "disk", .kernel = "sda"};
  disk.parents.push_back({.subsystem = "scsi", .devtype = "scsi_device", .kernel = "0:0:0:0"});
  disk.parents.push_back(interface_of(devices[0], "08"));
  disk.parents.insert(disk.parents.end(), devices.begin(), devices.end());
  return disk;
}

bool lets_in(const Verdict& verdict) {
  return verdict.written.contains("authorized") && verdict.written.at("authorized") == "1";
}
bool puts_out(const Verdict& verdict) {
  return verdict.written.contains("authorized") && verdict.written.at("authorized") == "0";
}

}  // namespace

TEST_CASE("a protocol's device in a slot is let in and belongs to the group") {
  const auto rules = rules_for({"1-2.4", "3-4.*"});
  const auto* const port = GENERATE("1-2.4", "3-4.1", "3-4.4.2");
  const Verdict verdict = rules.play(simple_io(port));
  CHECK(lets_in(verdict));
  CHECK(verdict.group == "imprint");
  CHECK(verdict.mode == "0660");
  CHECK(verdict.property("MTP_NO_PROBE") == "1");
  CHECK(verdict.property("ID_MM_DEVICE_IGNORE") == "1");
  CHECK(verdict.written.at("power/control") == "on");
}

TEST_CASE("what is not in a slot is let in on a bus that has slots, and left to whom it belonged") {
  const auto rules = rules_for({"1-2.4", "1-3*"});
  const PlayedDevice device =
      GENERATE(simple_io("1-2.3"), usb_device("1-2", kKeyboard), usb_device("1-2.4.1", kKeyboard),
               usb_device("1-12.4", kKeyboard), usb_device("1-3", ":020201:0a0000:"));
  const Verdict verdict = rules.play(device);
  CHECK(lets_in(verdict));
  CHECK(verdict.group.empty());
  CHECK(verdict.mode.empty());
  CHECK_FALSE(verdict.tags.contains("imprint-slot"));
}

TEST_CASE("nothing is written to devices of a bus without slots") {
  const auto rules = rules_for({"1-2.4"});
  const auto* const authorized = GENERATE("0", "1");
  CHECK(rules.play(usb_device("11-2.4", kKeyboard, authorized)).written.empty());
  CHECK(rules.play({.subsystem = "usb", .devtype = "usb_device", .kernel = "usb2"}).written.empty());
}

TEST_CASE("a bus that has slots authorises nothing by itself") {
  const auto rules = rules_for({"1-2.4", "12-1"});
  const auto* const bus = GENERATE("usb1", "usb12");
  const Verdict verdict = rules.play({.subsystem = "usb", .devtype = "usb_device", .kernel = bus});
  CHECK(verdict.written.at("authorized_default") == "0");
}

TEST_CASE("with the kernel told to authorise nothing, the rules let in what is on other buses") {
  const auto rules = rules_for({"1-2.4"});
  PlayedDevice device = usb_device("7-1", kKeyboard);
  device.attributes["[module/usbcore]parameters/authorized_default"] = "0";
  CHECK(lets_in(rules.play(device)));
}

TEST_CASE("anything that is not expected in a slot stays out, and goes out if it was in") {
  const auto rules = rules_for({"1-2.4", "3-4.*"});
  const auto* const port = GENERATE("1-2.4", "3-4.1");
  const PlayedDevice device = GENERATE_COPY(
      usb_device(port, kKeyboard), usb_device(port, ":020201:0a0000:"), usb_device(port, kSimpleIo),
      usb_device(port, ":080650:030101:"), usb_device(port, ""), simple_io(port, ":ff0000:030101:"),
      simple_io(port, kKeyboard), simple_io(port, ""), hub(port, ":090000:030101:"), hub(port, kKeyboard));
  CHECK_FALSE(lets_in(rules.play(device)));
  CHECK(rules.play(device).group.empty());
  PlayedDevice already_in = device;
  already_in.attributes["authorized"] = "1";
  already_in.action = GENERATE("add", "change");
  CHECK(puts_out(rules.play(already_in)));
}

TEST_CASE("an authorisation is not written again when a driver was bound") {
  PlayedDevice device = usb_device("1-2.4", kKeyboard, "1");
  device.action = "bind";
  CHECK(rules_for({"1-2.4"}).play(device).written.empty());
}

TEST_CASE("a disk is let in at a slot, with the old transport, with UAS, or with both") {
  const auto rules = rules_for({"1-2.4"});
  CHECK(lets_in(rules.play(usb_device("1-2.4", GENERATE(":080650:", ":080650:080662:", ":080662:")))));
}

TEST_CASE("a hub among the ports of a star is let in and is no slot") {
  const auto rules = rules_for({"3-4.*"});
  const Verdict verdict = rules.play(hub("3-4.4", GENERATE(":090000:", ":090001:090002:")));
  CHECK(lets_in(verdict));
  CHECK(verdict.property("IMPRINT_SLOT").empty());
  CHECK(verdict.group.empty());
  CHECK_FALSE(verdict.tags.contains("imprint-slot"));
}

TEST_CASE("a hub at a slot's own port is let in only where another slot is behind it") {
  CHECK_FALSE(lets_in(rules_for({"1-2", "1-24.1", "1-*.2"}).play(hub("1-2"))));
  CHECK_FALSE(lets_in(rules_for({"1-*.2"}).play(hub("1-1.2"))));  // "1-1.2.1" would be no slot, and free
  CHECK(lets_in(rules_for({"1-2", "1-2.1"}).play(hub("1-2"))));
  CHECK(lets_in(rules_for({"1-2", "1-2.*"}).play(hub("1-2"))));
}

TEST_CASE("an interface that udev did not see in the descriptors is switched off in a slot") {
  const auto rules = rules_for({"1-2.4", "3-4.*", "1-*.7"});
  const auto* const port = GENERATE("1-2.4", "3-4.1", "1-3.7");
  CHECK(puts_out(rules.play(interface_of(simple_io(port), "03"))));
  CHECK(puts_out(rules.play(interface_of(simple_io(port), "09"))));
  CHECK(puts_out(rules.play(interface_of(hub(port), "03"))));
  CHECK(rules.play(interface_of(simple_io(port), "ff")).written.empty());
  CHECK(rules.play(interface_of(usb_device(port, kDisk), "08")).written.empty());
  CHECK(rules.play(interface_of(hub(port), "09")).written.empty());
  CHECK(rules.play(interface_of(usb_device("1-5", kKeyboard), "03")).written.empty());
}

TEST_CASE("a disk in a slot is the group's, and nobody else looks into it") {
  const auto rules =
      rules_for({"1-2.4", "3-4.*"}, "SUBSYSTEM==\"block\", GROUP=\"disk\", MODE=\"0666\", TAG+=\"uaccess\"\n");
  PlayedDevice disk = disk_of({usb_device(GENERATE("1-2.4", "3-4.1"), kDisk), hub("1-2"), hub("usb1")});
  disk.devtype = GENERATE("disk", "partition");
  const Verdict verdict = rules.play(disk);
  CHECK(verdict.group == "imprint");
  CHECK(verdict.mode == "0660");
  CHECK(verdict.property("UDISKS_IGNORE") == "1");
  CHECK(verdict.property("SYSTEMD_READY") == "0");
  CHECK(verdict.property("UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG") == "1");
  CHECK_FALSE(verdict.tags.contains("uaccess"));
  CHECK(verdict.options.contains("nowatch"));
}

TEST_CASE("a disk that is not in a slot is left alone, below a hub at a slot's port too") {
  const auto rules = rules_for({"1-2", "1-2.1", "3-4.*"});
  const PlayedDevice disk =
      GENERATE(disk_of({usb_device("1-2.3", kDisk), hub("1-2"), hub("usb1")}),
               disk_of({usb_device("3-4", kDisk), hub("usb3")}), disk_of({usb_device("5-1", kDisk), hub("usb5")}));
  const Verdict verdict = rules.play(disk);
  CHECK(verdict.group.empty());
  CHECK(verdict.property("UDISKS_IGNORE").empty());
  CHECK(verdict.property("SYSTEMD_READY").empty());
  CHECK(verdict.options.empty());
}

TEST_CASE("other packages' rules do not give a slot's device away") {
  const auto rules = rules_for({"1-2.4"}, "SUBSYSTEM==\"usb\", GROUP=\"plugdev\", MODE=\"0666\", TAG+=\"uaccess\"\n");
  const Verdict in_slot = rules.play(simple_io("1-2.4"));
  CHECK(in_slot.group == "imprint");
  CHECK(in_slot.mode == "0660");
  CHECK_FALSE(in_slot.tags.contains("uaccess"));
  CHECK(rules.play(simple_io("1-2.3")).tags.contains("uaccess"));
}

TEST_CASE("a device that is pulled changes nothing") {
  PlayedDevice device = simple_io("1-2.4");
  device.action = "remove";
  const Verdict verdict = rules_for({"1-2.4"}).play(device);
  CHECK(verdict.written.empty());
  CHECK(verdict.group.empty());
}

TEST_CASE("what is no port does not become part of a rule") {
  const auto* const port = GENERATE("1-2\", RUN+=\"/bin/sh", "1-2\n", "", "*", "*-2", "1*-2", "-1", "usb1", "1-2.[0-9]",
                                    "1-?", "1-*.*", "1-2.", "1-");
  const auto rules = usb::make_slot_rules(std::vector<std::string>{port});
  REQUIRE_FALSE(rules);
  CHECK(rules.error().id() == "device.port-invalid");
}

TEST_CASE("the shipped rules know the devices that a protocol is known for, and no others") {
  PlayedRules rules;
  rules.add_file(kFolder + "/52-imprint.rules");
  std::size_t known = 0;
  for (const unsigned vendor : {0x045EU, 0x0421U}) {
    for (unsigned product = 0; product <= 0xFFFF; ++product) {
      devices::UsbIdentity identity;
      identity.vendor_id = static_cast<std::uint16_t>(vendor);
      identity.product_id = static_cast<std::uint16_t>(product);
      if (!devices::protocol_of(identity)) continue;
      ++known;
      const auto hexadecimal = [](unsigned number) {
        std::ostringstream text;
        text << std::hex << std::setfill('0') << std::setw(4) << number;
        return text.str();
      };
      PlayedDevice device = usb_device("1-1", kSimpleIo);
      device.attributes["idVendor"] = hexadecimal(vendor);
      device.attributes["idProduct"] = hexadecimal(product);
      INFO(hexadecimal(vendor) << ':' << hexadecimal(product));
      CHECK(rules.play(device).property("IMPRINT_DEVICE") == "1");
    }
  }
  REQUIRE(known > 0);
  std::ifstream file(kFolder + "/52-imprint.rules");
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) lines += line.starts_with("ATTR{idVendor}") ? 1U : 0U;
  CHECK(lines == known);
}
