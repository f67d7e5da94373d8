// SPDX-License-Identifier: GPL-3.0-or-later
// A device that sends transfers without data for ever must not hold a wait, each of whose reads succeeds, for longer
// than a count of them.
#pragma once

#include <cstddef>

#include "devices/protocol/errors.hpp"
#include "flash/core/result.hpp"

namespace imprint::devices {

inline constexpr std::size_t kMaxEmptyReads = 1000;  // zero-length transfers in one wait

// Of one wait.
class EmptyReads {
 public:
  // `device.protocol-violation` when it is one too many.
  [[nodiscard]] core::Status add() {
    if (++count_ <= kMaxEmptyReads) return {};
    return fail("device.protocol-violation", "the device sends empty transfers without end");
  }

 private:
  std::size_t count_ = 0;
};

}  // namespace imprint::devices
