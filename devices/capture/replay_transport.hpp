// SPDX-License-Identifier: GPL-3.0-or-later
// The recorded device in place of a device: one connection of it.
#pragma once

#include <memory>

#include "devices/capture/replay_state.hpp"
#include "devices/protocol/transport.hpp"

namespace imprint::capture {

// Never waits: a deadline that passed when it was recorded passes at once. Errors beside the recorded ones:
// `capture.replay-differs`, `capture.recording-ended`, and `device.disconnected` after either.
class ReplayTransport final : public devices::Transport {
 public:
  ReplayTransport(std::shared_ptr<ReplayState> state, std::size_t connection)
      : state_(std::move(state)), connection_(connection) {}

  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline) override;
  [[nodiscard]] core::Status write_pieces(core::ByteView data, std::size_t piece, core::Deadline deadline) override;
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) override;
  [[nodiscard]] core::Status clear(core::Deadline deadline) override;
  [[nodiscard]] core::Status control_line_state(core::Deadline deadline) override;
  void cancel_at(core::Deadline /*grace*/) override {}  // there is nothing that could be under way

 private:
  [[nodiscard]] core::Status control(const Setup& setup);
  std::shared_ptr<ReplayState> state_;
  std::size_t connection_;
};

}  // namespace imprint::capture
