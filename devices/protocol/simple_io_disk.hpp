// SPDX-License-Identifier: GPL-3.0-or-later
// A device's disk through ReadDisk, as a block source for read-back and the rules.
#pragma once

#include <memory>

#include "devices/protocol/simple_io_connection.hpp"
#include "flash/core/block_io.hpp"

namespace imprint::devices::simple_io {

// Thread-safe: holds the connection's mutex for each command. Reads in whole blocks whatever is asked for.
class DiskSource final : public core::BlockSource {
 public:
  DiskSource(std::shared_ptr<Connection> connection, Connection::Disk disk)
      : connection_(std::move(connection)), disk_(disk) {}

  [[nodiscard]] std::uint64_t size() const override { return disk_.geometry.size; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override;

 private:
  [[nodiscard]] core::Status read_blocks(std::uint64_t offset, core::ByteSpan out) const;

  std::shared_ptr<Connection> connection_;
  Connection::Disk disk_;
};

}  // namespace imprint::devices::simple_io
