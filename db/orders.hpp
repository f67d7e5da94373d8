// SPDX-License-Identifier: GPL-3.0-or-later
// Work orders: what is to be made, how many, by when, and how far it is. An order is a row; its changes and its end are
// rows of their own.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

struct NewOrder {
  std::string number{};  // unique; the company's own
  std::string product{};
  std::uint64_t quantity = 0;  // units, at least 1
  std::optional<core::UtcTime> due{};
  Actor by{};
};

struct OrderRow {
  OrderId id = 0;
  std::string number;
  std::string product;
  std::uint64_t quantity = 0;  // as last changed
  std::optional<core::UtcTime> due;
  std::optional<OperatorId> created_by;
  core::UtcTime created{};
  std::optional<core::UtcTime> closed;
  std::string closed_reason;
};

// A unit counts in one order only: that of its last conclusive attempt that was made for an order. There it is counted
// once among passed, failed, incomplete and scrapped, by its last conclusive attempt wherever that was made: a re-flash
// under another order moves it there, and a failure under none takes the pass away. What ended without naming a unit is
// counted by attempts.
struct OrderProgress {
  std::uint64_t quantity = 0;
  std::uint64_t passed = 0;      // units whose last result is a pass, scrapped ones left out
  std::uint64_t failed = 0;      // units whose last result is a failure, scrapped ones left out
  std::uint64_t incomplete = 0;  // units whose last result is incomplete, scrapped ones left out
  std::uint64_t scrapped = 0;    // units, whatever their last result
  std::uint64_t reworked = 0;    // units that count here and had more than one conclusive attempt for the order
  std::uint64_t open = 0;        // attempts that run now
  std::uint64_t refused = 0;     // attempts
  std::uint64_t aborted = 0;     // attempts, aborted or interrupted
  std::uint64_t remaining = 0;   // quantity less passed, never below 0
};

struct OrderState {
  OrderRow order;
  OrderProgress progress;
};

// Thread-safe, as Records is.
class Orders {
 public:
  explicit Orders(const Records& records) : records_(records) {}

  // `records.exists` for a number that is taken, `records.value-unusable` for an empty number or no quantity.
  [[nodiscard]] core::Result<OrderId> create(const NewOrder& order) const;
  // A new quantity and due date from now on. `records.unknown`, `records.order-closed`.
  [[nodiscard]] core::Status change(OrderId order, std::uint64_t quantity, std::optional<core::UtcTime> due,
                                    const std::string& reason, const Actor& by) const;
  // Once: `records.order-closed`.
  [[nodiscard]] core::Status close(OrderId order, const std::string& reason, const Actor& by) const;

  // `records.unknown`.
  [[nodiscard]] core::Result<OrderRow> find(std::string_view number) const;
  [[nodiscard]] core::Result<OrderRow> get(OrderId order) const;
  // In the order in which they were created.
  [[nodiscard]] core::Result<std::vector<OrderRow>> list(bool with_closed = true) const;
  [[nodiscard]] core::Result<OrderProgress> progress(OrderId order) const;
  // Whether the unit counts in the order, and as passed: another pass of it is no further unit of the order.
  [[nodiscard]] core::Result<bool> counts_as_passed(OrderId order, UnitId unit) const;
  // The same rows, each with its progress, all of one moment and counted at once.
  [[nodiscard]] core::Result<std::vector<OrderState>> list_with_progress(bool with_closed = true) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
