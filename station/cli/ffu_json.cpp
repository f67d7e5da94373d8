// SPDX-License-Identifier: GPL-3.0-or-later
// Names, lists and certificates as JSON, with nothing in them that could drive a terminal.
#include "station/cli/ffu_json.hpp"

#include <boost/json.hpp>

#include "flash/core/text.hpp"

namespace imprint::station::cli {

std::string name_of(const std::filesystem::path& path) { return core::printable(path.native()); }

boost::json::array to_json(std::span<const std::string> texts) {
  boost::json::array out;
  for (const std::string& text : texts) out.emplace_back(core::printable(text));
  return out;
}

boost::json::value to_json(const std::optional<trust::Certificate>& certificate) {
  if (!certificate) return nullptr;
  return boost::json::object{{"subject", certificate->subject}, {"sha256", certificate->sha256}};
}

}  // namespace imprint::station::cli
