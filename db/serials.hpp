// SPDX-License-Identifier: GPL-3.0-or-later
// Serials that the station gives: ranges of numbers for a product, and one number after the other, never twice.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

using RangeId = std::int64_t;

struct NewRange {
  std::string product{};
  std::uint64_t first = 0;
  std::uint64_t last = 0;  // included
  std::string format{};    // how a number becomes a serial; the station's own, opaque here
  Actor by{};
};

struct Allotted {
  RangeId range = 0;
  std::uint64_t number = 0;
  std::string format;
};

struct RangeRow {
  RangeId id = 0;
  NewRange range;
  std::uint64_t allotted = 0;
};

// Thread-safe, as Records is.
class Serials {
 public:
  explicit Serials(const Records& records) : records_(records) {}

  // `records.range-unusable` when it is empty or backwards, or shares a number with another of the product and format.
  [[nodiscard]] core::Result<RangeId> add_range(const NewRange& range) const;
  // The next number, from the oldest range that has one; it is used up even if the attempt comes to nothing.
  // `records.range-exhausted`.
  [[nodiscard]] core::Result<Allotted> allot(std::string_view product, std::optional<AttemptId> attempt) const;
  // The same out of one range. `records.range-exhausted`, also where there is no such range.
  [[nodiscard]] core::Result<Allotted> allot_from(RangeId range, std::optional<AttemptId> attempt) const;
  // Numbers that are left in all ranges of the product.
  [[nodiscard]] core::Result<std::uint64_t> left(std::string_view product) const;
  [[nodiscard]] core::Result<std::vector<RangeRow>> ranges(std::string_view product) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
