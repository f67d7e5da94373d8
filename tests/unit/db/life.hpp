// SPDX-License-Identifier: GPL-3.0-or-later
// A station's life in single calls, each with the question whether it is in the records: what fault tests run until the
// disk fails, and ask again afterwards.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "db/records.hpp"

namespace imprint::db::test {

struct Deed {
  std::string name;
  std::function<core::Status(Records&)> doing;
  std::function<bool(const Records&)> done;
};

// In the order in which they build on each other, on records that are empty at first.
[[nodiscard]] std::vector<Deed> deeds();

struct Told {
  bool opened = false;
  std::size_t deeds = 0;  // that returned success
  bool failed = false;    // the next one did not
  std::string error;
};

// Opens the records and does everything until something fails.
[[nodiscard]] Told live(const std::filesystem::path& database, const std::string& vfs);

// Whole, provable, with everything that was told to be done and nothing else. The deed that failed may be there only
// where `unsure`: the disk took it and died before it could say so.
void check_what_is_left(const std::filesystem::path& database, const Told& told, bool unsure);

}  // namespace imprint::db::test
