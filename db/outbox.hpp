// SPDX-License-Identifier: GPL-3.0-or-later
// Events for systems beyond the station. They are written in the transaction of what they tell of, numbered without
// gaps, and delivered in that order; a delivery is a row of its own.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

struct OutboxEvent {
  std::int64_t sequence = 0;
  std::string kind;     // "attempt.closed", or the station's own
  std::string payload;  // JSON
  core::UtcTime at{};
};

// Thread-safe, as Records is.
class Outbox {
 public:
  explicit Outbox(const Records& records) : records_(records) {}

  // An event of the station's own; its sequence number. `records.value-unusable` for a payload that is not JSON.
  [[nodiscard]] core::Result<std::int64_t> add(const std::string& kind, const std::string& payload) const;
  // The oldest that are not delivered, at most `limit`.
  [[nodiscard]] core::Result<std::vector<OutboxEvent>> next_undelivered(std::size_t limit = 100) const;
  // The oldest undelivered one only, so that none is passed over: `records.outbox-order`. `receipt`: what the other
  // side said, a lasting refusal included.
  [[nodiscard]] core::Status mark_delivered(std::int64_t sequence, const std::string& receipt = {}) const;
  [[nodiscard]] core::Result<std::uint64_t> undelivered() const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
