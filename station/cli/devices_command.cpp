// SPDX-License-Identifier: GPL-3.0-or-later
// imprint devices: what is plugged in where, how fast, which slot that is, and what is refused and why.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "devices/protocol/port_path.hpp"
#include "devices/usb/port_diagnosis.hpp"
#include "devices/usb/slot_rules.hpp"
#include "devices/usb/usb_topology.hpp"
#include "flash/core/text.hpp"
#include "station/cli/device_commands.hpp"
#include "station/cli/device_list.hpp"
#include "station/cli/learn_slots.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/cli/tables.hpp"
#include "station/errors.hpp"
#include "station/slot_map.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using usb::PortDiagnosis;
using usb::TopologyNode;

std::string speed_text(std::uint32_t kbits) {
  if (kbits == 0) return "?";
  if (kbits % 1'000'000 == 0) return fmt::format("{} Gbit/s", kbits / 1'000'000);
  return fmt::format("{:g} Mbit/s", kbits / 1000.0);
}

json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

json::object to_json(const PortRow& row) {
  json::object out{{"port", row.port.text}, {"state", std::string(to_string(row.state))}};
  out["slot"] = row.slot ? json::value(row.slot->name) : json::value(nullptr);
  if (row.node != nullptr && row.node->kind != TopologyNode::Kind::empty) {
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
  out["error"] = text_or_null(row.error_id);
  out["reason"] = row.reason;
  out["remedy"] = row.remedy;
  return out;
}

std::vector<std::string> to_cells(const PortRow& row) {
  const bool is_there = row.node != nullptr && row.node->kind != TopologyNode::Kind::empty;
  std::string state(to_string(row.state));
  if (is_there && row.node->is_simulated) state += ", SIMULATED";
  std::string device = is_there ? row.node->identity.product : std::string();
  if (!row.reason.empty()) device += (device.empty() ? "" : ": ") + row.reason;
  return {row.slot ? row.slot->name : "-",
          row.port.text,
          row.protocol.empty() ? "-" : row.protocol,
          is_there ? speed_text(row.node->speed_now) : "-",
          std::move(state),
          core::printable(device)};
}

ExitStatus print_rows(const std::vector<PortRow>& rows, bool as_json) {
  if (as_json) {
    json::array list;
    for (const PortRow& row : rows) list.push_back(to_json(row));
    print_line(json::serialize(json::object{{"devices", std::move(list)}}));
  } else {
    std::vector<std::vector<std::string>> cells;
    cells.reserve(rows.size());
    for (const PortRow& row : rows) cells.push_back(to_cells(row));
    if (!cells.empty()) print(format_table({"Slot", "Port", "Protocol", "Speed", "State", "Device"}, cells));
  }
  if (std::ranges::any_of(rows, holds_a_device)) return ExitStatus::good;
  if (!as_json) print_line("No USB device is plugged in.");
  return ExitStatus::nothing;
}

// Of a port that is no slot: the station does nothing there, whatever else is to be said of the device.
void add_unlisted(PortDiagnosis& why) {
  using Problem = PortDiagnosis::Problem;
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

ExitStatus print_diagnosis(const PortDiagnosis& why, const std::optional<SlotOfPort>& slot, bool as_json) {
  using Problem = PortDiagnosis::Problem;
  const bool good = why.problem == Problem::none && slot;
  if (as_json) {
    print_line(json::serialize(json::object{{"port", why.port.text},
                                            {"slot", slot ? json::value(slot->name) : json::value(nullptr)},
                                            {"good", good},
                                            {"simulated", why.is_simulated},
                                            {"error", text_or_null(why.error_id)},
                                            {"explanation", why.explanation},
                                            {"remedy", why.remedy},
                                            {"node", why.node},
                                            {"mode", fmt::format("{:04o}", why.mode)},
                                            {"owner", why.owner},
                                            {"group", why.group},
                                            {"drivers", json::value_from(why.drivers)}}));
  } else {
    const std::string name = slot ? fmt::format(" (slot {})", slot->name) : "";
    print_line(core::printable(fmt::format("Port {}{}: {}", why.port.text, name, why.explanation)));
    if (!why.owner.empty())
      print_line(fmt::format("  {} mode {:04o}, owner {}, group {}", why.node, why.mode, why.owner, why.group));
    if (!why.remedy.empty()) print_line("  What to do: " + core::printable(why.remedy));
  }
  if (good) return ExitStatus::good;
  return why.problem == Problem::empty ? ExitStatus::nothing : ExitStatus::not_good;
}

ExitStatus explain_port(const std::string& text, const std::vector<fs::path>& slot_folders, bool as_json) {
  const devices::PortPath port{text};
  if (!is_port_path(port))
    return report_error(fail("usage.invalid", "--why takes a port, like 1-2.4").with("actual", text).error(), as_json);
  const auto slots = SlotMap::load(slot_folders);
  if (!slots) return report_error(slots.error(), as_json);
  const auto slot = slots->slot_of(port);
  // At a port that is no slot, nobody has said that disks do not belong there.
  PortDiagnosis why = usb::check_port(port, slot ? slot->disks : devices::DisksAllowed::fixed);
  if (why.is_simulated) why.explanation += fmt::format(" It is simulated: {}.", kSimulatedHint);
  if (!slot) add_unlisted(why);
  return print_diagnosis(why, slot, as_json);
}

ExitStatus print_udev_rules(const SlotMap& slots, bool as_json) {
  std::vector<std::string> ports;
  for (const SlotRule& rule : slots.rules()) ports.insert(ports.end(), rule.ports.begin(), rule.ports.end());
  const auto rules = usb::make_slot_rules(ports);
  if (!rules) return report_error(rules.error(), as_json);
  print(*rules);
  return ExitStatus::good;
}

}  // namespace

std::vector<fs::path> default_slot_folders() { return {"/usr/share/imprint/slots.d", "/etc/imprint/slots.d"}; }

ExitStatus list_devices(const DevicesOptions& options) {
  if (options.why) return explain_port(*options.why, options.slot_folders, options.json);
  if (options.learn) {
    const StopOnSignal signals(StopOnSignal::Meaning::usual_end);
    return learn_slots(*options.learn, options.slot_folders, signals.token());
  }
  const auto slots = SlotMap::load(options.slot_folders);
  if (!slots) return report_error(slots.error(), options.json);
  if (options.udev_rules) return print_udev_rules(*slots, options.json);
  const auto topology = usb::read_topology();
  const auto rows = list_ports(topology, *slots, [](const devices::PortPath& port, devices::DisksAllowed disks) {
    return usb::check_port(port, disks);
  });
  return print_rows(rows, options.json);
}

}  // namespace imprint::station::cli
