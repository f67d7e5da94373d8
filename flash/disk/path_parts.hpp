// SPDX-License-Identifier: GPL-3.0-or-later
// Paths on a volume, taken apart the same way for every file system.
#pragma once

#include <string_view>
#include <vector>

namespace imprint::disk {

// The names between '/' and '\'; empty ones and "." are left out, so "" and "/" give none.
[[nodiscard]] inline std::vector<std::string_view> path_parts(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    const std::size_t end = path.find_first_of("/\\");
    const std::string_view part = path.substr(0, end);
    if (!part.empty() && part != ".") out.push_back(part);
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace imprint::disk
