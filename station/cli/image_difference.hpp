// SPDX-License-Identifier: GPL-3.0-or-later
// What differs between two images: facts of their headers, partitions, and bytes of the disks that they describe.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"
#include "flash/inspect/disk_difference.hpp"
#include "station/cli/ffu_file.hpp"

namespace imprint::station::cli {

struct FactDifference {
  std::string fact;  // "platform ids"
  std::string a;
  std::string b;
  bool of_contents = false;  // not of headers or form alone: what a device is asked, and what is written to it
};

enum class PartitionState { same, different, only_in_a, only_in_b };

struct PartitionDifference {
  std::uint32_t number = 0;  // in a, or in b for those that are only there
  std::string name;
  PartitionState state = PartitionState::same;
  bool moved = false;            // begins at another place of the disk
  std::uint64_t bytes_in_a = 0;  // its size
  std::uint64_t bytes_in_b = 0;
  inspect::DifferenceSize difference;
};

struct StoreDifference {
  std::uint64_t disk_bytes_a = 0;
  std::uint64_t disk_bytes_b = 0;
  bool has_tables = false;  // partition tables of both could be read; `partitions` is empty otherwise
  std::vector<PartitionDifference> partitions;
  inspect::DifferenceSize outside;    // of every partition of a: tables, gaps, and what only b has there
  std::vector<core::Extent> extents;  // of the disk, ascending
  // What one writes and the other leaves as it is on a device, zeros too; ascending.
  std::vector<core::Extent> described_only_in_a;
  std::vector<core::Extent> described_only_in_b;
};

struct ImageDifference {
  std::vector<FactDifference> facts;
  std::vector<StoreDifference> stores;  // those that both have
  std::size_t stores_in_a = 0;
  std::size_t stores_in_b = 0;
  // Applied to a device they do the same: the same bytes at the same places, and nothing at the others, on the same
  // conditions (validation entries). What the headers say besides may differ.
  [[nodiscard]] bool same_contents() const;
};

// Everything that is read is checked against the hash tables. A disk whose size one image does not name has the size
// that the other one names.
[[nodiscard]] core::Result<ImageDifference> compare_images(
    const FfuFile& a, const FfuFile& b, const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
    const std::stop_token& stop);

}  // namespace imprint::station::cli
