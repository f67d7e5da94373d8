// SPDX-License-Identifier: GPL-3.0-or-later
// The flashing line of the demonstration: eight virtual devices in eight slots, one of the wrong kind, one whose cable
// is pulled in the middle and plugged in again.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <vector>

#include "db/records.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/virtual_bus.hpp"
#include "flash/core/clock.hpp"
#include "flash/trust/policy.hpp"
#include "station/armed_image.hpp"
#include "station/attempt.hpp"
#include "station/recipe.hpp"

namespace imprint::station::cli {

class DemoLine {
 public:
  static constexpr unsigned kSlots = 8;
  static constexpr unsigned kWrongDeviceSlot = 4;
  static constexpr unsigned kPulledCableSlot = 6;

  struct Setup {
    ArmedImage image;
    Recipe recipe;
    std::shared_ptr<const trust::TrustStore> device_trust;  // what the devices themselves trust
    std::filesystem::path scratch;                          // for the devices' disks and what is taken out of them
  };

  // Makes the devices; nothing is plugged in yet.
  [[nodiscard]] static core::Result<std::unique_ptr<DemoLine>> make(Setup setup);

  // Plugs in all devices, plays the line's operator, and returns when every slot is done: results in the order in which
  // the attempts ended. `job.deadline` when the line does not finish.
  [[nodiscard]] core::Result<std::vector<AttemptResult>> run(db::Records& records, const core::WallClock& clock);

 private:
  explicit DemoLine(Setup setup) : setup_(std::move(setup)) {}
  [[nodiscard]] core::Status make_device(unsigned slot);

  Setup setup_;
  virtual_device::VirtualBus bus_;
  std::array<std::shared_ptr<virtual_device::VirtualSimpleIoDevice>, kSlots> devices_;
};

}  // namespace imprint::station::cli
