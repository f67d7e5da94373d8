// SPDX-License-Identifier: GPL-3.0-or-later
// What a share of a few units is worth: a yield of 6 of 7 is shown with the interval that it stands for.
#pragma once

#include <cstdint>
#include <optional>

namespace imprint::db {

struct Interval {
  double low = 0.0;
  double high = 1.0;
};

// The Wilson score interval at 95 % for `passed` of `of` (E. B. Wilson, 1927). Of nothing, nothing is known: 0 to 1.
// More passed than there are counts as all.
[[nodiscard]] Interval wilson_95(std::uint64_t passed, std::uint64_t of);

// passed / of; nothing when there are none.
[[nodiscard]] std::optional<double> share(std::uint64_t passed, std::uint64_t of);

}  // namespace imprint::db
