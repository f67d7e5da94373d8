// SPDX-License-Identifier: GPL-3.0-or-later
// Waits that end: every wait of the product carries a Deadline, and most also a stop token.
#pragma once

#include <chrono>
#include <stop_token>

namespace imprint::core {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] static Deadline after(std::chrono::milliseconds duration) { return Deadline(Clock::now() + duration); }
  [[nodiscard]] std::chrono::milliseconds left() const {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now());
    return rest.count() > 0 ? rest : std::chrono::milliseconds(0);
  }
  [[nodiscard]] bool passed() const { return Clock::now() >= at_; }
  [[nodiscard]] Clock::time_point at() const { return at_; }

 private:
  explicit Deadline(Clock::time_point at) : at_(at) {}
  Clock::time_point at_;
};

}  // namespace imprint::core
