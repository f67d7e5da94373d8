// SPDX-License-Identifier: GPL-3.0-or-later
// The rows of `imprint station doctor`: what was looked at, how it is, and what to do about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace imprint::station::cli {

enum class Health : std::uint8_t {
  ok,
  warn,         // the station works; somebody should know
  fail,         // the station does not work, or not safely
  not_checked,  // it could not be looked at
};
[[nodiscard]] std::string_view to_string(Health health);

struct HealthCheck {
  std::string id;  // "clock.synchronised"; docs/integrator.md has what each means
  Health health = Health::ok;
  std::string found;   // printable
  std::string remedy;  // empty where all is well
};
using HealthChecks = std::vector<HealthCheck>;

// Good only when nothing failed and everything could be looked at; a warning is good.
enum class HealthVerdict : std::uint8_t { pass, fail, incomplete };
[[nodiscard]] HealthVerdict verdict_of(const HealthChecks& checks);
[[nodiscard]] std::string_view to_string(HealthVerdict verdict);

// One JSON object, and a table with a line for each check and what to do below it.
[[nodiscard]] std::string health_json(const HealthChecks& checks);
[[nodiscard]] std::string health_text(const HealthChecks& checks);

}  // namespace imprint::station::cli
