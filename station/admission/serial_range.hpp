// SPDX-License-Identifier: GPL-3.0-or-later
// Serials that the station gives out itself: numbers of a range, written with a prefix, a width and a check digit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "flash/core/result.hpp"
#include "station/admission/check_digit.hpp"

namespace imprint::station::admission {

struct SerialRange {
  std::string prefix;
  std::uint64_t first = 1;
  std::uint64_t last = 0;  // that one, too
  unsigned width = 0;      // digits of the number, filled with zeros; 0: as many as it has
  CheckDigit check_digit = CheckDigit::none;

  // `serial.range-invalid`
  [[nodiscard]] core::Status check() const;
  // `serial.range-exhausted` for a number outside of it.
  [[nodiscard]] core::Result<std::string> serial_of(std::uint64_t number) const;
};

// The next free number of the range, allotted for good by the time it answers; nothing when there is none left. The
// records do this, in one transaction, so that no number is given out twice.
using AllotNumber = std::function<core::Result<std::optional<std::uint64_t>>(const SerialRange& range)>;
// `serial.range-invalid`, `serial.range-exhausted`, and what `allot` fails with.
[[nodiscard]] core::Result<std::string> allot_serial(const SerialRange& range, const AllotNumber& allot);

}  // namespace imprint::station::admission
