// SPDX-License-Identifier: GPL-3.0-or-later
// Which bytes of a disk: allocation maps, described blocks, ranges that were written.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace imprint::core {

// Half open: [offset, offset + length), in bytes.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  [[nodiscard]] std::uint64_t end() const { return offset + length; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

// A set of bytes, kept as the fewest possible extents. offset + length must not overflow 64 bits.
class ExtentSet {
 public:
  void add(Extent extent);
  void add_all(const ExtentSet& other, std::uint64_t shift = 0);
  [[nodiscard]] bool contains(Extent extent) const;    // all of it; an empty extent always is
  [[nodiscard]] bool intersects(Extent extent) const;  // any of it
  [[nodiscard]] std::vector<Extent> extents() const;   // ascending, none adjacent
  // The part of `extent` that is in the set, ascending.
  [[nodiscard]] std::vector<Extent> within(Extent extent) const;
  [[nodiscard]] std::uint64_t total() const;
  [[nodiscard]] bool empty() const { return ends_.empty(); }
  // Every extent grown outwards to multiples of `alignment`.
  [[nodiscard]] ExtentSet aligned(std::uint64_t alignment) const;

 private:
  std::map<std::uint64_t, std::uint64_t> ends_;  // start -> end
};

}  // namespace imprint::core
