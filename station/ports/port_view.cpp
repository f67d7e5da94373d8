// SPDX-License-Identifier: GPL-3.0-or-later
// Rows and diagnoses as JSON, with what the station that looks knows of its slots.
#include "station/ports/port_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "flash/core/text.hpp"
#include "station/errors.hpp"

namespace imprint::station::ports {
namespace {

namespace json = boost::json;
using usb::PortDiagnosis;
using usb::TopologyNode;
using Problem = PortDiagnosis::Problem;
using State = PortRow::State;

json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

bool is_at_work(const SlotStatus& status) {
  return status.phase != SlotPhase::empty && status.phase != SlotPhase::done && status.phase != SlotPhase::latched;
}

const SlotStatus* find_slot(const PortView& view, const std::optional<SlotOfPort>& slot) {
  if (!slot) return nullptr;
  const auto found = std::ranges::find(view.at_station, slot->name, &SlotStatus::slot);
  return found == view.at_station.end() ? nullptr : &*found;
}

// "write, 43 %", "passed (read-back)", "failed: device.disconnected"
std::string words_of(const SlotStatus& status) {
  if (status.verdict) {
    std::string words(db::to_string(*status.verdict));
    if (*status.verdict == db::AttemptVerdict::passed) return words + fmt::format(" ({})", db::to_string(status.proof));
    return status.error_id.empty() ? words : words + ": " + status.error_id;
  }
  std::string words(to_string(status.phase));
  if (status.due > 0) words += fmt::format(", {} %", status.done * 100 / status.due);
  return words;
}

json::value station_json(const SlotStatus* status) {
  if (status == nullptr || status->phase == SlotPhase::empty) return nullptr;
  return json::object{
      {"phase", to_string(status->phase)}, {"serial", core::printable(status->serial)}, {"words", words_of(*status)}};
}

void add_node(json::object& out, const PortRow& row) {
  if (row.node == nullptr || row.node->kind == TopologyNode::Kind::empty) return;
  const TopologyNode& node = *row.node;
  out["vendor_id"] = fmt::format("{:04x}", node.identity.vendor_id);
  out["product_id"] = fmt::format("{:04x}", node.identity.product_id);
  out["product"] = node.identity.product;
  out["serial"] = node.identity.serial;
  out["protocol"] = text_or_null(row.protocol);
  out["speed_mbit_s"] = node.speed_now / 1000.0;
  out["possible_mbit_s"] = std::min(node.device_speed, node.port_speed) / 1000.0;
  out["slower_than_possible"] = usb::is_slower_than_possible(node);
  out["simulated"] = node.is_simulated;
  out["disks"] = json::value_from(node.disks);
}

json::object to_json(const PortRow& row, const SlotStatus* at_station) {
  json::object out{{"port", row.port.text}, {"state", to_string(row.state)}};
  out["slot"] = row.slot ? json::value(row.slot->name) : json::value(nullptr);
  add_node(out, row);
  out["error"] = text_or_null(row.error_id);
  out["reason"] = row.reason;
  out["remedy"] = row.remedy;
  out["at_station"] = station_json(at_station);
  return out;
}

// A station takes simulated devices or real ones, and never both.
void judge_kind(const PortView& view, PortDiagnosis& why) {
  if (!view.training || why.problem != Problem::none || why.is_simulated == *view.training) return;
  const core::Error error =
      *view.training ? fail("station.real-device").error() : fail("station.training-only").error();
  why.problem = Problem::refused;
  why.error_id = error.id();
  why.explanation = error.row().text;
  why.explanation += ".";
  why.remedy = error.row().remedy;
}

PortCheck check_of(const PortView& view) {
  return [&view](const devices::PortPath& port, devices::DisksAllowed disks) {
    PortDiagnosis why = view.check(port, disks);
    judge_kind(view, why);
    return why;
  };
}

// Of a port that is no slot: the station does nothing there, whatever else is to be said of the device.
void add_unlisted(PortDiagnosis& why) {
  why.explanation = "No slot file names this port, so the station leaves it alone. " + why.explanation;
  if (why.problem == Problem::hub) return;  // what to do is about its ports
  std::string remedy = fmt::format(
      "Nothing, unless it is to be a slot: then add the line NAME = {}{} to a slot file, or run imprint devices "
      "--learn.",
      why.port.text, why.is_disk ? " disk" : "");
  // What belongs elsewhere need not go: it is somebody's keyboard.
  if (!why.remedy.empty() && why.problem != Problem::refused) remedy += " " + why.remedy;
  why.remedy = std::move(remedy);
}

}  // namespace

PortView look_at_usb(SlotMap slots) {
  return {
      .slots = std::move(slots),
      .topology = usb::read_topology(),
      .check = [](const devices::PortPath& port, devices::DisksAllowed disks) { return usb::check_port(port, disks); }};
}

void add_simulated(PortView& view, const std::vector<SimulatedPort>& devices) {
  for (const SimulatedPort& device : devices) {
    TopologyNode& node = view.topology.emplace_back();
    node.kind = TopologyNode::Kind::device;
    node.port = device.port;
    node.identity = device.identity;
    node.is_simulated = true;
  }
  view.check = [devices, check = std::move(view.check)](const devices::PortPath& port, devices::DisksAllowed disks) {
    if (std::ranges::find(devices, port, &SimulatedPort::port) == devices.end()) return check(port, disks);
    PortDiagnosis why;
    why.port = port;
    why.is_simulated = true;
    why.explanation = "The device can be opened.";
    return why;
  };
}

json::object list_json(const PortView& view) {
  json::array list;
  for (PortRow& row : list_ports(view.topology, view.slots, check_of(view))) {
    const SlotStatus* const at_station = find_slot(view, row.slot);
    // Whoever works with it keeps everybody else away from it, and is no trouble.
    if (at_station != nullptr && is_at_work(*at_station) && holds_a_device(row)) {
      row.state = State::busy;
      row.error_id.clear();
      row.remedy.clear();
      row.reason = words_of(*at_station);
    } else if (row.state == State::ready && at_station != nullptr && at_station->verdict) {
      row.reason = words_of(*at_station);
    } else if (row.state == State::ready && row.reason == kSimulatedHint && view.training) {
      row.reason.clear();
    }
    list.push_back(to_json(row, at_station));
  }
  return {{"devices", std::move(list)}};
}

json::object why_json(const PortView& view, const devices::PortPath& port) {
  const auto slot = view.slots.slot_of(port);
  // At a port that is no slot, nobody has said that disks do not belong there.
  PortDiagnosis why = check_of(view)(port, slot ? slot->disks : devices::DisksAllowed::fixed);
  if (why.is_simulated && !view.training) why.explanation += fmt::format(" It is simulated: {}.", kSimulatedHint);
  if (!slot) add_unlisted(why);
  State state = state_of(why.problem);
  const SlotStatus* const at_station = find_slot(view, slot);
  if (at_station != nullptr && is_at_work(*at_station) && (state == State::ready || why.problem == Problem::in_use)) {
    state = State::busy;
    why.error_id.clear();
    why.explanation = fmt::format("The station works with the device: {}.", words_of(*at_station));
    why.remedy.clear();
  }
  const bool good = slot && (state == State::ready || state == State::busy);
  return {{"port", why.port.text},
          {"slot", slot ? json::value(slot->name) : json::value(nullptr)},
          {"state", to_string(state)},
          {"good", good},
          {"simulated", why.is_simulated},
          {"error", text_or_null(why.error_id)},
          {"explanation", why.explanation},
          {"remedy", why.remedy},
          {"node", why.node},
          {"mode", fmt::format("{:04o}", why.mode)},
          {"owner", why.owner},
          {"group", why.group},
          {"drivers", json::value_from(why.drivers)},
          {"at_station", station_json(at_station)}};
}

}  // namespace imprint::station::ports
