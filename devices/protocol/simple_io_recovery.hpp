// SPDX-License-Identifier: GPL-3.0-or-later
// What is done after a bus error in the middle of an image: bring the device back, make sure that it is the same one,
// and find out where it stands.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "devices/protocol/simple_io_flow.hpp"

namespace imprint::devices {

namespace simple_io {

// Of one job. Without a Reconnect nothing is recovered.
class Recovery {
 public:
  // `identified`: who the image goes to. `settle`: how long a device that came back is left alone.
  Recovery(const FlowJob& job, const Reconnect& reconnect, Identity identified, std::chrono::milliseconds settle)
      : job_(job), reconnect_(reconnect), identified_(std::move(identified)), settle_(settle) {}

  // The place in the image to go on from: 0 to begin again, at most kMaxRestarts times. `broken` again where the job
  // cannot go on, with what the recovery met as `recovery`; `device.identity-changed` when another device answers, by
  // its platform, its unique id or the serial number that the records carry.
  [[nodiscard]] core::Result<std::uint64_t> run(core::Error broken, Flow flow, std::uint64_t handed_out);
  // How often the bus gave a new transport, whatever became of it: see engine::Target::recoveries().
  [[nodiscard]] unsigned reopened() const { return reopened_; }

 private:
  [[nodiscard]] core::Result<std::uint64_t> place_of(const core::Error& broken, Flow flow, std::uint64_t handed_out);
  [[nodiscard]] core::Result<IdReply> bring_back(const core::Error& broken);
  [[nodiscard]] core::Status reopen(const core::Error& loss);
  [[nodiscard]] core::Result<IdReply> resynchronise();

  FlowJob job_;
  const Reconnect& reconnect_;
  Identity identified_;
  std::chrono::milliseconds settle_;
  int recoveries_ = 0;
  int restarts_ = 0;
  unsigned reopened_ = 0;
};

}  // namespace simple_io
}  // namespace imprint::devices
