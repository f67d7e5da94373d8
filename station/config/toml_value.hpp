// SPDX-License-Identifier: GPL-3.0-or-later
// TOML as plain values that know where they stand. The library behind it costs seconds in every file that includes it
// and stays in toml_value.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "station/config/complaint.hpp"

namespace imprint::station::config {

struct TomlValue;
struct TomlEntry;
using TomlArray = std::vector<TomlValue>;
using TomlTable = std::vector<TomlEntry>;  // in the order of the file
struct TomlDate {};                        // no setting is one

struct TomlValue {
  std::variant<std::string, std::int64_t, double, bool, TomlDate, TomlArray, TomlTable> data;
  Place place;
  // "a text", "a number" ...: for complaints.
  [[nodiscard]] std::string_view kind() const;
};

struct TomlEntry {
  std::string key;
  Place place;  // of the key
  TomlValue value;
};

inline constexpr std::size_t kMaxTomlBytes = 1U << 20;

// `config.toml-malformed` as the one complaint: the library stops at the first.
[[nodiscard]] Parsed<TomlTable> parse_toml(std::string_view text, const std::filesystem::path& file);

// Of the settings of a file and of its tables: two levels, as files of ours have them.
[[nodiscard]] Places places_of(const TomlTable& root);

}  // namespace imprint::station::config
