// SPDX-License-Identifier: GPL-3.0-or-later
// imprint errors, and where the sample workspace lies.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "station/cli/commands.hpp"
#include "station/cli/workspace_path.hpp"
#include "station/error_table.hpp"

namespace imprint::station::cli {

ExitStatus list_errors(bool json) {
  if (json) {
    boost::json::array out;
    for (const core::ErrorRow& row : all_error_rows()) {
      out.push_back(boost::json::object{
          {"id", row.id}, {"text", row.text}, {"remedy", row.remedy}, {"fault", core::to_string(row.fault)}});
    }
    print_line(boost::json::serialize(out));
    return ExitStatus::good;
  }
  for (const core::ErrorRow& row : all_error_rows()) {
    print_line(fmt::format("{:<34} {:<9} {}\n{:<44} What to do: {}", row.id, core::to_string(row.fault), row.text, "",
                           row.remedy));
  }
  return ExitStatus::good;
}

std::filesystem::path default_sample_workspace(const char* program) {
  std::error_code error;
  auto binary = std::filesystem::canonical("/proc/self/exe", error);
  if (error) binary = program;
  const auto root = binary.parent_path().parent_path();  // build/ or the prefix
  for (const auto& candidate :
       {root.parent_path() / "config/samples/larkspur-kestrel", root / "share/imprint/samples/larkspur-kestrel"}) {
    if (std::filesystem::is_directory(candidate, error))
      return candidate.lexically_proximate(std::filesystem::current_path(error));
  }
  return "config/samples/larkspur-kestrel";
}

}  // namespace imprint::station::cli
