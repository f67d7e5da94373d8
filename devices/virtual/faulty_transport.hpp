// SPDX-License-Identifier: GPL-3.0-or-later
// A transport whose Nth call goes wrong. Tests raise N from 1 until their scenario passes, so that every call was the
// one that failed.
#pragma once

#include <cstdint>
#include <memory>

#include "devices/protocol/transport.hpp"

namespace imprint::virtual_device {

enum class TransportFault {
  fail,        // nothing is moved: `device.transfer-failed`
  cut_short,   // half is moved: a write then fails, a read is a short one and the rest is lost
  stall,       // nothing is moved: `device.stalled`, here and in every later transfer until clear()
  time_out,    // nothing is moved: `device.timed-out`
  disconnect,  // `device.disconnected`, here and in every later call
};

struct FaultPlan {
  TransportFault fault = TransportFault::fail;
  std::uint64_t call = 0;  // counted from 1 over all calls of the transport; 0: no fault
};

class FaultyTransport final : public devices::Transport {
 public:
  // `happened` is set once the fault took place: a scenario that passes without it has no call left to break.
  FaultyTransport(std::unique_ptr<devices::Transport> inner, FaultPlan plan, std::shared_ptr<bool> happened);

  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline) override;
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) override;
  [[nodiscard]] core::Status clear(core::Deadline deadline) override;
  [[nodiscard]] core::Status control_line_state(core::Deadline deadline) override;
  void cancel_at(core::Deadline grace) override { inner_->cancel_at(grace); }

 private:
  // Counts the call; true when it is the one that is cut short. Fails for every other fault.
  [[nodiscard]] core::Result<bool> begin_call(bool is_clear);

  std::unique_ptr<devices::Transport> inner_;
  FaultPlan plan_;
  std::shared_ptr<bool> happened_;
  std::uint64_t calls_ = 0;
  bool stalled_ = false;
  bool gone_ = false;
};

}  // namespace imprint::virtual_device
