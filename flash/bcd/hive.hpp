// SPDX-License-Identifier: GPL-3.0-or-later
// The registry hive underneath a store, as keys and values: read through hivex, written by a writer of our own, because
// hivex cannot make a hive from nothing. Format "regf" 1.3 as observed on real stores (docs/formats.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flash/bcd/registry_value.hpp"
#include "flash/bcd/store.hpp"

namespace imprint::bcd {

struct HiveValue {
  std::string name;  // ASCII
  RegistryValue data;
};
struct HiveKey {
  std::string name;  // ASCII
  std::vector<HiveValue> values;
  std::vector<HiveKey> subkeys;  // sorted by the upper-case name: Windows searches the list by halving it
};

// No larger hive is read: real stores have less than 1 MiB.
inline constexpr std::uint64_t kMaxHiveSize = 16U << 20;
inline constexpr std::uint64_t kMaxValueSize = 1U << 20;
inline constexpr std::size_t kMaxObjects = 4096;
inline constexpr std::size_t kMaxElementsOfObject = 1024;

// The objects and elements of a hive's bytes, sorted by id. `bcd.not-a-hive`, `bcd.damaged`, `bcd.not-a-store`.
[[nodiscard]] core::Result<std::vector<Object>> read_hive(core::ByteView hive);
// A hive with this root key, all timestamps 0; the same tree gives the same bytes.
[[nodiscard]] core::ByteBuffer write_hive(const HiveKey& root);

}  // namespace imprint::bcd
