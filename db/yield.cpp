// SPDX-License-Identifier: GPL-3.0-or-later
// The yield, computed by SQLite over the rows that docs/records.md defines it by.
#include "db/yield.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "db/connection.hpp"
#include "db/iso_time.hpp"
#include "db/records.hpp"
#include "db/report_parts.hpp"

namespace imprint::db {
namespace {

struct Grouping {
  const char* of_attempt;  // over attempt_openings o
  const char* attempt_joins;
  const char* of_hour;  // over yield_hours or yield_failures y
  const char* hour_joins;
  // By a constant SQLite would sort a million attempts' hours to find the one group: half of the time.
  bool one_group = false;
};

Grouping grouping(YieldKey key) {
  switch (key) {
    case YieldKey::all:
      return {"'all'", "", "'all'", "", true};
    case YieldKey::product:
      return {"p.name", "JOIN products p ON p.id = o.product_id", "p.name", "JOIN products p ON p.id = y.product_id"};
    case YieldKey::slot:
      return {"o.slot", "", "y.slot", ""};
    case YieldKey::day:
      return {"o.local_day", "", "y.local_day", ""};
    case YieldKey::image:
      return {"m.sha256", "JOIN images m ON m.id = o.image_id", "m.sha256", "JOIN images m ON m.id = y.image_id"};
    case YieldKey::platform:
      return {"COALESCE(i.platform_id, '')", "LEFT JOIN attempt_identities i ON i.attempt_id = o.id", "y.platform", ""};
  }
  return {"'all'", "", "'all'", "", true};
}

// Each gives a group, then the counts of a YieldRow from units to training; one gives failures. Bounds are times for
// attempts, hours for hours.
constexpr const char* kUnitsSql = R"sql(
SELECT {0} AS grouped, COUNT(*), SUM(f.verdict = 'passed'),
       SUM((SELECT l.verdict FROM attempt_closings l WHERE l.unit_id = f.unit_id AND l.ordinal IS NOT NULL
            ORDER BY l.ordinal DESC LIMIT 1) = 'passed'), 0, 0, 0, 0
FROM attempt_openings o JOIN attempt_closings f ON f.attempt_id = o.id {1}
WHERE f.ordinal = 1 AND o.opened_at >= ? AND o.opened_at < ? {4}
)sql";

constexpr const char* kAttemptsSql = R"sql(
SELECT {0} AS grouped, 0, 0, 0, COUNT(*), COALESCE(SUM(c.verdict = 'refused'), 0),
       COALESCE(SUM(c.verdict IN ('aborted', 'interrupted')), 0), SUM(o.training)
FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id {1}
WHERE o.opened_at >= ? AND o.opened_at < ? {4}
)sql";

constexpr const char* kFailuresSql = R"sql(
SELECT {0} AS grouped, COALESCE(c.error_id, ''), COUNT(*)
FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id {1}
WHERE c.verdict IN ('failed', 'incomplete') AND o.opened_at >= ? AND o.opened_at < ? GROUP BY {5}c.error_id
)sql";

constexpr const char* kHoursSql = R"sql(
SELECT {2} AS grouped, SUM(y.units), SUM(y.first_pass), SUM(y.final_pass), SUM(y.attempts), SUM(y.refused),
       SUM(y.aborted), SUM(y.training)
FROM yield_hours y {3} WHERE y.hour >= ? AND y.hour < ? {4}
)sql";

// Those that run are not in the hours yet. CROSS JOIN: from these few, or SQLite reads a million openings by their time
// to find them.
constexpr const char* kOpenSql = R"sql(
SELECT {0} AS grouped, 0, 0, 0, COUNT(*), 0, 0, SUM(o.training)
FROM attempts_open n CROSS JOIN attempt_openings o ON o.id = n.attempt_id {1}
WHERE o.opened_at >= ? AND o.opened_at < ? {4}
)sql";

constexpr const char* kFailedHoursSql = R"sql(
SELECT {2} AS grouped, y.error_id, SUM(y.attempts)
FROM yield_failures y {3} WHERE y.hour >= ? AND y.hour < ? GROUP BY {5}y.error_id
)sql";

// The whole hours of a period, and the parts before and after them. A bound that is not there, or not in the calendar,
// is that of the whole hours.
struct Split {
  std::optional<Period> hours;
  std::vector<Period> parts;
};

Split split(const Period& period) {
  using std::chrono::ceil;
  using std::chrono::floor;
  using std::chrono::hours;
  Period whole = period;
  const auto in_calendar = [](const std::optional<core::UtcTime>& time) {
    return time && *time > parse_iso8601("0000-01-01T00:00:00.000Z") &&
           *time < parse_iso8601("9999-12-31T23:00:00.000Z");
  };
  if (in_calendar(period.from)) whole.from = ceil<hours>(*period.from);
  if (in_calendar(period.to)) whole.to = floor<hours>(*period.to);
  if (whole.from && whole.to && *whole.from >= *whole.to) return {std::nullopt, {period}};
  Split out{whole, {}};
  if (whole.from != period.from) out.parts.push_back({period.from, whole.from});
  if (whole.to != period.to) out.parts.push_back({whole.to, period.to});
  return out;
}

class Yields {
 public:
  Yields(SQLite::Database& database, YieldKey key) : database_(database), grouping_(grouping(key)) {
    if (key == YieldKey::all) groups_["all"] = {};
  }

  // By the attempts themselves.
  void add_attempts(const Period& period) {
    const std::string from = lower_bound_text(period.from);
    const std::string to = upper_bound_text(period.to);
    add_counts(kAttemptsSql, from, to);
    add_counts(kUnitsSql, from, to);
    add_failures(kFailuresSql, from, to);
  }

  // By what was counted of each hour: the same, and quick for a million attempts.
  void add_hours(const Period& period) {
    const std::string from = lower_bound_text(period.from);
    const std::string to = upper_bound_text(period.to);
    add_counts(kHoursSql, from.substr(0, 13), to.substr(0, 13));
    add_counts(kOpenSql, from, to);
    add_failures(kFailedHoursSql, from.substr(0, 13), to.substr(0, 13));
  }

  std::vector<YieldRow> finish() {
    std::vector<YieldRow> rows;
    rows.reserve(groups_.size());
    for (auto& [name, group] : groups_) {
      group.row.group = name;
      for (const auto& [error, attempts] : group.failures) group.row.failures.push_back({error, attempts});
      std::ranges::stable_sort(group.row.failures, std::greater(), &YieldRow::Failure::attempts);
      rows.push_back(std::move(group.row));
    }
    return rows;
  }

 private:
  struct Group {
    YieldRow row;
    std::map<std::string, std::uint64_t> failures;
  };

  Query query(const char* sql, const std::string& from, const std::string& to) {
    Query out(database_,
              fmt::format(fmt::runtime(sql), grouping_.of_attempt, grouping_.attempt_joins, grouping_.of_hour,
                          grouping_.hour_joins, grouping_.one_group ? "" : "GROUP BY grouped",
                          grouping_.one_group ? "" : "grouped, "));
    out.text(from).text(to);
    return out;
  }

  void add_counts(const char* sql, const std::string& from, const std::string& to) {
    Query counts = query(sql, from, to);
    while (counts.next()) {
      YieldRow& row = groups_[counts.text_at(0)].row;
      int column = 0;
      for (std::uint64_t* count :
           {&row.units, &row.first_pass, &row.final_pass, &row.attempts, &row.refused, &row.aborted, &row.training}) {
        *count += counts.count_at(++column);
      }
    }
  }

  void add_failures(const char* sql, const std::string& from, const std::string& to) {
    Query failures = query(sql, from, to);
    while (failures.next()) groups_[failures.text_at(0)].failures[failures.text_at(1)] += failures.count_at(2);
  }

  SQLite::Database& database_;
  Grouping grouping_;
  std::map<std::string, Group> groups_;
};

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

std::vector<YieldRow> yield_rows(SQLite::Database& database, const Period& period, YieldKey key) {
  Yields yields(database, key);
  const Split parts = split(period);
  if (parts.hours) yields.add_hours(*parts.hours);
  for (const Period& part : parts.parts) yields.add_attempts(part);
  return yields.finish();
}

core::Result<std::vector<YieldRow>> Records::yield(const Period& period, YieldKey key) const {
  using Rows = std::vector<YieldRow>;
  return connection_->read<Rows>(
      [&](SQLite::Database& database) -> core::Result<Rows> { return yield_rows(database, period, key); });
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
