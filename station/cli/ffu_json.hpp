// SPDX-License-Identifier: GPL-3.0-or-later
// The pieces that several ffu commands answer with as JSON.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "flash/trust/policy.hpp"

// Boost.JSON itself stays out of headers: it is slow to compile. Callers include it.
namespace boost::json {
class array;  // NOLINT(readability-identifier-naming): the library's own
class value;  // NOLINT(readability-identifier-naming): the library's own
}  // namespace boost::json

namespace imprint::station::cli {

// A file's name as it can be shown.
[[nodiscard]] std::string name_of(const std::filesystem::path& path);

[[nodiscard]] boost::json::array to_json(std::span<const std::string> texts);
// null for none.
[[nodiscard]] boost::json::value to_json(const std::optional<trust::Certificate>& certificate);

}  // namespace imprint::station::cli
