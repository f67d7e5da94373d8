// SPDX-License-Identifier: GPL-3.0-or-later
// An exported head of the chain: small canonical JSON that a station signs and prints on shift reports. Whoever holds
// one can later prove that nothing before it was changed, and nothing was cut off behind it.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

struct ChainHead {
  std::string station{};  // 1 to 64 of A-Z a-z 0-9 . _ -
  std::int64_t seq = 0;   // of the last entry; 0 for an empty chain
  std::string head{};     // 64 lower-case hexadecimal digits; zeros for an empty chain
  core::UtcTime at{};
  std::uint64_t attempts = 0;  // that were ever opened
  std::uint64_t units = 0;
  std::uint64_t audit = 0;

  friend bool operator==(const ChainHead&, const ChainHead&) = default;
};

// One line without spaces and line feed, always the same for the same head: what is signed are exactly these bytes.
[[nodiscard]] std::string to_text(const ChainHead& head);
// Only what to_text writes, byte for byte (a line feed at the end is allowed): `records.head-malformed`.
[[nodiscard]] core::Result<ChainHead> parse_chain_head(std::string_view text);

}  // namespace imprint::db
