// SPDX-License-Identifier: GPL-3.0-or-later
// Makes the same target of the recorded device as the bus that it was recorded on.
#include "devices/capture/replay_bus.hpp"

#include <algorithm>

#include "devices/capture/replay_transport.hpp"
#include "devices/protocol/errors.hpp"
#include "devices/protocol/simple_io.hpp"

namespace imprint::capture {
namespace {

// Nothing ever comes or goes.
class Subscription final : public devices::BusSubscription {};

// On which flow the recorded host was: only the fast one has this command, alone in its transfer.
bool has_fast_flow(const ReplayState& state) {
  for (const RecordedConnection& connection : state.attempt().connections) {
    for (const RecordedTransfer& transfer : connection.transfers) {
      if (transfer.kind != TransferKind::bulk_out || transfer.asked != 1 || transfer.kept != 1) continue;
      const auto byte = state.recording().data(transfer, 0, 1);
      if (byte && byte->front() == static_cast<std::uint8_t>(devices::simple_io::Opcode::fast_flash)) return true;
    }
  }
  return false;
}

core::Result<std::unique_ptr<devices::Transport>> reconnect(const std::shared_ptr<ReplayState>& state) {
  IMPRINT_TRY(const std::size_t connection, state->connect());
  const auto& connections = state->attempt().connections;
  const RecordedConnection& now = connections[connection];
  const RecordedConnection& before = connections[connection - 1];
  const bool is_other =
      now.has_identity && before.has_identity &&
      (now.identity.vendor_id != before.identity.vendor_id || now.identity.product_id != before.identity.product_id ||
       now.identity.serial != before.identity.serial);
  if (is_other) return devices::fail("device.identity-changed").with("port", state->attempt().port.text);
  return std::make_unique<ReplayTransport>(state, connection);
}

}  // namespace

std::optional<devices::Protocol> protocol_of(const RecordedAttempt& attempt) {
  const RecordedConnection& first = attempt.connections.front();
  return first.has_identity ? devices::protocol_of(first.identity) : std::nullopt;
}

std::unique_ptr<devices::BusSubscription> ReplayBus::subscribe(devices::BusObserver& observer) {
  observer.on_arrival(state_->attempt().port);
  return std::make_unique<Subscription>();
}

core::Result<std::unique_ptr<engine::Target>> ReplayBus::open(const devices::PortPath& port) {
  if (port != state_->attempt().port) return devices::fail("device.not-present").with("port", port.text);
  const auto protocol = protocol_of(state_->attempt());
  if (!protocol) return devices::fail("device.unknown").with("port", port.text);
  IMPRINT_TRY(const std::size_t connection, state_->connect());
  auto transport = std::make_unique<ReplayTransport>(state_, connection);
  if (*protocol != devices::Protocol::simple_io) return devices::make_target(*protocol, std::move(transport));
  devices::SimpleIoOptions options;
  options.flow =
      has_fast_flow(*state_) ? devices::SimpleIoOptions::Flow::by_capability : devices::SimpleIoOptions::Flow::normal;
  options.settle = std::chrono::milliseconds(0);  // a recorded device needs no time to come to itself
  options.reconnect = [state = state_](core::Deadline) { return reconnect(state); };
  // The kernel spoke to the disk, so its transfers were not recorded: the replay ends there.
  options.await_disk = [state = state_](core::Deadline,
                                        const std::stop_token&) -> core::Result<std::unique_ptr<engine::BlockTarget>> {
    state->leave("the device became a disk, whose transfers are the kernel's");
    return devices::fail("device.disconnected").with("port", state->attempt().port.text);
  };
  return std::make_unique<devices::SimpleIoTarget>(std::move(transport), std::move(options));
}

}  // namespace imprint::capture
