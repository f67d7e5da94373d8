// SPDX-License-Identifier: GPL-3.0-or-later
// A device's disk through ReadDisk, as a block source for read-back and the rules.
#pragma once

#include <memory>

#include "devices/protocol/simple_io_connection.hpp"
#include "flash/core/block_io.hpp"

namespace imprint::devices::simple_io {

// Thread-safe: holds the connection's mutex for each command. Reads in whole blocks whatever is asked for. A command
// that fails while the device is on the bus is repeated once, after host and device were brought back into step and the
// answer came from the same device: what was left of the first one can be part of no other.
class DiskSource final : public core::BlockSource {
 public:
  // `owner`: whose disk it is.
  DiskSource(std::shared_ptr<Connection> connection, Connection::Disk disk, Identity owner)
      : connection_(std::move(connection)), disk_(disk), owner_(std::move(owner)) {}

  [[nodiscard]] std::uint64_t size() const override { return disk_.geometry.size; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override;

 private:
  [[nodiscard]] core::Status read_blocks(std::uint64_t offset, core::ByteSpan out) const;
  [[nodiscard]] core::Status read_in_step(std::uint64_t offset, core::ByteSpan out) const;
  [[nodiscard]] core::Status back_in_step() const;

  std::shared_ptr<Connection> connection_;
  Connection::Disk disk_;
  Identity owner_;
};

}  // namespace imprint::devices::simple_io
