// SPDX-License-Identifier: GPL-3.0-or-later
// One attempt: a device in a slot, from the first row of its record to the last.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "db/records.hpp"
#include "devices/protocol/device_bus.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/inspect/finding.hpp"
#include "station/armed_image.hpp"
#include "station/recipe.hpp"
#include "station/slot_status.hpp"

namespace imprint::station {

// What every attempt of a session shares. Outlives the attempts.
struct AttemptContext {
  db::Records& records;
  devices::DeviceBus& bus;
  const core::WallClock& clock;
  const ArmedImage& image;
  const Recipe& recipe;
  std::filesystem::path scratch;  // a folder for files taken out of devices; emptied again
};

struct AttemptResult {
  std::optional<db::AttemptId> id;  // nothing when even the opening could not be recorded
  std::string slot;
  std::string serial;
  db::AttemptVerdict verdict = db::AttemptVerdict::failed;
  db::ProofLevel proof = db::ProofLevel::none;
  std::optional<core::Error> error;  // nothing only when passed
  inspect::Report report;            // empty when no rule was run
};

// Called from the attempt's thread.
class AttemptObserver {
 public:
  AttemptObserver() = default;
  AttemptObserver(const AttemptObserver&) = delete;
  AttemptObserver& operator=(const AttemptObserver&) = delete;
  virtual ~AttemptObserver() = default;
  virtual void on_phase(SlotPhase phase, std::uint64_t due) = 0;  // bytes due in it, 0 where bytes do not measure it
  virtual void on_progress(std::uint64_t done) = 0;               // bytes of the phase
  virtual void on_identity(const engine::DeviceIdentity& identity) = 0;
};

// Runs the attempt on the calling thread. Never throws; a passed result means that the device confirmed, that
// everything the recipe asks for was proved, and that the record says so and is closed.
[[nodiscard]] AttemptResult run_attempt(const AttemptContext& context, const std::string& slot,
                                        const devices::PortPath& port, AttemptObserver& observer, std::stop_token stop);

}  // namespace imprint::station
