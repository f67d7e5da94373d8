// SPDX-License-Identifier: GPL-3.0-or-later
// Reasons of a decision, good and bad. Private to this folder.
#pragma once

#include <string>
#include <utility>

#include "flash/trust/errors.hpp"
#include "flash/trust/policy.hpp"

namespace imprint::trust {

[[nodiscard]] inline Reason good(std::string text) { return {true, {}, std::move(text)}; }
[[nodiscard]] inline Reason bad(ErrorId id, std::string text) {
  return {false, std::string(id.row().id), std::move(text)};
}

}  // namespace imprint::trust
