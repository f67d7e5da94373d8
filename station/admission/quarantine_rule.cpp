// SPDX-License-Identifier: GPL-3.0-or-later
// Counts against limits.
#include "station/admission/quarantine_rule.hpp"

#include "station/admission/errors.hpp"

namespace imprint::station::admission {

bool counts_against_unit(core::FaultClass fault) { return fault == core::FaultClass::unit; }

bool counts_against_slot(core::FaultClass fault) {
  return fault == core::FaultClass::unit || fault == core::FaultClass::station;
}

std::optional<core::Error> judge_unit(const QuarantineLimits& limits, std::string_view serial, unsigned failures) {
  if (limits.unit_failures == 0 || failures < limits.unit_failures) return std::nullopt;
  return fail("quarantine.unit")
      .with("serial", serial)
      .with("failures", failures)
      .with("limit", limits.unit_failures)
      .error();
}

std::optional<core::Error> judge_slot(const QuarantineLimits& limits, std::string_view slot,
                                      const SlotFailures& failures) {
  const unsigned limit = limits.slot_failures_in_a_row;
  if (limit == 0 || failures.in_a_row < limit) return std::nullopt;
  // With a limit of 1 there can be no second unit.
  if (limit > 1 && failures.units < 2) return std::nullopt;
  return fail("quarantine.slot", "probably the cable")
      .with("slot", slot)
      .with("in_a_row", failures.in_a_row)
      .with("units", failures.units)
      .with("limit", limit)
      .error();
}

}  // namespace imprint::station::admission
