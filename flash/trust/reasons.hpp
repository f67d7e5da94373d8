// SPDX-License-Identifier: GPL-3.0-or-later
// Reasons of a decision, good and bad. Private to this folder.
#pragma once

#include <string>
#include <utility>

#include "flash/trust/errors.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::trust {

[[nodiscard]] inline Reason good(std::string text) { return {true, {}, std::move(text)}; }
// Good, with the id of what could not be found out.
[[nodiscard]] inline Reason note(ErrorId id, std::string text) {
  return {true, std::string(id.row().id), std::move(text)};
}
[[nodiscard]] inline Reason bad(ErrorId id, std::string text) {
  return {false, std::string(id.row().id), std::move(text)};
}

// What an error says, without what it was caused by.
[[nodiscard]] inline Reason reason_from(const core::Error& error) {
  std::string text = error.detail().empty() ? std::string(error.row().text) : error.detail();
  if (const auto offset = error.context_value("offset"); !offset.empty()) {
    text += " (at offset " + std::string(offset) + " of the catalog)";
  }
  return {false, std::string(error.id()), std::move(text)};
}

}  // namespace imprint::trust
