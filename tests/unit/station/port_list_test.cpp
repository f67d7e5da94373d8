// SPDX-License-Identifier: GPL-3.0-or-later
// What `imprint devices` says of each port.
#include "station/ports/port_list.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace imprint;
using Problem = usb::PortDiagnosis::Problem;
using station::SlotMap;
using station::ports::PortRow;
using usb::TopologyNode;
using State = PortRow::State;
using Kind = TopologyNode::Kind;

namespace {

TopologyNode node(const std::string& port, Kind kind, std::vector<TopologyNode> ports = {}) {
  TopologyNode out;
  out.port.text = port;
  out.kind = kind;
  out.ports = std::move(ports);
  if (kind == Kind::device) {
    out.identity.vendor_id = 0x045E;
    out.identity.product_id = 0x062A;
  }
  return out;
}

// A computer, its slot map and what opening its ports would say.
struct Computer {
  std::vector<TopologyNode> ports;
  std::string slots;
  std::map<std::string, Problem> problems;
  std::vector<std::string> asked = {};
  std::vector<TopologyNode> topology = {};

  std::vector<PortRow> list() {
    topology = {node("usb1", Kind::controller, ports)};
    auto map = SlotMap::parse(slots, "slots.conf");
    REQUIRE(map);
    return station::ports::list_ports(
        topology, *map, [this](const devices::PortPath& port, devices::DisksAllowed disks) {
          asked.push_back(port.text + (disks == devices::DisksAllowed::removable ? " disk" : ""));
          usb::PortDiagnosis out;
          out.port = port;
          const auto found = problems.find(port.text);
          out.problem = found == problems.end() ? Problem::none : found->second;
          out.explanation = "explained";
          if (out.problem == Problem::refused) out.error_id = "device.disk-in-use";
          return out;
        });
  }
  // "1-2 slot state, ..."
  std::string text() {
    std::string out;
    for (const PortRow& row : list()) {
      out += (out.empty() ? "" : ", ") + row.port.text + " " + (row.slot ? row.slot->name : "-") + " ";
      out += to_string(row.state);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("the ports of the slot map come first, also those that are not there, then all other devices") {
  Computer computer{.ports = {node("1-1", Kind::device), node("1-2", Kind::empty), node("1-3", Kind::device)},
                    .slots = "b = 1-3\na = 1-2\nc = 7-1\n",
                    .problems = {{"7-1", Problem::no_such_port}}};
  CHECK(computer.text() == "1-3 b ready, 1-2 a empty, 7-1 c no such port, 1-1 - not ours");
}

TEST_CASE("ports that a star makes slots are listed where they are, and a hub between is not") {
  Computer computer{.ports = {node("1-1", Kind::hub,
                                   {node("1-1.1", Kind::device), node("1-1.2", Kind::empty), node("1-1.3", Kind::hub)}),
                              node("1-2", Kind::empty)},
                    .slots = "hub-* = 1-1.*\n",
                    .problems = {}};
  CHECK(computer.text() == "1-1.1 hub-1 ready, 1-1.2 hub-2 empty");
}

TEST_CASE("a hub in a slot is refused, and what is behind it is not ours") {
  Computer computer{.ports = {node("1-1", Kind::hub, {node("1-1.1", Kind::device)})},
                    .slots = "1 = 1-1\n",
                    .problems = {{"1-1", Problem::hub}}};
  CHECK(computer.text() == "1-1 1 refused, 1-1.1 - not ours");
}

TEST_CASE("whatever keeps a device from being opened refuses it, with its words") {
  for (const auto problem : {Problem::not_authorised, Problem::not_configured, Problem::refused, Problem::node_missing,
                             Problem::no_permission, Problem::in_use}) {
    Computer computer{.ports = {node("1-1", Kind::device)}, .slots = "1 = 1-1 disk\n", .problems = {{"1-1", problem}}};
    const auto rows = computer.list();
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].state == State::refused);
    CHECK(rows[0].reason == "explained");
    CHECK((rows[0].error_id == "device.disk-in-use") == (problem == Problem::refused));
    CHECK(computer.asked == std::vector<std::string>{"1-1 disk"});
  }
}

TEST_CASE("what is at no slot is not asked after") {
  Computer computer{
      .ports = {node("1-1", Kind::device), node("1-2", Kind::device)}, .slots = "1 = 1-1\n", .problems = {}};
  CHECK(computer.list().size() == 2);
  CHECK(computer.asked == std::vector<std::string>{"1-1"});
}

TEST_CASE("a device at either half of a slot's socket is ready, and two are refused") {
  Computer computer{
      .ports = {node("1-1", Kind::device), node("1-2", Kind::empty)}, .slots = "1 = 1-1 1-2\n", .problems = {}};
  CHECK(computer.text() == "1-1 1 ready, 1-2 1 empty");
  computer.ports[1] = node("1-2", Kind::device);
  CHECK(computer.text() == "1-1 1 refused, 1-2 1 refused");
}

TEST_CASE("a simulated device is ready, with the hint that it is for training") {
  Computer computer{.ports = {node("1-1", Kind::device)}, .slots = "1 = 1-1\n", .problems = {}};
  computer.ports[0].is_simulated = true;
  computer.ports[0].speed_now = 480'000;
  computer.ports[0].device_speed = computer.ports[0].port_speed = 5'000'000;
  const auto rows = computer.list();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].state == State::ready);
  CHECK(rows[0].reason.find("--training") != std::string::npos);
  CHECK(rows[0].reason.find("cable") != std::string::npos);
}

TEST_CASE("a computer with nothing but empty ports holds no device") {
  Computer computer{.ports = {node("1-1", Kind::empty)}, .slots = "1 = 1-1\n", .problems = {}};
  const auto rows = computer.list();
  REQUIRE(rows.size() == 1);
  CHECK_FALSE(station::ports::holds_a_device(rows[0]));
}
