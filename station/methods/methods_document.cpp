// SPDX-License-Identifier: GPL-3.0-or-later
// The table of methods in Markdown, for docs/api.md.
#include <fmt/format.h>

#include "station/methods/method_table.hpp"

namespace imprint::station::methods {
namespace {

std::string access_text(const Method& method) {
  switch (method.access) {
    case Access::anybody:
      return "anybody who can connect";
    case Access::signed_in:
      return "whoever is signed in";
    case Access::by_action:
      return fmt::format("`{}`", people::to_string(*method.action));
    case Access::by_parameters:
      break;
  }
  return "by its parameters";
}

}  // namespace

std::string methods_document() {
  std::string text;
  for (const Method& method : all_methods()) {
    text += fmt::format("### {}\n\n{}\n\nFor: {}.{}{}\n\n", method.name, method.text, access_text(method),
                        method.changes ? " Audited." : "", method.takes_long ? " Takes long." : "");
    if (!method.parameters.empty()) {
      text += "| parameter | kind | |\n|---|---|---|\n";
      for (const Parameter& parameter : method.parameters)
        text += fmt::format("| `{}` | {}{} | {} |\n", parameter.name, parameter.kind,
                            parameter.required ? "" : ", optional", parameter.text);
      text += "\n";
    }
    text += fmt::format("Result: {}.\n\n", method.result);
  }
  return text;
}

}  // namespace imprint::station::methods
