// SPDX-License-Identifier: GPL-3.0-or-later
// The yield, computed by SQLite over the rows that docs/records.md defines it by.
#include "db/yield.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "db/connection.hpp"
#include "db/iso_time.hpp"
#include "db/records.hpp"

namespace imprint::db {
namespace {

struct Grouping {
  const char* expression;
  const char* joins;
};

Grouping grouping(YieldKey key) {
  switch (key) {
    case YieldKey::all:
      return {"'all'", ""};
    case YieldKey::product:
      return {"p.name", "JOIN products p ON p.id = o.product_id"};
    case YieldKey::slot:
      return {"o.slot", ""};
    case YieldKey::day:
      return {"o.local_day", ""};
    case YieldKey::image:
      return {"m.sha256", "JOIN images m ON m.id = o.image_id"};
    case YieldKey::platform:
      return {"COALESCE(i.platform_id, '')", "LEFT JOIN attempt_identities i ON i.attempt_id = o.id"};
  }
  return {"'all'", ""};
}

constexpr const char* kUnitsSql = R"sql(
SELECT {0} AS grouped, COUNT(*), SUM(f.verdict = 'passed'),
       SUM((SELECT l.verdict FROM attempt_closings l WHERE l.unit_id = f.unit_id AND l.ordinal IS NOT NULL
            ORDER BY l.ordinal DESC LIMIT 1) = 'passed')
FROM attempt_closings f JOIN attempt_openings o ON o.id = f.attempt_id {1}
WHERE f.ordinal = 1 AND o.opened_at >= ? AND o.opened_at < ? GROUP BY grouped
)sql";

constexpr const char* kAttemptsSql = R"sql(
SELECT {0} AS grouped, COUNT(*), COALESCE(SUM(c.verdict = 'refused'), 0),
       COALESCE(SUM(c.verdict IN ('aborted', 'interrupted')), 0), SUM(o.training)
FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id {1}
WHERE o.opened_at >= ? AND o.opened_at < ? GROUP BY grouped
)sql";

constexpr const char* kFailuresSql = R"sql(
SELECT {0} AS grouped, COALESCE(c.error_id, ''), COUNT(*) AS counted
FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id {1}
WHERE c.verdict IN ('failed', 'incomplete') AND o.opened_at >= ? AND o.opened_at < ?
GROUP BY grouped, c.error_id ORDER BY grouped, counted DESC, c.error_id
)sql";

}  // namespace

std::string_view to_string(YieldKey key) {
  switch (key) {
    case YieldKey::all:
      return "all";
    case YieldKey::product:
      return "product";
    case YieldKey::slot:
      return "slot";
    case YieldKey::day:
      return "day";
    case YieldKey::image:
      return "image";
    case YieldKey::platform:
      return "platform";
  }
  return "all";
}

core::Result<std::vector<YieldRow>> Records::yield(const Period& period, YieldKey key) const {
  using Rows = std::vector<YieldRow>;
  return connection_->read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    const auto [expression, joins] = grouping(key);
    const std::string from = lower_bound_text(period.from);
    const std::string to = upper_bound_text(period.to);
    std::map<std::string, YieldRow> groups;
    if (key == YieldKey::all) groups["all"].group = "all";
    const auto group_of = [&](Query& query) -> YieldRow& {
      const std::string name = query.text_at(0);
      YieldRow& row = groups[name];
      row.group = name;
      return row;
    };
    const auto count_at = [](Query& query, int column) { return static_cast<std::uint64_t>(query.number_at(column)); };

    Query attempts(database, fmt::format(kAttemptsSql, expression, joins));
    attempts.text(from).text(to);
    while (attempts.next()) {
      YieldRow& row = group_of(attempts);
      row.attempts = count_at(attempts, 1);
      row.refused = count_at(attempts, 2);
      row.aborted = count_at(attempts, 3);
      row.training = count_at(attempts, 4);
    }
    Query units(database, fmt::format(kUnitsSql, expression, joins));
    units.text(from).text(to);
    while (units.next()) {
      YieldRow& row = group_of(units);
      row.units = count_at(units, 1);
      row.first_pass = count_at(units, 2);
      row.final_pass = count_at(units, 3);
    }
    Query failures(database, fmt::format(kFailuresSql, expression, joins));
    failures.text(from).text(to);
    while (failures.next()) group_of(failures).failures.push_back({failures.text_at(1), count_at(failures, 2)});

    Rows rows;
    rows.reserve(groups.size());
    for (auto& [name, row] : groups) rows.push_back(std::move(row));
    return rows;
  });
}

Interval wilson_95(std::uint64_t passed, std::uint64_t of) {
  if (of == 0) return {};
  constexpr double kZ = 1.959963984540054;  // the normal distribution's 97.5 % point
  const auto n = static_cast<double>(of);
  const double p = static_cast<double>(std::min(passed, of)) / n;
  const double scale = 1.0 + kZ * kZ / n;
  const double centre = (p + kZ * kZ / (2.0 * n)) / scale;
  const double half = kZ * std::sqrt(p * (1.0 - p) / n + kZ * kZ / (4.0 * n * n)) / scale;
  return {passed == 0 ? 0.0 : std::max(0.0, centre - half), passed >= of ? 1.0 : std::min(1.0, centre + half)};
}

std::optional<double> share(std::uint64_t passed, std::uint64_t of) {
  if (of == 0) return std::nullopt;
  return static_cast<double>(passed) / static_cast<double>(of);
}

}  // namespace imprint::db
