// SPDX-License-Identifier: GPL-3.0-or-later
// What a line adds to an attempt: whose unit it is, whether that unit may be flashed, and what follows from its end.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "db/records.hpp"
#include "devices/protocol/device_bus.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/target.hpp"

namespace imprint::station {

struct AttemptResult;

// The unit that a device in a slot is taken for.
struct UnitClaim {
  std::string serial;          // what it is recorded under
  bool manual_serial = false;  // typed by a person
  std::string mac{};           // that its label carries
};

// Leave to flash a unit, given once.
struct Leave {
  bool may_have_passed = false;  // a unit that has passed before may be flashed again
  std::string reason;            // of the re-flash or rework, for the records
};

// Called from the slots' threads, several at once.
class AttemptRules {
 public:
  AttemptRules() = default;
  AttemptRules(const AttemptRules&) = delete;
  AttemptRules& operator=(const AttemptRules&) = delete;
  virtual ~AttemptRules() = default;

  // A device came to the slot and is going to be begun with, told of once or more often; it left again before that.
  // From the bus's thread or the slot's, and must not block.
  virtual void arrived(const std::string& slot) = 0;
  virtual void left(const std::string& slot) = 0;
  // Adds to the row with which an attempt opens: order, session, digests.
  virtual void describe(db::NewAttempt& attempt) = 0;
  // Asked once the device has said who it is, before the records know the unit. May wait for a scan, by a deadline of
  // its own; a stop request ends that (`job.cancelled`).
  [[nodiscard]] virtual core::Result<UnitClaim> claim(const std::string& slot, const engine::DeviceIdentity& identity,
                                                      const std::stop_token& stop) = 0;
  // Asked before a byte is written, and before the records tie the attempt to the unit. An error refuses the unit.
  [[nodiscard]] virtual core::Result<Leave> admit(const std::string& slot, const UnitClaim& claim,
                                                  const engine::DeviceIdentity& identity) = 0;
  // The reason for which a check that failed is waived for this unit now; nothing: it is not.
  [[nodiscard]] virtual core::Result<std::optional<std::string>> waiver_of(const std::string& check,
                                                                           db::UnitId unit) = 0;
  // The attempt's end is in the records; what the recipe wants done with the device comes then.
  virtual void recorded(const std::string& slot) = 0;
  // The attempt is over: once for each that was described. `unit`: nothing when it was not identified.
  virtual void ended(const AttemptResult& result, std::optional<db::UnitId> unit) = 0;
};

}  // namespace imprint::station
