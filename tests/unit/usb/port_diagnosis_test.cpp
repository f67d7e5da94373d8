// SPDX-License-Identifier: GPL-3.0-or-later
// Why a port cannot be used, and what is to be done.
#include "devices/usb/port_diagnosis.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/devices/disk_fixture.hpp"
#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;
using Problem = usb::PortDiagnosis::Problem;

TEST_CASE("a text that is no port, a port that no hub has and an empty port are told apart") {
  MockUsb computer;
  computer.add_hub("1-2", 2);
  CHECK(usb::explain({"slot\x1B 1"}).problem == Problem::invalid_port);
  CHECK(usb::explain({"slot\x1B 1"}).port.text == "slot? 1");
  CHECK(usb::explain({"1-2..1"}).problem == Problem::invalid_port);
  CHECK(usb::explain({"1-2.3"}).problem == Problem::no_such_port);
  CHECK(usb::explain({"7-1"}).problem == Problem::no_such_port);
  CHECK(usb::explain({"1-2.2"}).problem == Problem::empty);
  CHECK(usb::explain({"1-1"}).problem == Problem::empty);
}

TEST_CASE("a device that can be opened has no problem, and its node is named") {
  MockUsb computer;
  computer.plug();
  const auto diagnosis = usb::explain({"1-1"});
  CHECK(diagnosis.problem == Problem::none);
  CHECK(diagnosis.node == computer.node("1-1"));
  CHECK(diagnosis.remedy.empty());
}

TEST_CASE("a bound kernel driver is named, and a claim by another program is a problem") {
  MockUsb computer;
  computer.plug({.path = "1-1"});
  computer.add_interface("1-1", 0xFF, "qcserial");
  computer.plug({.path = "1-2"});
  computer.add_interface("1-2", 0xFF, "usbfs");
  const auto bound = usb::explain({"1-1"});
  CHECK(bound.problem == Problem::none);
  CHECK(bound.drivers == std::vector<std::string>{"qcserial"});
  CHECK(bound.explanation.find("qcserial") != std::string::npos);
  CHECK(usb::explain({"1-2"}).problem == Problem::in_use);
}

TEST_CASE("a device that is not authorised is said to be so") {
  MockUsb computer;
  computer.plug({.authorised = false});
  CHECK(usb::explain({"1-1"}).problem == Problem::not_authorised);
}

TEST_CASE("a missing device node is said to be missing") {
  MockUsb computer;
  computer.plug();
  REQUIRE(std::filesystem::remove(computer.real_node("1-1")));
  CHECK(usb::explain({"1-1"}).problem == Problem::node_missing);
}

TEST_CASE("a node that keeps this user out is named with its mode, owner and group") {
  MockUsb computer;
  computer.plug();
  const bool was_root = ::geteuid() == 0;
  REQUIRE(::chmod(computer.root().c_str(), 0755) == 0);
  REQUIRE(::chmod(computer.real_node("1-1").c_str(), was_root ? 0600 : 0) == 0);
  constexpr uid_t kNobody = 65534;
  if (was_root) REQUIRE(::setresuid(kNobody, kNobody, 0) == 0);
  const auto diagnosis = usb::explain({"1-1"});
  if (was_root) REQUIRE(::setresuid(0, 0, 0) == 0);
  CHECK(diagnosis.problem == Problem::no_permission);
  CHECK((diagnosis.mode & 0777U) == (was_root ? 0600U : 0U));
  CHECK_FALSE(diagnosis.owner.empty());
  CHECK_FALSE(diagnosis.group.empty());
  CHECK(diagnosis.remedy.find("52-imprint.rules") != std::string::npos);
}

namespace {

using devices::DisksAllowed;

constexpr std::uint8_t kKeyboard = 0x03;
constexpr std::uint8_t kStorage = 0x08;

// A device at 1-1 whose interfaces have these classes, the first of which drives what the kernel shows.
void plug_with(MockUsb& computer, const std::vector<std::uint8_t>& classes, const std::string& driver = "",
               const DeviceSpec& like = {}) {
  std::vector<InterfaceSpec> interfaces;
  for (const std::uint8_t one : classes) {
    interfaces.push_back({.interface_class = one, .number = static_cast<std::uint8_t>(interfaces.size())});
  }
  DeviceSpec spec = like;
  spec.config = config_descriptor(interfaces);
  computer.plug(spec);
  computer.add_interface(spec.path, classes.at(0), driver);
}

constexpr std::uint16_t kOther = 0x1234;

std::unique_ptr<FakeDisk> make_disk() {
  auto disk = std::make_unique<FakeDisk>();
  disk->bytes.resize(1U << 20);
  return disk;
}

// To other users, as the system's are; umockdev makes a socket in its own for each that listens.
void open_folders(const std::filesystem::path& root) {
  REQUIRE(::chmod(root.c_str(), 0777) == 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.is_directory() && !entry.is_symlink()) REQUIRE(::chmod(entry.path().c_str(), 0755) == 0);
  }
}

// A disk at 1-1, and the kernel's view of it: removable, and nobody uses it.
struct ComputerWithDisk {
  MockUsb usb;
  std::unique_ptr<FakeDisk> disk = make_disk();
  DiskSystem system{*disk};

  explicit ComputerWithDisk(const std::vector<std::uint8_t>& classes = {kStorage}) {
    plug_with(usb, classes, "usb-storage", {.vendor_id = kOther, .product_id = kOther});
    usb.add_disk("1-1", "sdb");
    // umockdev's disk has no number of its own.
    std::filesystem::create_symlink("../../devices/usb1/block/sdb", system.paths.sys / "dev/block/0:0");
  }
  usb::PortDiagnosis check(DisksAllowed disks) const { return usb::check_port({"1-1"}, disks, system.paths); }
};

}  // namespace

TEST_CASE("check_port tells empty ports and hubs from devices") {
  MockUsb computer;
  computer.add_hub("1-2", 2);
  CHECK(usb::check_port({"nonsense"}, DisksAllowed::none).problem == Problem::invalid_port);
  CHECK(usb::check_port({"1-1"}, DisksAllowed::none).problem == Problem::empty);
  CHECK(usb::check_port({"7-1"}, DisksAllowed::none).problem == Problem::no_such_port);
  CHECK(usb::check_port({"1-2"}, DisksAllowed::none).problem == Problem::hub);
  CHECK(usb::check_port({"1-2.1"}, DisksAllowed::none).problem == Problem::empty);
}

TEST_CASE("a device of a known protocol may be opened, and its node is what is judged") {
  MockUsb computer;
  plug_with(computer, {0xFF}, "qcserial");
  const auto good = usb::check_port({"1-1"}, DisksAllowed::none);
  CHECK(good.problem == Problem::none);
  CHECK(good.node == computer.node("1-1"));
  CHECK(good.explanation.find("qcserial has it, and is detached") != std::string::npos);
  CHECK_FALSE(good.is_disk);
  CHECK_FALSE(good.is_simulated);
  REQUIRE(std::filesystem::remove(computer.real_node("1-1")));
  CHECK(usb::check_port({"1-1"}, DisksAllowed::none).problem == Problem::node_missing);
}

TEST_CASE("what opening the device would refuse, check_port refuses with the same error") {
  struct Case {
    std::vector<std::uint8_t> classes;
    std::uint16_t id;
    std::string_view error;
  };
  const auto one = GENERATE(
      Case{{kKeyboard}, kOther, "device.unexpected-interface"}, Case{{0x02}, kOther, "device.unexpected-interface"},
      Case{{0xFF}, kOther, "device.unknown"}, Case{{0xFF, kKeyboard}, 0, "device.unexpected-interface"},
      Case{{0xFF, 0xFF}, 0, "device.unexpected-interface"}, Case{{kStorage}, kOther, "device.disk-not-expected"});
  MockUsb computer;
  DeviceSpec spec;
  if (one.id != 0) spec.vendor_id = spec.product_id = one.id;
  plug_with(computer, one.classes, "", spec);
  const auto refused = usb::check_port({"1-1"}, DisksAllowed::none);
  CHECK(refused.problem == Problem::refused);
  CHECK(refused.error_id == one.error);
  CHECK_FALSE(refused.explanation.empty());
  CHECK_FALSE(refused.remedy.empty());
  const auto bus = open_bus();
  CHECK(error_id(bus->open({"1-1"})) == one.error);
}

TEST_CASE("a device without its two endpoints is refused as opening it would be") {
  MockUsb computer;
  computer.plug({.config = config_descriptor({{.endpoints = {{.address = 0x81}}}})});
  computer.add_interface("1-1", 0xFF, "");
  CHECK(usb::check_port({"1-1"}, DisksAllowed::none).error_id == "device.protocol-violation");
  CHECK(error_id(open_bus()->open({"1-1"})) == "device.protocol-violation");
}

TEST_CASE("a simulated device is said to be one") {
  MockUsb computer;
  computer.add_controller(2, "platform/vhci_hcd.0", "vhci_hcd");
  computer.plug({.path = "2-1"});
  computer.add_interface("2-1", 0xFF, "");
  const auto good = usb::check_port({"2-1"}, DisksAllowed::none);
  CHECK(good.problem == Problem::none);
  CHECK(good.is_simulated);
}

TEST_CASE("of a disk the disk's node is judged, not the USB device's, and its driver stays") {
  const ComputerWithDisk computer;
  REQUIRE(std::filesystem::remove(computer.usb.real_node("1-1")));
  const auto good = computer.check(DisksAllowed::removable);
  CHECK(good.explanation == "Its disk /dev/sdb can be opened.");
  CHECK(good.problem == Problem::none);
  CHECK(good.node == "/dev/sdb");
  CHECK(good.is_disk);
  REQUIRE(std::filesystem::remove(computer.usb.root() + "/dev/sdb"));
  CHECK(computer.check(DisksAllowed::removable).problem == Problem::node_missing);
}

TEST_CASE("a disk whose node keeps this user out is told with the remedy for disks") {
  const ComputerWithDisk computer;
  const std::string node = computer.usb.root() + "/dev/sdb";
  const bool was_root = ::geteuid() == 0;
  open_folders(computer.usb.root());
  open_folders(computer.system.paths.sys.parent_path());
  REQUIRE(::chmod(node.c_str(), was_root ? 0600 : 0) == 0);
  constexpr uid_t kNobody = 65534;
  if (was_root) REQUIRE(::setresuid(kNobody, kNobody, 0) == 0);
  const auto diagnosis = computer.check(DisksAllowed::removable);
  if (was_root) REQUIRE(::setresuid(0, 0, 0) == 0);
  INFO(diagnosis.explanation);
  CHECK(diagnosis.problem == Problem::no_permission);
  CHECK(diagnosis.explanation.find("/dev/sdb has mode") == 0);
  CHECK(diagnosis.remedy.find("52-imprint.rules") == std::string::npos);
  CHECK(diagnosis.remedy.find("--udev-rules") != std::string::npos);
}

TEST_CASE("a disk that may not be written is refused for that") {
  ComputerWithDisk computer;
  CHECK(computer.check(DisksAllowed::none).error_id == "device.disk-not-expected");
  SECTION("mounted") {
    computer.system.put("proc/self/mountinfo", "22 1 8:16 / /mnt rw shared:1 - ext4 /dev/sdb rw\n");
    CHECK(computer.check(DisksAllowed::removable).error_id == "device.disk-in-use");
  }
  SECTION("fixed") {
    computer.system.put("sys/devices/usb1/block/sdb/removable", "0");
    CHECK(computer.check(DisksAllowed::removable).error_id == "device.disk-not-removable");
    CHECK(computer.check(DisksAllowed::fixed).problem == Problem::none);
  }
  SECTION("write-protected") {
    computer.system.put("sys/devices/usb1/block/sdb/ro", "1");
    CHECK(computer.check(DisksAllowed::removable).error_id == "device.disk-read-only");
  }
  SECTION("one of two") {
    computer.usb.add_disk("1-1", "sdc");
    CHECK(computer.check(DisksAllowed::removable).error_id == "device.unknown");
  }
}

TEST_CASE("a disk that is something else, too, is refused") {
  const ComputerWithDisk composite({kStorage, kKeyboard});
  CHECK(composite.check(DisksAllowed::fixed).error_id == "device.unexpected-interface");
}

TEST_CASE("a device whose disk the kernel has not made is refused for that") {
  MockUsb computer;
  plug_with(computer, {kStorage}, "", {.vendor_id = kOther, .product_id = kOther});
  CHECK(usb::check_port({"1-1"}, DisksAllowed::fixed).error_id == "device.not-present");
}
