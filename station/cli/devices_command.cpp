// SPDX-License-Identifier: GPL-3.0-or-later
// imprint devices: what is plugged in where, how fast, which slot that is, and what is refused and why.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>

#include "devices/protocol/usb_identity.hpp"
#include "devices/usb/port_diagnosis.hpp"
#include "devices/usb/slot_rules.hpp"
#include "devices/usb/usb_bus.hpp"
#include "devices/usb/usb_topology.hpp"
#include "flash/core/atomic_file.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/text.hpp"
#include "station/cli/device_commands.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/cli/tables.hpp"
#include "station/errors.hpp"
#include "station/slot_map.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using usb::TopologyNode;

constexpr std::uint8_t kMassStorageClass = 0x08;

std::string speed_text(std::uint32_t kbits) {
  if (kbits == 0) return "?";
  if (kbits % 1'000'000 == 0) return fmt::format("{} Gbit/s", kbits / 1'000'000);
  return fmt::format("{:g} Mbit/s", kbits / 1000.0);
}

// "simple-io", "ufp", "mass-storage", or empty for what the station does not speak to.
std::string protocol_text(const TopologyNode& node) {
  if (const auto protocol = devices::protocol_of(node.identity)) return std::string(devices::to_string(*protocol));
  if (node.identity.interface_class == kMassStorageClass || !node.disks.empty()) return "mass-storage";
  return {};
}

struct Row {
  const TopologyNode* node = nullptr;
  std::optional<SlotOfPort> slot;
  std::string protocol;
  std::string state;   // "ready", "not ours", "refused", "empty"
  std::string reason;  // where it is refused
};

Row judge(const TopologyNode& node, const SlotMap& slots) {
  Row row{&node, slots.slot_of(node.port), {}, {}, {}};
  if (node.kind == TopologyNode::Kind::empty) {
    row.state = "empty";
    return row;
  }
  row.protocol = protocol_text(node);
  if (!row.slot) {
    row.state = "not ours";
    return row;
  }
  const usb::PortDiagnosis why = usb::explain(node.port);
  if (row.protocol.empty()) {
    row.state = "refused";
    row.reason = "no device that the station can flash";
  } else if (why.problem != usb::PortDiagnosis::Problem::none) {
    row.state = "refused";
    row.reason = why.explanation;
  } else {
    row.state = "ready";
    if (usb::is_slower_than_possible(node)) row.reason = "slower than it could be: check the cable";
  }
  return row;
}

// Devices everywhere, and the empty ports of slots.
void collect(const std::vector<TopologyNode>& nodes, const SlotMap& slots, std::vector<Row>& rows) {
  for (const TopologyNode& node : nodes) {
    const bool is_port = node.kind == TopologyNode::Kind::device || node.kind == TopologyNode::Kind::empty;
    if (is_port) {
      Row row = judge(node, slots);
      if (row.slot || node.kind == TopologyNode::Kind::device) rows.push_back(std::move(row));
    }
    collect(node.ports, slots, rows);
  }
}

json::object to_json(const Row& row) {
  const TopologyNode& node = *row.node;
  json::object out{{"port", node.port.text}, {"state", row.state}};
  out["slot"] = row.slot ? json::value(row.slot->name) : json::value(nullptr);
  if (node.kind == TopologyNode::Kind::empty) return out;
  out["vendor_id"] = fmt::format("{:04x}", node.identity.vendor_id);
  out["product_id"] = fmt::format("{:04x}", node.identity.product_id);
  out["product"] = node.identity.product;
  out["serial"] = node.identity.serial;
  out["protocol"] = row.protocol.empty() ? json::value(nullptr) : json::value(row.protocol);
  out["speed_mbit_s"] = node.speed_now / 1000.0;
  out["possible_mbit_s"] = std::min(node.device_speed, node.port_speed) / 1000.0;
  out["slower_than_possible"] = usb::is_slower_than_possible(node);
  out["simulated"] = node.is_simulated;
  out["disks"] = json::value_from(node.disks);
  out["reason"] = row.reason;
  return out;
}

ExitStatus print_rows(const std::vector<Row>& rows, bool as_json) {
  if (as_json) {
    json::array list;
    for (const Row& row : rows) list.push_back(to_json(row));
    print_line(json::serialize(json::object{{"devices", std::move(list)}}));
  } else {
    std::vector<std::vector<std::string>> cells;
    cells.reserve(rows.size());
    for (const Row& row : rows) {
      const TopologyNode& node = *row.node;
      const bool empty = node.kind == TopologyNode::Kind::empty;
      cells.push_back({row.slot ? row.slot->name : "-", node.port.text, row.protocol.empty() ? "-" : row.protocol,
                       empty ? "-" : speed_text(node.speed_now), row.state + (node.is_simulated ? ", SIMULATED" : ""),
                       core::printable(node.identity.product + (row.reason.empty() ? "" : ": " + row.reason))});
    }
    if (!cells.empty()) print(format_table({"Slot", "Port", "Protocol", "Speed", "State", "Device"}, cells));
  }
  const bool any =
      std::ranges::any_of(rows, [](const Row& row) { return row.node->kind == TopologyNode::Kind::device; });
  if (any) return ExitStatus::good;
  if (!as_json) print_line("No USB device is plugged in.");
  return ExitStatus::nothing;
}

ExitStatus explain_port(const std::string& port, bool as_json) {
  const usb::PortDiagnosis why = usb::explain({port});
  if (why.problem == usb::PortDiagnosis::Problem::invalid_port)
    return report_error(fail("usage.invalid", "--why takes a port, like 1-2.4").with("actual", port).error(), as_json);
  const bool good = why.problem == usb::PortDiagnosis::Problem::none;
  if (as_json) {
    print_line(json::serialize(json::object{{"port", port},
                                            {"good", good},
                                            {"explanation", why.explanation},
                                            {"remedy", why.remedy},
                                            {"node", why.node},
                                            {"mode", fmt::format("{:04o}", why.mode)},
                                            {"owner", why.owner},
                                            {"group", why.group},
                                            {"drivers", json::value_from(why.drivers)}}));
  } else {
    print_line(core::printable(fmt::format("Port {}: {}", port, why.explanation)));
    if (!why.node.empty())
      print_line(fmt::format("  {} mode {:04o}, owner {}, group {}", why.node, why.mode, why.owner, why.group));
    if (!why.remedy.empty()) print_line("  What to do: " + core::printable(why.remedy));
  }
  return good ? ExitStatus::good : ExitStatus::not_good;
}

// Each device that arrives after the start becomes the next slot, in the order in which they come.
class Learning final : public devices::BusObserver {
 public:
  void on_arrival(const devices::PortPath& port) override {
    const std::scoped_lock lock(mutex_);
    if (!listening_ || !known_.insert(port.text).second) return;
    ports_.push_back(port.text);
    print_line(fmt::format("Slot {} is port {}. The next one, or Ctrl-C when all are done.", ports_.size(), port.text));
  }
  void on_departure(const devices::PortPath& /*port*/) override {}
  void start() {
    const std::scoped_lock lock(mutex_);
    listening_ = true;
  }
  [[nodiscard]] std::vector<std::string> ports() const {
    const std::scoped_lock lock(mutex_);
    return ports_;
  }

 private:
  mutable std::mutex mutex_;
  bool listening_ = false;
  std::set<std::string> known_;
  std::vector<std::string> ports_;
};

ExitStatus learn(const fs::path& file, const std::stop_token& stop) {
  const auto bus = usb::UsbBus::open();
  if (!bus) return report_error(bus.error(), false);
  Learning learning;
  const auto subscription = (*bus)->subscribe(learning);
  learning.start();
  print_line(
      "Take every device out of the slots. Then plug one device into slot 1, take it out, and go on with slot 2.");
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, stop, [] { return false; });
  const auto ports = learning.ports();
  if (ports.empty()) {
    print_line("No device came: nothing is written.");
    return ExitStatus::nothing;
  }
  std::string text = "# Learned by imprint devices --learn. A line is NAME = PORT [fixed-disk].\n";
  for (std::size_t i = 0; i < ports.size(); ++i) text += fmt::format("{} = {}\n", i + 1, ports[i]);
  if (const auto written = core::write_file(file, core::as_bytes(text)); !written)
    return report_error(written.error(), false);
  print_line(fmt::format("{} slots are in {}.", ports.size(), file.native()));
  return ExitStatus::good;
}

}  // namespace

std::vector<fs::path> default_slot_folders() { return {"/usr/share/imprint/slots.d", "/etc/imprint/slots.d"}; }

ExitStatus list_devices(const DevicesOptions& options) {
  if (options.why) return explain_port(*options.why, options.json);
  if (options.learn) {
    const StopOnSignal signals(StopOnSignal::Meaning::usual_end);
    return learn(*options.learn, signals.token());
  }
  const auto slots = SlotMap::load(options.slot_folders);
  if (!slots) return report_error(slots.error(), options.json);
  if (options.udev_rules) {
    std::vector<std::string> ports;
    for (const SlotRule& rule : slots->rules()) ports.push_back(rule.port);
    const auto rules = usb::make_slot_rules(ports);
    if (!rules) return report_error(rules.error(), options.json);
    print(*rules);
    return ExitStatus::good;
  }
  const auto topology = usb::read_topology();
  std::vector<Row> rows;
  collect(topology, *slots, rows);
  return print_rows(rows, options.json);
}

}  // namespace imprint::station::cli
