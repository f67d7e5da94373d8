// SPDX-License-Identifier: GPL-3.0-or-later
// What `imprint devices` answers, asked of a bench and of a station that runs.
#include "station/ports/port_view.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace imprint;
using namespace imprint::station;
namespace json = boost::json;
using Kind = usb::TopologyNode::Kind;
using Problem = usb::PortDiagnosis::Problem;

namespace {

struct At {
  std::string port;
  bool simulated = false;
  Problem problem = Problem::none;
};

ports::PortView view_of(std::string_view slots, const std::vector<At>& devices) {
  ports::PortView view;
  view.slots = SlotMap::parse(slots, "slots.conf").value();
  for (const At& one : devices) {
    usb::TopologyNode& node = view.topology.emplace_back();
    node.kind = Kind::device;
    node.port.text = one.port;
    node.is_simulated = one.simulated;
    node.identity.product = "a device";
  }
  view.check = [devices](const devices::PortPath& port, devices::DisksAllowed) {
    usb::PortDiagnosis why;
    why.port = port;
    why.problem = Problem::empty;
    why.explanation = "explained";
    for (const At& one : devices) {
      if (one.port != port.text) continue;
      why.problem = one.problem;
      why.is_simulated = one.simulated;
    }
    return why;
  };
  return view;
}

json::object row(const ports::PortView& view, std::string_view port) {
  const json::object answer = list_json(view);
  for (const json::value& one : answer.at("devices").as_array())
    if (one.at("port").as_string() == port) return one.as_object();
  FAIL("there is no row of the port");
  return {};
}

SlotStatus working(const std::string& slot) {
  SlotStatus status;
  status.slot = slot;
  status.phase = SlotPhase::write;
  status.serial = "K-1";
  status.done = 43;
  status.due = 100;
  return status;
}

}  // namespace

TEST_CASE("a bench takes simulated devices with a hint, and knows of no work in a slot") {
  const auto view = view_of("1 = 1-1\n", {{.port = "1-1", .simulated = true}});
  const json::object found = row(view, "1-1");
  CHECK(found.at("state") == "ready");
  CHECK(found.at("simulated") == true);
  CHECK(std::string_view(found.at("reason").as_string()).find("--training") != std::string_view::npos);
  CHECK(found.at("at_station").is_null());
}

TEST_CASE("a station in production refuses simulated devices, and one for training real ones, in list and why alike") {
  auto view = view_of("1 = 1-1\n2 = 1-2\n", {{.port = "1-1", .simulated = true}, {.port = "1-2"}});
  view.training = false;
  CHECK(row(view, "1-1").at("error") == "station.training-only");
  CHECK(row(view, "1-2").at("state") == "ready");
  CHECK(why_json(view, {"1-1"}).at("error") == "station.training-only");
  CHECK(why_json(view, {"1-1"}).at("good") == false);
  view.training = true;
  CHECK(row(view, "1-1").at("state") == "ready");
  CHECK(row(view, "1-1").at("reason") == "");
  CHECK(row(view, "1-2").at("error") == "station.real-device");
  CHECK(why_json(view, {"1-2"}).at("good") == false);
}

TEST_CASE("what the station works with is busy and no trouble, though nobody else could open it") {
  auto view = view_of("1 = 1-1\n", {{.port = "1-1", .problem = Problem::in_use}});
  CHECK(row(view, "1-1").at("state") == "refused");
  view.training = false;
  view.at_station = {working("1")};
  const json::object found = row(view, "1-1");
  CHECK(found.at("state") == "busy");
  CHECK(found.at("reason") == "write, 43 %");
  CHECK(found.at("at_station").at("phase") == "write");
  CHECK(found.at("at_station").at("serial") == "K-1");
  const json::object why = why_json(view, {"1-1"});
  CHECK(why.at("good") == true);
  CHECK(why.at("state") == "busy");
}

TEST_CASE("a slot that is done says how it ended") {
  auto view = view_of("1 = 1-1\n", {{.port = "1-1"}});
  SlotStatus status = working("1");
  status.phase = SlotPhase::done;
  status.verdict = db::AttemptVerdict::failed;
  status.error_id = "device.disconnected";
  view.at_station = {status};
  CHECK(row(view, "1-1").at("state") == "ready");
  CHECK(row(view, "1-1").at("reason") == "failed: device.disconnected");
}

TEST_CASE("devices that are simulated within the process are listed as if they were on USB") {
  auto view = view_of("A1 = 1-1\nA2 = 1-2\n", {});
  view.training = true;
  devices::UsbIdentity identity;
  identity.product = "Virtual Simple I/O device";
  add_simulated(view, {{{"1-2"}, identity}});
  CHECK(row(view, "1-1").at("state") == "empty");
  const json::object found = row(view, "1-2");
  CHECK(found.at("state") == "ready");
  CHECK(found.at("product") == "Virtual Simple I/O device");
  CHECK(found.at("slot") == "A2");
  CHECK(why_json(view, {"1-2"}).at("good") == true);
}

TEST_CASE("a port that is no slot is not good, whoever asks") {
  const auto view = view_of("1 = 1-1\n", {{.port = "1-2"}});
  const json::object why = why_json(view, {"1-2"});
  CHECK(why.at("good") == false);
  CHECK(why.at("slot").is_null());
  CHECK(std::string_view(why.at("explanation").as_string()).starts_with("No slot file names this port"));
}
