// SPDX-License-Identifier: GPL-3.0-or-later
// How far an attempt is, over all of its phases, and how long it will take.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

namespace imprint::engine {

// Those that are measured in bytes.
enum class TransferPhase : std::uint8_t { write, read_back };
inline constexpr std::size_t kTransferPhases = 2;

// Thread-safe.
class Progress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kRateWindow{2};

  // The whole plan, before the first byte. 0: the phase is left out.
  void plan(TransferPhase phase, std::uint64_t due);
  // Bytes since the phase began.
  void on_bytes(TransferPhase phase, std::uint64_t done, Time now);

  struct View {
    std::array<std::uint64_t, kTransferPhases> done{};
    std::array<std::uint64_t, kTransferPhases> due{};
    double bytes_per_second = 0;  // of the last 2 s
    // Of what is due of all phases: this one at its present rate, a later one at the rate that its kind is known to
    // have, or else the present one. Nothing as long as nothing moves.
    std::optional<std::chrono::milliseconds> left;
  };
  [[nodiscard]] View view(Time now) const;

 private:
  struct Sample {
    Time at;
    std::uint64_t done;
  };
  [[nodiscard]] double rate(Time now) const;

  mutable std::mutex mutex_;
  std::array<std::uint64_t, kTransferPhases> done_{};
  std::array<std::uint64_t, kTransferPhases> due_{};
  TransferPhase phase_ = TransferPhase::write;
  std::deque<Sample> samples_;  // of this phase, no more than the window needs
};

}  // namespace imprint::engine
