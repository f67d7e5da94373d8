// SPDX-License-Identifier: GPL-3.0-or-later
// What the station was last loaded with: after a restart the order is known, and disarmed until somebody signs in.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

using ArmingId = std::int64_t;

struct NewArming {
  std::string product{};
  std::optional<OrderId> work_order{};
  std::string recipe_digest{};
  std::string image_sha256{};
  Actor by{};
};

struct ArmingRow {
  ArmingId id = 0;
  NewArming what;
  core::UtcTime armed{};
  std::optional<core::UtcTime> disarmed;
  std::string disarm_reason;
};

// Thread-safe, as Records is.
class Armings {
 public:
  explicit Armings(const Records& records) : records_(records) {}

  // Disarms what is armed ("armed anew") in the same transaction. `records.unknown` for an order, an operator or a
  // session that is not there.
  [[nodiscard]] core::Result<ArmingId> arm(const NewArming& arming) const;
  // Whether anything was armed.
  [[nodiscard]] core::Result<bool> disarm(const std::string& reason, const Actor& by) const;
  // Whether the line was ever armed with a product of that name, or an order made for it.
  [[nodiscard]] core::Result<bool> knows(std::string_view product) const;
  // The newest, armed or not; nothing when there never was one.
  [[nodiscard]] core::Result<std::optional<ArmingRow>> last_loaded() const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
