// SPDX-License-Identifier: GPL-3.0-or-later
// What a product asks for: how its image has to be signed, and what has to be proved before a unit may be called
// passed.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "flash/disk/device_layout.hpp"
#include "flash/engine/flash_device.hpp"
#include "flash/engine/start_gate.hpp"
#include "flash/inspect/rules.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::station {

struct Recipe {
  std::string product;
  trust::Policy policy = trust::Policy::retail;
  engine::FlashPolicy flash;
  // Rules that the device's disk has to follow; not given: not asked for.
  std::optional<disk::DeviceLayout> layout;
  std::optional<disk::DevicePlatform> platform;
  bool check_bcd = false;
  std::optional<inspect::RecoveryProfile> recovery;
  engine::Stagger stagger;  // of the writes on one hub
  // A device that comes to its slot within this time after one that passed has left it may be that one, rebooted, and
  // many do so by themselves: nothing is started with it.
  std::chrono::milliseconds reboot_time = std::chrono::seconds(30);

  // SHA-256 over everything above, lower-case hex: attempts record it.
  [[nodiscard]] std::string digest() const;
};

}  // namespace imprint::station
