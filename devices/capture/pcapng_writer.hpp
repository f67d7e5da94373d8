// SPDX-License-Identifier: GPL-3.0-or-later
// Blocks of a recording, ready to be written one behind the other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "devices/capture/transfer.hpp"
#include "flash/core/bytes.hpp"

namespace imprint::capture {

// The file's first block.
[[nodiscard]] core::ByteBuffer section_block(std::string_view program);
// Interfaces count from 0 in the order of their blocks. One for each port: `name` is its path.
[[nodiscard]] core::ByteBuffer interface_block(std::string_view name, std::string_view description);

struct PortTotals {
  std::uint64_t packets = 0;
  std::uint64_t dropped = 0;
};
[[nodiscard]] core::ByteBuffer statistics_block(std::uint32_t interface, Time time, const PortTotals& totals,
                                                std::string_view comment);

struct TransferPlace {
  std::uint64_t id = 0;  // of this transfer alone in the file
  std::uint32_t interface = 0;
  std::uint16_t bus = 0;
  std::uint8_t device = 1;    // of this connection alone at its port: 1 to 127
  std::uint64_t dropped = 0;  // packets of the port that are missing before it
};

// A transfer is two packets, submission and completion, with the data in one of them. `kept` bytes of it are written
// between `before` and `after`, so that no copy of them is needed.
struct TransferBlocks {
  core::ByteBuffer before;
  core::ByteBuffer after;
};
[[nodiscard]] TransferBlocks transfer_blocks(const TransferPlace& place, const TransferFacts& facts, std::size_t kept);

// To a recording that is made in memory.
inline void append(core::ByteBuffer& to, core::ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

}  // namespace imprint::capture
