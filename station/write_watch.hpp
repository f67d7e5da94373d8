// SPDX-License-Identifier: GPL-3.0-or-later
// What a write tells while it goes on, for the slot, its pace and its deadlines; and the device's own log.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "flash/engine/pace.hpp"
#include "flash/engine/phase_limit.hpp"
#include "flash/engine/phase_meter.hpp"
#include "flash/engine/target.hpp"
#include "station/attempt.hpp"

namespace imprint::station {

// Used by the attempt's thread alone.
class WriteWatch final : public engine::TransferObserver {
 public:
  struct Parts {
    AttemptObserver& observer;
    engine::Pace& pace;
    engine::PhaseLimit& limit;
    const engine::PhaseMeter& meter;
  };
  // `due`: bytes of the whole write, from the last of which on the device has `confirm` to say that it is done.
  WriteWatch(Parts parts, std::uint64_t due, std::chrono::milliseconds confirm)
      : parts_(parts), due_(due), confirm_(confirm) {}

  void on_bytes(std::uint64_t done) override;
  void on_device_log(std::string_view line) override;

  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  Parts parts_;
  std::uint64_t due_;
  std::chrono::milliseconds confirm_;
  std::uint64_t done_ = 0;
  std::size_t lines_ = 0;
  std::string log_;
};

}  // namespace imprint::station
