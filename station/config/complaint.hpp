// SPDX-License-Identifier: GPL-3.0-or-later
// One thing that is wrong with a file, and where. A reader goes on after one, so that a file is mended in one go.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"
#include "station/config/errors.hpp"

namespace imprint::station::config {

// Lines and columns count from 1; 0: the file as a whole.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// Where each setting of a file stands, by its full name ("image.file").
using Places = std::map<std::string, Place, std::less<>>;
// Of a setting, or of the file as a whole where the setting is not in it.
[[nodiscard]] Place place_of(const Places& places, std::string_view setting);

struct Complaint {
  std::filesystem::path file;
  Place place;
  core::Error error;  // its detail says what is wrong
  std::string write;  // what to write instead; empty where the row's remedy says it all
  // "kestrel.toml:4:1: config.key-unknown: The file has ...: ...; write ..." on one line, made printable.
  [[nodiscard]] std::string to_line() const;
  // What to do: `write` where there is one, the row's remedy otherwise.
  [[nodiscard]] std::string remedy() const;
};
using Complaints = std::vector<Complaint>;

// A value only where there is nothing to complain of.
template <class T>
struct Parsed {
  std::optional<T> value;
  Complaints complaints;  // in the order of the file
};

// All of them as one Error, for callers that need one: `config.faulty`, caused by the first, with their number.
[[nodiscard]] core::Error as_error(const Complaints& complaints);

}  // namespace imprint::station::config
