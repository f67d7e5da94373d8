// SPDX-License-Identifier: GPL-3.0-or-later
// Reads small files of /proc, /sys and /etc; changes nothing.
#include "station/cli/machine_checks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/timex.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "devices/usb/slot_rules.hpp"
#include "flash/core/atomic_file.hpp"
#include "flash/core/text.hpp"
#include "station/jobs/confinement.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
using usb::TopologyNode;

constexpr std::uint64_t kLargestFile = 1U << 20;
// A clock before this was never set: the program is younger.
constexpr std::chrono::sys_days kEarliest{std::chrono::year{2026} / 1 / 1};
constexpr std::chrono::sys_days kLatest{std::chrono::year{2100} / 1 / 1};
constexpr std::uint64_t kLeastMemoryMib = 512;
constexpr std::uint64_t kUsualMemoryMib = 1024;
constexpr std::uint64_t kLeastFreeMemoryMib = 256;
constexpr std::uint64_t kUsualUsbMemoryMib = 16;
constexpr int kFullSpeed = 12'000;

// Without the line's end; empty where the file is not there.
std::string attribute(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return std::string(core::trimmed(line));
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    found.push_back(at->path());
  std::ranges::sort(found);
  return found;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found && !error;
}

// "root:x:0:0:..." split at its colons.
std::vector<std::string> fields_of(const std::string& line, char at = ':') {
  std::vector<std::string> fields;
  std::istringstream in(line);
  for (std::string field; std::getline(in, field, at);) fields.push_back(field);
  return fields;
}

std::optional<std::vector<std::string>> account_line(const fs::path& file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    auto fields = fields_of(line);
    if (fields.size() >= 3 && fields[0] == name) return fields;
  }
  return std::nullopt;
}

std::uint32_t id_of(const std::string& text) {
  return static_cast<std::uint32_t>(core::parse_number(text).value_or(UINT32_MAX));
}

void check_clock(const Machine& machine, HealthChecks& out) {
  const std::string now = core::to_iso8601(machine.now);
  if (machine.now < kEarliest || machine.now >= kLatest) {
    out.push_back({"clock.time", Health::fail, now,
                   "Set the clock (timedatectl set-time), and look at the computer's battery: records and certificates "
                   "go by it."});
  } else {
    out.push_back({"clock.time", Health::ok, now, {}});
  }
  if (!machine.clock_is_synchronised) {
    out.push_back({"clock.synchronised", Health::not_checked, "the kernel does not say",
                   "Ask timedatectl on the station itself."});
  } else if (*machine.clock_is_synchronised) {
    out.push_back({"clock.synchronised", Health::ok, "by a time server", {}});
  } else {
    out.push_back({"clock.synchronised", Health::warn, "no time server sets the clock",
                   "Let systemd-timesyncd or chrony set it from a server of the factory; timedatectl shows it."});
  }
}

std::optional<std::uint64_t> memory_mib(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    std::istringstream rest(line.substr(name.size() + 1));
    std::uint64_t kib = 0;
    if (rest >> kib) return kib / 1024;
  }
  return std::nullopt;
}

void check_memory(const Machine& machine, HealthChecks& out) {
  std::ifstream file(machine.root / "proc/meminfo");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto total = memory_mib(text, "MemTotal");
  const auto available = memory_mib(text, "MemAvailable");
  if (!total || !available) {
    out.push_back({"memory.size", Health::not_checked, "/proc/meminfo cannot be read", "See free -m."});
    return;
  }
  const std::string found = fmt::format("{} MiB, {} MiB of them available", *total, *available);
  const bool is_little = *total < kUsualMemoryMib || *available < kLeastFreeMemoryMib;
  out.push_back({"memory.size",
                 *total < kLeastMemoryMib ? Health::fail
                 : is_little              ? Health::warn
                                          : Health::ok,
                 found, is_little ? "Give the computer 1 GiB or more, and end other programs." : ""});
}

// A laptop on a cart is a station, too, until its battery is empty in the middle of a write.
void check_supply(const Machine& machine, HealthChecks& out) {
  bool on_mains = false;
  bool has_mains = false;
  std::string batteries;
  for (const fs::path& supply : entries(machine.root / "sys/class/power_supply")) {
    const std::string type = attribute(supply / "type");
    if (type == "Battery" && attribute(supply / "scope") != "Device")  // a mouse's battery is no supply
      batteries +=
          (batteries.empty() ? "" : ", ") + attribute(supply / "status") + " " + attribute(supply / "capacity") + " %";
    if (type == "Mains" || type == "USB") {
      has_mains = true;
      on_mains = on_mains || attribute(supply / "online") == "1";
    }
  }
  if (batteries.empty()) {
    out.push_back({"power.supply", Health::ok, "no battery", {}});
  } else if (has_mains && !on_mains) {
    out.push_back({"power.supply", Health::fail, "on its battery: " + batteries,
                   "Plug the computer in: a device that is written when it goes out is lost."});
  } else {
    out.push_back({"power.supply", Health::ok, "plugged in, battery: " + batteries, {}});
  }
}

void check_unit(const Machine& machine, const char* unit, std::vector<std::string>& missing,
                std::vector<std::string>& disabled) {
  constexpr const char* kFolders[] = {"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system",
                                      "usr/lib/systemd/system", "lib/systemd/system"};
  if (std::ranges::none_of(kFolders, [&](const char* folder) { return is_there(machine.root / folder / unit); }))
    missing.emplace_back(unit);
  const fs::path wanted = machine.root / "etc/systemd/system";
  if (!is_there(wanted / "sockets.target.wants" / unit) && !is_there(wanted / "multi-user.target.wants" / unit))
    disabled.emplace_back(unit);
}

void check_units(const Machine& machine, HealthChecks& out) {
  std::vector<std::string> missing;
  std::vector<std::string> disabled;
  for (const char* unit : kUnits) check_unit(machine, unit, missing, disabled);
  if (!missing.empty()) {
    out.push_back({"service.units", Health::fail, fmt::format("not installed: {}", fmt::join(missing, ", ")),
                   "Run cmake --install, then imprint station setup."});
  } else if (!disabled.empty()) {
    out.push_back({"service.units", Health::warn, fmt::format("not started at boot: {}", fmt::join(disabled, ", ")),
                   "Run imprint station setup, or systemctl enable them."});
  } else {
    out.push_back({"service.units", Health::ok, "installed, and started at boot", {}});
  }
}

template <class Visit>
void visit_nodes(const std::vector<TopologyNode>& nodes, const Visit& visit) {
  for (const TopologyNode& node : nodes) {
    visit(node);
    visit_nodes(node.ports, visit);
  }
}

std::string speed_text(std::uint32_t kbits) {
  return kbits == 0 ? std::string("unknown speed") : fmt::format("{:g} Mbit/s", kbits / 1000.0);
}

struct SlotPorts {
  std::vector<std::string> lines_without;  // "card = 9-9": the lines of which no port is there
  std::vector<std::string> simulated;
  std::vector<std::string> slow;        // "2 at 1-3: 480 Mbit/s of 5000 Mbit/s"
  std::vector<std::string> suspending;  // ports whose device may be put to sleep
  std::size_t there = 0;                // ports of slots that this computer has
  std::uint32_t slowest = UINT32_MAX;
};

bool fits(const std::string& pattern, const std::string& port) {
  const auto star = pattern.find('*');
  if (star == std::string::npos) return pattern == port;
  return port.size() > pattern.size() - 1 && port.starts_with(pattern.substr(0, star)) &&
         port.ends_with(pattern.substr(star + 1));
}

SlotPorts ports_of_slots(const Machine& machine, const SlotMap& slots) {
  SlotPorts found;
  std::vector<std::string> ports;
  visit_nodes(machine.topology, [&](const TopologyNode& node) {
    if (node.kind == TopologyNode::Kind::controller) return;
    ports.push_back(node.port.text);
    const auto slot = slots.slot_of(node.port);
    if (!slot || node.kind == TopologyNode::Kind::hub) return;
    ++found.there;
    if (node.is_simulated) found.simulated.push_back(node.port.text);
    if (node.port_speed > 0) found.slowest = std::min(found.slowest, node.port_speed);
    if (node.kind != TopologyNode::Kind::device) return;
    if (usb::is_slower_than_possible(node))
      found.slow.push_back(fmt::format("{} at {}: {}, and {} would be possible", slot->name, node.port.text,
                                       speed_text(node.speed_now),
                                       speed_text(std::min(node.device_speed, node.port_speed))));
    if (attribute(machine.root / "sys/bus/usb/devices" / node.port.text / "power/control") == "auto")
      found.suspending.push_back(node.port.text);
  });
  for (const SlotRule& rule : slots.rules()) {
    const bool has_one = std::ranges::any_of(rule.ports, [&](const std::string& pattern) {
      return std::ranges::any_of(ports, [&](const std::string& port) { return fits(pattern, port); });
    });
    if (!has_one) found.lines_without.push_back(fmt::format("{} = {}", rule.name, fmt::join(rule.ports, " ")));
  }
  return found;
}

void check_shipped_rules(const Machine& machine, HealthChecks& out) {
  std::vector<std::string> missing;
  for (const char* name : {"52-imprint.rules", "72-imprint-late.rules"}) {
    const auto folders = udev_rule_folders(machine);
    if (std::ranges::none_of(folders, [&](const fs::path& folder) { return is_there(folder / name); }))
      missing.emplace_back(name);
  }
  if (missing.empty()) {
    out.push_back({"udev.rules", Health::ok, "52-imprint.rules and 72-imprint-late.rules are installed", {}});
  } else {
    out.push_back({"udev.rules", Health::fail, fmt::format("not installed: {}", fmt::join(missing, ", ")),
                   "Run cmake --install, then udevadm control --reload."});
  }
}

void check_slot_rules(const Machine& machine, const SlotMap& slots, HealthChecks& out) {
  constexpr const char* kRemedy =
      "Run imprint station setup, which makes them from the slot map, or imprint devices --udev-rules > "
      "/etc/udev/rules.d/53-imprint-slots.rules and then udevadm control --reload.";
  std::vector<std::string> ports;
  for (const SlotRule& rule : slots.rules()) ports.insert(ports.end(), rule.ports.begin(), rule.ports.end());
  const auto due = usb::make_slot_rules(ports);
  const auto there = core::read_text_file(machine.root / kSlotRules, kLargestFile);
  if (!due) {
    out.push_back({"udev.slot-rules", Health::fail, due.error().message(), std::string(due.error().row().remedy)});
  } else if (!there) {
    out.push_back({"udev.slot-rules", Health::fail, std::string("/") + kSlotRules + " is not there", kRemedy});
  } else if (*there != *due) {
    out.push_back({"udev.slot-rules", Health::fail, "they are of another slot map than today's", kRemedy});
  } else {
    out.push_back({"udev.slot-rules", Health::ok, "made from today's slot map", {}});
  }
}

void check_ports(const SlotPorts& ports, const SlotMap& slots, HealthChecks& out) {
  if (!ports.lines_without.empty()) {
    out.push_back({"usb.slot-ports", Health::fail,
                   fmt::format("this computer has no such port: {}", fmt::join(ports.lines_without, "; ")),
                   "Plug the hub in, or mend the slot file; imprint devices shows the ports that there are."});
  } else {
    out.push_back({"usb.slot-ports",
                   Health::ok,
                   fmt::format("{} lines of slots, {} ports of them here, the slowest with {}", slots.rules().size(),
                               ports.there, speed_text(ports.slowest == UINT32_MAX ? 0 : ports.slowest)),
                   {}});
  }
  if (!ports.slow.empty()) {
    out.push_back({"usb.speed", Health::warn, fmt::format("{}", fmt::join(ports.slow, "; ")),
                   "Try another cable; an old one, or a plug that is not quite in, costs most of the speed."});
  } else if (ports.slowest <= kFullSpeed) {
    out.push_back({"usb.speed", Health::warn, "a slot's port has " + speed_text(ports.slowest) + " at most",
                   "Use a hub of USB 2 at least."});
  } else {
    out.push_back({"usb.speed", Health::ok, "no device is slower than its port", {}});
  }
}

void check_simulated(const Machine& machine, const SlotPorts& ports, HealthChecks& out) {
  std::vector<std::string> controllers;
  for (const fs::path& device : entries(machine.root / "sys/devices/platform")) {
    const std::string name = device.filename().native();
    if (name.starts_with("vhci_hcd") || name.starts_with("dummy_hcd")) controllers.push_back(name);
  }
  if (!ports.simulated.empty()) {
    out.push_back({"usb.simulated", Health::fail,
                   fmt::format("slots lead to simulated ports: {}", fmt::join(ports.simulated, ", ")),
                   "Name real ports in the slot map; devices at these are refused in production."});
  } else if (!controllers.empty()) {
    out.push_back({"usb.simulated", Health::warn,
                   fmt::format("the kernel simulates USB ports: {}", fmt::join(controllers, ", ")),
                   "Take the modules away (modprobe -r vhci-hcd dummy_hcd): no production station needs them."});
  } else {
    out.push_back({"usb.simulated", Health::ok, "no simulated ports", {}});
  }
}

void check_suspending(const Machine& machine, const SlotPorts& ports, HealthChecks& out) {
  const std::string seconds = attribute(machine.root / "sys/module/usbcore/parameters/autosuspend");
  if (!ports.suspending.empty()) {
    out.push_back({"power.autosuspend", Health::warn,
                   fmt::format("the kernel may put devices to sleep at {}", fmt::join(ports.suspending, ", ")),
                   "The slots' udev rules keep them awake: see udev.slot-rules, then plug the devices in again."});
  } else if (seconds.empty()) {
    out.push_back(
        {"power.autosuspend", Health::not_checked, "the kernel has no USB", "Run this on the station itself."});
  } else {
    out.push_back({"power.autosuspend",
                   Health::ok,
                   seconds == "-1" ? "switched off" : "after " + seconds + " s, but not at slots",
                   {}});
  }
  const auto memory = core::parse_number(attribute(machine.root / "sys/module/usbcore/parameters/usbfs_memory_mb"));
  // 0: no limit.
  if (memory && *memory != 0 && *memory < kUsualUsbMemoryMib)
    out.push_back({"usb.memory", Health::warn, fmt::format("{} MiB for all transfers together", *memory),
                   "Write 16 or more to /sys/module/usbcore/parameters/usbfs_memory_mb; many devices share it."});
}

}  // namespace

Machine this_machine() {
  Machine machine;
  machine.now = core::SystemClock().now();
  timex state{};
  if (::adjtimex(&state) >= 0) machine.clock_is_synchronised = (state.status & STA_UNSYNC) == 0;
  machine.topology = usb::read_topology();
  return machine;
}

std::optional<Account> find_user(const Machine& machine, std::string_view name) {
  const auto fields = account_line(machine.root / "etc/passwd", name);
  if (!fields || fields->size() < 4) return std::nullopt;
  return Account{id_of((*fields)[2]), id_of((*fields)[3])};
}

std::optional<Group> find_group(const Machine& machine, std::string_view name) {
  const auto fields = account_line(machine.root / "etc/group", name);
  if (!fields) return std::nullopt;
  Group group{id_of((*fields)[2]), {}};
  if (fields->size() > 3) group.members = fields_of((*fields)[3], ',');
  return group;
}

std::vector<fs::path> udev_rule_folders(const Machine& machine) {
  return {machine.root / "etc/udev/rules.d", machine.root / "run/udev/rules.d",
          machine.root / "usr/local/lib/udev/rules.d", machine.root / "usr/lib/udev/rules.d",
          machine.root / "lib/udev/rules.d"};
}

void check_computer(const Machine& machine, HealthChecks& out) {
  check_clock(machine, out);
  check_memory(machine, out);
  check_supply(machine, out);
}

void check_confinement(HealthChecks& out) {
  if (jobs::landlock_version() > 0) {
    out.push_back({"jobs.confinement", Health::ok, jobs::confinement_text(), {}});
  } else if (jobs::landlock_version() < 0) {
    out.push_back({"jobs.confinement", Health::warn, jobs::confinement_text(),
                   "Something that this program runs under (a container, a unit's SystemCallFilter) forbids Landlock: "
                   "allow landlock_create_ruleset, landlock_add_rule and landlock_restrict_self."});
  } else {
    out.push_back({"jobs.confinement", Health::warn, jobs::confinement_text(),
                   "Run a kernel with Landlock (Debian's has it) and lsm=landlock,... on its command line."});
  }
}

void check_accounts(const Machine& machine, HealthChecks& out) {
  const auto group = find_group(machine, kStationUser);
  if (!find_user(machine, kStationUser) || !group || !find_group(machine, kMetricsGroup)) {
    out.push_back({"user.accounts", Health::fail,
                   fmt::format("user {0}, or a group of {0} and {1}, is missing", kStationUser, kMetricsGroup),
                   "Run imprint station setup."});
  } else {
    out.push_back(
        {"user.accounts", Health::ok, fmt::format("user {0}, groups {0} and {1}", kStationUser, kMetricsGroup), {}});
  }
  if (group && group->members.empty()) {
    out.push_back({"user.members", Health::warn, "nobody but root may use the station's commands",
                   "Add who works here: adduser NAME imprint; it counts from the next login."});
  } else if (group) {
    out.push_back({"user.members", Health::ok, fmt::format("{}", fmt::join(group->members, ", ")), {}});
  }
  check_units(machine, out);
}

void check_usb(const Machine& machine, const SlotMap& slots, bool training, HealthChecks& out) {
  if (training) {
    out.push_back({"usb.slots", Health::ok, "a training station has simulated devices only", {}});
    return;
  }
  check_shipped_rules(machine, out);
  const SlotPorts ports = ports_of_slots(machine, slots);
  check_simulated(machine, ports, out);
  check_suspending(machine, ports, out);
  if (slots.empty()) {
    out.push_back({"usb.slots", Health::fail, "no slot file names a port, so nothing is flashed anywhere",
                   "Plug a device into one slot after the other with imprint devices --learn "
                   "/etc/imprint/slots.d/50-line.conf, then run imprint station setup again."});
    return;
  }
  check_slot_rules(machine, slots, out);
  check_ports(ports, slots, out);
}

}  // namespace imprint::station::cli
