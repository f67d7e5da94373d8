// SPDX-License-Identifier: GPL-3.0-or-later
// Why a port cannot be used, and what is to be done.
#include "devices/usb/port_diagnosis.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

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
