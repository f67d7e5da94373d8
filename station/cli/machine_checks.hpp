// SPDX-License-Identifier: GPL-3.0-or-later
// What a station asks of the computer under it: clock, memory, power, USB and its rules, users and units.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "devices/usb/usb_topology.hpp"
#include "flash/core/clock.hpp"
#include "station/cli/health.hpp"
#include "station/slot_map.hpp"

namespace imprint::station::cli {

// The computer as the checks see it; tests give them one of their own making.
struct Machine {
  std::filesystem::path root = "/";  // of /proc, /sys, /etc and the folders of udev and systemd
  core::UtcTime now;
  std::optional<bool> clock_is_synchronised;  // nothing: the kernel does not say
  std::vector<usb::TopologyNode> topology;
};
// This one.
[[nodiscard]] Machine this_machine();

struct Account {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
// From etc/passwd and etc/group, as system users are. Nothing where there is none.
[[nodiscard]] std::optional<Account> find_user(const Machine& machine, std::string_view name);
struct Group {
  std::uint32_t gid = 0;
  std::vector<std::string> members;
};
[[nodiscard]] std::optional<Group> find_group(const Machine& machine, std::string_view name);

// Where udev reads rules, the first hides the next.
[[nodiscard]] std::vector<std::filesystem::path> udev_rule_folders(const Machine& machine);
inline constexpr const char* kSlotRules = "etc/udev/rules.d/53-imprint-slots.rules";  // below the root
inline constexpr const char* kStationUser = "imprint";
inline constexpr const char* kMetricsGroup = "imprint-metrics";
inline constexpr const char* kUnits[] = {"imprintd.socket", "imprintd-metrics.socket", "imprintd.service"};

// clock.*, memory.*, power.*.
void check_computer(const Machine& machine, HealthChecks& out);
// jobs.confinement: what the kernel offers to hold the processes of jobs.
void check_confinement(HealthChecks& out);
// user.*, service.units.
void check_accounts(const Machine& machine, HealthChecks& out);
// usb.*, udev.*. A training station has simulated devices only, and none of this is asked of it.
void check_usb(const Machine& machine, const SlotMap& slots, bool training, HealthChecks& out);

}  // namespace imprint::station::cli
