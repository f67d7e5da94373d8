// SPDX-License-Identifier: GPL-3.0-or-later
// The pieces that both JSON writers are put together from. Boost.JSON is only declared here: it is slow to compile.
#pragma once

#include <string>
#include <string_view>

#include "flash/inspect/finding.hpp"

namespace boost::json {
class array;
class object;
}  // namespace boost::json

namespace imprint::inspect {

// The text itself, or, when it is not valid UTF-8 (which JSON has to be), a printable rendering.
[[nodiscard]] std::string json_safe(std::string_view text);
[[nodiscard]] boost::json::array findings_to_json(const Report& report);
// The object's members in their order; the array `key` with one element a line.
[[nodiscard]] std::string serialize_by_line(const boost::json::object& object, std::string_view key);

}  // namespace imprint::inspect
