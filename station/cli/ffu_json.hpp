// SPDX-License-Identifier: GPL-3.0-or-later
// The pieces that several ffu commands answer with as JSON. Included by .cpp files only: Boost.JSON is slow to compile.
#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "flash/core/text.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::station::cli {

[[nodiscard]] inline std::string name_of(const std::filesystem::path& path) { return core::printable(path.native()); }

[[nodiscard]] inline boost::json::array to_json(const std::vector<std::string>& texts) {
  boost::json::array out;
  for (const std::string& text : texts) out.emplace_back(core::printable(text));
  return out;
}

[[nodiscard]] inline boost::json::value to_json(const std::optional<trust::Certificate>& certificate) {
  if (!certificate) return nullptr;
  return boost::json::object{{"subject", certificate->subject}, {"sha256", certificate->sha256}};
}

}  // namespace imprint::station::cli
