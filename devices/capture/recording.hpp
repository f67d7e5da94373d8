// SPDX-License-Identifier: GPL-3.0-or-later
// A recording as replays need it: ports, attempts, connections and their transfers in order; data stays in the file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/capture/outcome.hpp"
#include "devices/capture/transfer.hpp"
#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/usb_identity.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"

namespace imprint::capture {

struct RecordedTransfer {
  std::uint64_t frame = 0;  // of the submission, as Wireshark counts
  TransferKind kind = TransferKind::bulk_out;
  bool has_ended = false;   // its completion is in the recording
  bool after_gap = false;   // transfers are missing before it
  std::int32_t status = 0;  // one of usbmon's
  std::uint32_t asked = 0;
  std::uint32_t moved = 0;
  Setup setup{};
  std::uint64_t data_at = 0;
  std::uint32_t kept = 0;  // bytes of data that are in the file
  Time submitted;
};

// From when the device came until it left or was let go.
struct RecordedConnection {
  devices::UsbIdentity identity;  // ids and serial number, as far as its descriptors are in the recording
  bool has_identity = false;
  std::vector<RecordedTransfer> transfers;  // those that belong to a protocol
};

struct RecordedAttempt {
  devices::PortPath port;
  std::vector<RecordedConnection> connections;  // not empty
  std::optional<Outcome> outcome;

  [[nodiscard]] std::uint64_t transfers() const;
  [[nodiscard]] std::uint64_t bytes(TransferKind kind) const;
  [[nodiscard]] bool has_gap() const;
};

// Immutable once read; thread-safe where the source is.
class Recording {
 public:
  // One attempt for each outcome of a port; in a recording of usbmon's, where no port is named, one for each address,
  // "usbmon1:5". `capture.not-a-recording`, `capture.malformed`, or the error of the file.
  [[nodiscard]] static core::Result<std::shared_ptr<const Recording>> read(
      std::shared_ptr<const core::BlockSource> file);

  [[nodiscard]] const std::vector<RecordedAttempt>& attempts() const { return attempts_; }
  [[nodiscard]] const std::string& program() const { return program_; }  // that wrote it, printable
  // The end of the file is missing: whoever wrote it was stopped.
  [[nodiscard]] bool is_cut_off() const { return cut_off_; }
  // `size` bytes of a transfer's data, which are kept.
  [[nodiscard]] core::Result<core::ByteBuffer> data(const RecordedTransfer& transfer, std::uint64_t offset,
                                                    std::uint64_t size) const;

 private:
  Recording() = default;
  std::shared_ptr<const core::BlockSource> file_;
  std::vector<RecordedAttempt> attempts_;
  std::string program_;
  bool cut_off_ = false;
};

}  // namespace imprint::capture
