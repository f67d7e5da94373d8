// SPDX-License-Identifier: GPL-3.0-or-later
// When a unit or a slot has failed often enough to be set aside. Counts in, an answer out: who counts is the records.
#pragma once

#include <optional>
#include <string_view>

#include "flash/core/error_table.hpp"
#include "flash/core/result.hpp"

namespace imprint::station::admission {

struct QuarantineLimits {
  unsigned unit_failures = 3;           // 0: never
  unsigned slot_failures_in_a_row = 3;  // 0: never
};

// Of attempts since the quarantine was lifted last.
struct SlotFailures {
  unsigned in_a_row = 0;
  // How many different units were among them, those that did not tell their serial each for one. One bad unit that is
  // plugged in again and again says nothing of the slot.
  unsigned units = 0;
};

// Does an attempt that ended this way speak against the unit, or against the slot? What the operator or the image is to
// blame for speaks against neither; what the station is to blame for, against the slot.
[[nodiscard]] bool counts_against_unit(core::FaultClass fault);
[[nodiscard]] bool counts_against_slot(core::FaultClass fault);

// `quarantine.unit`, with the counts as context; nothing while it may go on.
[[nodiscard]] std::optional<core::Error> judge_unit(const QuarantineLimits& limits, std::string_view serial,
                                                    unsigned failures);
// `quarantine.slot`, which says that it is probably the cable.
[[nodiscard]] std::optional<core::Error> judge_slot(const QuarantineLimits& limits, std::string_view slot,
                                                    const SlotFailures& failures);

}  // namespace imprint::station::admission
