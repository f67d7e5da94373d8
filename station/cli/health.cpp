// SPDX-License-Identifier: GPL-3.0-or-later
// The doctor's rows as JSON and as text.
#include "station/cli/health.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "flash/core/text.hpp"

namespace imprint::station::cli {
namespace {

std::size_t count_of(const HealthChecks& checks, Health health) {
  return static_cast<std::size_t>(std::ranges::count(checks, health, &HealthCheck::health));
}

}  // namespace

std::string_view to_string(Health health) {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::warn:
      return "warn";
    case Health::fail:
      return "fail";
    case Health::not_checked:
      break;
  }
  return "not-checked";
}

std::string_view to_string(HealthVerdict verdict) {
  switch (verdict) {
    case HealthVerdict::pass:
      return "pass";
    case HealthVerdict::fail:
      return "fail";
    case HealthVerdict::incomplete:
      break;
  }
  return "incomplete";
}

HealthVerdict verdict_of(const HealthChecks& checks) {
  if (count_of(checks, Health::fail) > 0) return HealthVerdict::fail;
  return count_of(checks, Health::not_checked) > 0 ? HealthVerdict::incomplete : HealthVerdict::pass;
}

std::string health_json(const HealthChecks& checks) {
  boost::json::array rows;
  for (const HealthCheck& check : checks) {
    rows.push_back(boost::json::object{{"check", check.id},
                                       {"health", std::string(to_string(check.health))},
                                       {"found", core::printable(check.found)},
                                       {"remedy", core::printable(check.remedy)}});
  }
  return boost::json::serialize(
      boost::json::object{{"verdict", std::string(to_string(verdict_of(checks)))}, {"checks", std::move(rows)}});
}

std::string health_text(const HealthChecks& checks) {
  std::size_t width = 0;
  for (const HealthCheck& check : checks) width = std::max(width, check.id.size());
  std::string out;
  for (const HealthCheck& check : checks) {
    out += fmt::format("{:<11}  {:<{}}  {}\n", to_string(check.health), check.id, width, core::printable(check.found));
    if (!check.remedy.empty()) out += fmt::format("{:15}What to do: {}\n", "", core::printable(check.remedy));
  }
  out += fmt::format("{}: {} ok, {} to know of, {} to mend, {} not checked\n", to_string(verdict_of(checks)),
                     count_of(checks, Health::ok), count_of(checks, Health::warn), count_of(checks, Health::fail),
                     count_of(checks, Health::not_checked));
  return out;
}

}  // namespace imprint::station::cli
