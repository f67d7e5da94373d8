// SPDX-License-Identifier: GPL-3.0-or-later
// Merging and looking up extents.
#include "flash/core/extent_set.hpp"

#include <algorithm>

namespace imprint::core {

void ExtentSet::add(Extent extent) {
  if (extent.length == 0) return;
  std::uint64_t start = extent.offset;
  std::uint64_t end = extent.end();
  auto next = ends_.upper_bound(start);
  if (next != ends_.begin()) {
    const auto previous = std::prev(next);
    if (previous->second >= start) {
      if (previous->second >= end) return;
      start = previous->first;
      next = ends_.erase(previous);
    }
  }
  while (next != ends_.end() && next->first <= end) {
    end = std::max(end, next->second);
    next = ends_.erase(next);
  }
  ends_.emplace_hint(next, start, end);
}

void ExtentSet::add_all(const ExtentSet& other, std::uint64_t shift) {
  for (const auto& [start, end] : other.ends_) add({start + shift, end - start});
}

bool ExtentSet::contains(Extent extent) const {
  if (extent.length == 0) return true;
  auto next = ends_.upper_bound(extent.offset);
  return next != ends_.begin() && std::prev(next)->second >= extent.end();
}

bool ExtentSet::intersects(Extent extent) const {
  if (extent.length == 0) return false;
  auto next = ends_.lower_bound(extent.end());
  return next != ends_.begin() && std::prev(next)->second > extent.offset;
}

std::vector<Extent> ExtentSet::extents() const {
  std::vector<Extent> out;
  out.reserve(ends_.size());
  for (const auto& [start, end] : ends_) out.push_back({start, end - start});
  return out;
}

std::vector<Extent> ExtentSet::within(Extent extent) const {
  std::vector<Extent> out;
  auto it = ends_.upper_bound(extent.offset);
  if (it != ends_.begin() && std::prev(it)->second > extent.offset) --it;
  for (; it != ends_.end() && it->first < extent.end(); ++it) {
    const std::uint64_t start = std::max(it->first, extent.offset);
    const std::uint64_t end = std::min(it->second, extent.end());
    if (end > start) out.push_back({start, end - start});
  }
  return out;
}

std::uint64_t ExtentSet::total() const {
  std::uint64_t sum = 0;
  for (const auto& [start, end] : ends_) sum += end - start;
  return sum;
}

ExtentSet ExtentSet::aligned(std::uint64_t alignment) const {
  ExtentSet out;
  for (const auto& [start, end] : ends_) {
    const std::uint64_t first = start / alignment * alignment;
    const std::uint64_t last = (end + alignment - 1) / alignment * alignment;
    out.add({first, last - first});
  }
  return out;
}

}  // namespace imprint::core
