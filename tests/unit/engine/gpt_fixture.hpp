// SPDX-License-Identifier: GPL-3.0-or-later
// A disk whose GPT has one partition, and is made for its size.
#pragma once

#include <algorithm>
#include <cstddef>

#include "flash/disk/partition_table.hpp"
#include "tests/unit/engine/queue_fixture.hpp"

namespace imprint::fixture {

inline disk::PartitionTable one_partition() {
  disk::PartitionTable table;
  table.disk_id = core::Guid::from_name("disk");
  disk::Partition part;
  part.number = 1;
  part.name = "MainOS";
  part.type = core::Guid::from_name("type");
  part.id = core::Guid::from_name("part");
  part.first_sector = 300;
  part.sector_count = 1000;
  table.partitions.push_back(part);
  return table;
}

// Noise everywhere else.
inline core::ByteBuffer noise_with_gpt(std::size_t size) {
  core::ByteBuffer bytes = noise(size, 7);
  const auto gpt = disk::encode_gpt(one_partition(), size / 512).value();
  std::ranges::copy(gpt.head, bytes.begin());
  std::ranges::copy(gpt.tail, bytes.end() - static_cast<std::ptrdiff_t>(gpt.tail.size()));
  return bytes;
}

}  // namespace imprint::fixture
