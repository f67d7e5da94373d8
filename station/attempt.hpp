// SPDX-License-Identifier: GPL-3.0-or-later
// One attempt: a device in a slot, from the first row of its record to the last.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "db/records.hpp"
#include "devices/capture/recorder.hpp"
#include "devices/protocol/device_bus.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/start_gate.hpp"
#include "flash/inspect/finding.hpp"
#include "station/armed_image.hpp"
#include "station/attempt_rules.hpp"
#include "station/recipe.hpp"
#include "station/slot_status.hpp"

namespace imprint::station {

// The serials that attempts are working on right now: two devices that carry one serial never flash side by side.
// Thread-safe.
class ActiveSerials {
 public:
  // False when the serial is taken; otherwise it is this caller's until release().
  [[nodiscard]] bool claim(const std::string& serial);
  void release(const std::string& serial);

 private:
  std::mutex mutex_;
  std::set<std::string> serials_;
};

// What every attempt of a session shares. Outlives the attempts.
struct AttemptContext {
  db::Records& records;
  devices::DeviceBus& bus;
  const core::WallClock& clock;
  const ArmedImage& image;
  const Recipe& recipe;
  ActiveSerials& active;
  std::filesystem::path scratch;          // a folder for files taken out of devices; emptied again
  bool training = false;                  // simulated devices, and no others
  capture::Recorder* recorder = nullptr;  // of the bus's transports; told how each attempt ends
  engine::StartGate* gate = nullptr;      // of the session's writes; nothing: they start at once
  AttemptRules* rules = nullptr;          // nothing: a unit is what its device says, and may not have passed before
};

struct AttemptResult {
  std::optional<db::AttemptId> id;  // nothing when even the opening could not be recorded
  std::string slot;
  std::string serial;
  std::string protocol;                     // of the device, once it is known
  std::uint64_t written = 0;                // bytes that the write step moved, of the image's file or onto the disk
  std::chrono::milliseconds write_time{0};  // from the write step's begin to the device's confirmation
  db::AttemptVerdict verdict = db::AttemptVerdict::failed;
  db::ProofLevel proof = db::ProofLevel::none;
  std::optional<core::Error> error;  // nothing only when passed
  inspect::Report report;            // empty when no rule was run
  unsigned recoveries = 0;           // how often the device left the bus in the middle, and the job went on with it
  std::optional<std::filesystem::path> recording;  // of its transfers, where it did not pass and they were kept
  std::string note;                                // what else there is to say, for the log and the screen
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
  virtual void on_identity(const std::string& serial) = 0;        // of the unit
  virtual void on_plan(std::uint64_t read_back_due) = 0;          // bytes that will be read back, known once admitted
  // The work is done, and it was done with one device throughout: if that is the one that the bus still holds at the
  // port, it is nobody new, however often it left and came back meanwhile.
  virtual void on_work_done() = 0;
  // The end cannot be written into the records. Returns when it is to be tried again; false: no more, the station ends.
  virtual bool on_unrecorded(const core::Error& /*why*/) { return false; }
  // The PASS is in the records; what the recipe wants done with the device afterwards comes now.
  virtual void on_passed() = 0;
};

// Runs the attempt on the calling thread. Never throws (what a library throws becomes `station.internal-error` or
// `io.out-of-memory`); a passed result means that the device confirmed, that
// everything the recipe asks for was proved, and that the record says so and is closed.
[[nodiscard]] AttemptResult run_attempt(const AttemptContext& context, const std::string& slot,
                                        const devices::PortPath& port, AttemptObserver& observer, std::stop_token stop);

}  // namespace imprint::station
