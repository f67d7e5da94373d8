// SPDX-License-Identifier: GPL-3.0-or-later
// Every method of the API: its words, who may call it, and what docs/api.md says of it. One table for the dispatcher
// and the document.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "station/people/permissions.hpp"

namespace imprint::station::methods {

struct Parameter {
  std::string_view name;
  std::string_view kind;  // "string", "number", "boolean", "strings": a list of them
  bool required = false;
  std::string_view text;
};

// Anybody who can connect; whoever is signed in; those whose role may do the action; or as the method itself decides,
// by its parameters.
enum class Access { anybody, signed_in, by_action, by_parameters };

struct Method {
  std::string_view name;
  Access access = Access::anybody;
  std::optional<people::Action> action;
  bool changes = false;  // something: then it is audited
  std::string_view text;
  std::span<const Parameter> parameters;
  std::string_view result;
  bool takes_long = false;  // seconds or more: only a few of them run at a time
};

[[nodiscard]] std::span<const Method> all_methods();
[[nodiscard]] const Method* find_method(std::string_view name);
// The part of docs/api.md between its two marks, in Markdown.
[[nodiscard]] std::string methods_document();

}  // namespace imprint::station::methods
