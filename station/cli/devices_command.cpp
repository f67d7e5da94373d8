// SPDX-License-Identifier: GPL-3.0-or-later
// imprint devices: what is plugged in where, how fast, which slot that is, and what is refused and why.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "devices/protocol/port_path.hpp"
#include "devices/usb/slot_rules.hpp"
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/cli/device_commands.hpp"
#include "station/cli/learn_slots.hpp"
#include "station/cli/station_client.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/cli/tables.hpp"
#include "station/errors.hpp"
#include "station/ports/port_view.hpp"
#include "station/slot_map.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? core::printable(value->get_string()) : std::string();
}

bool flag_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::string speed_text(const json::object& row) {
  const json::value* value = row.if_contains("speed_mbit_s");
  if (value == nullptr) return "-";
  boost::system::error_code error;
  const double mbits = value->to_number<double>(error);
  if (error || mbits <= 0) return "?";
  if (mbits >= 1000 && static_cast<std::uint64_t>(mbits) % 1000 == 0) return fmt::format("{} Gbit/s", mbits / 1000);
  return fmt::format("{:g} Mbit/s", mbits);
}

std::vector<std::string> to_cells(const json::object& row) {
  std::string state = text_at(row, "state");
  if (flag_at(row, "simulated")) state += ", SIMULATED";
  std::string device = text_at(row, "product");
  const std::string reason = text_at(row, "reason");
  if (!reason.empty()) device += (device.empty() ? "" : ": ") + reason;
  const std::string slot = text_at(row, "slot");
  const std::string protocol = text_at(row, "protocol");
  return {slot.empty() ? "-" : slot, text_at(row, "port"), protocol.empty() ? "-" : protocol,
          speed_text(row),           std::move(state),     std::move(device)};
}

// A device is there wherever its ids are; hubs are not listed.
bool holds_a_device(const json::value& row) { return row.is_object() && row.get_object().contains("vendor_id"); }

ExitStatus print_list(const json::object& answer, bool as_json) {
  const json::value* devices = answer.if_contains("devices");
  const json::array rows = devices != nullptr && devices->is_array() ? devices->get_array() : json::array();
  const bool any = std::ranges::any_of(rows, holds_a_device);
  if (as_json) {
    print_line(json::serialize(answer));
    return any ? ExitStatus::good : ExitStatus::nothing;
  }
  std::vector<std::vector<std::string>> cells;
  for (const json::value& row : rows)
    if (row.is_object()) cells.push_back(to_cells(row.get_object()));
  if (!cells.empty()) print(format_table({"Slot", "Port", "Protocol", "Speed", "State", "Device"}, cells));
  if (any) return ExitStatus::good;
  print_line("No USB device is plugged in.");
  return ExitStatus::nothing;
}

ExitStatus print_why(const json::object& why, bool as_json) {
  if (as_json) {
    print_line(json::serialize(why));
  } else {
    const std::string slot = text_at(why, "slot");
    print_line(fmt::format("Port {}{}: {}", text_at(why, "port"), slot.empty() ? "" : fmt::format(" (slot {})", slot),
                           text_at(why, "explanation")));
    if (!text_at(why, "owner").empty())
      print_line(fmt::format("  {} mode {}, owner {}, group {}", text_at(why, "node"), text_at(why, "mode"),
                             text_at(why, "owner"), text_at(why, "group")));
    if (!text_at(why, "remedy").empty()) print_line("  What to do: " + text_at(why, "remedy"));
  }
  if (flag_at(why, "good")) return ExitStatus::good;
  return text_at(why, "state") == "empty" ? ExitStatus::nothing : ExitStatus::not_good;
}

using Print = ExitStatus (*)(const json::object& answer, bool as_json);

// What the station says, where it runs: it holds devices open, and has slots and permissions of its own.
std::optional<ExitStatus> ask_station(const DevicesOptions& options, std::string_view method,
                                      const json::object& params, Print print) {
  if (options.own_slots) return std::nullopt;
  const auto said = ask_if_it_runs(options.socket, method, params);
  if (!said) return report_error(said.error(), options.json);
  if (!*said) return std::nullopt;
  if (const auto* error = std::get_if<api::RemoteError>(&**said)) return report_remote(*error, options.json);
  const auto& answer = std::get<json::value>(**said);
  if (answer.is_object()) return print(answer.get_object(), options.json);
  return report_error(api::fail("api.answer-invalid").error(), options.json);
}

ExitStatus explain_port(const DevicesOptions& options) {
  const devices::PortPath port{*options.why};
  // Ports of simulated devices are named as their slot file names them, and only their station knows.
  if (!is_port_path(port))
    return report_error(fail("usage.invalid", "--why takes a port, like 1-2.4").with("actual", port.text).error(),
                        options.json);
  if (const auto status = ask_station(options, "devices.why", {{"port", port.text}}, print_why)) return *status;
  auto slots = SlotMap::load(options.slot_folders);
  if (!slots) return report_error(slots.error(), options.json);
  return print_why(ports::why_json(ports::look_at_usb(std::move(*slots)), port), options.json);
}

ExitStatus learn(const DevicesOptions& options) {
  // It would flash what is put in meanwhile, where it is armed, and would not know of the new slots.
  if (const auto client = api::Client::connect(options.socket); client || client.error().id() != "api.not-running") {
    return report_error(fail("station.daemon-runs", "slots are learned while it is stopped")
                            .with("socket", options.socket.native())
                            .error(),
                        options.json);
  }
  const StopOnSignal signals(StopOnSignal::Meaning::usual_end);
  return learn_slots(*options.learn, options.slot_folders, signals.token());
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
  if (options.why) return explain_port(options);
  if (options.learn) return learn(options);
  if (!options.udev_rules) {
    if (const auto status = ask_station(options, "devices.list", {}, print_list)) return *status;
  }
  auto slots = SlotMap::load(options.slot_folders);
  if (!slots) return report_error(slots.error(), options.json);
  if (options.udev_rules) return print_udev_rules(*slots, options.json);
  return print_list(ports::list_json(ports::look_at_usb(std::move(*slots))), options.json);
}

}  // namespace imprint::station::cli
