// SPDX-License-Identifier: GPL-3.0-or-later
// Failures by how often, and slots by how well.
#include "db/reports.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <tuple>

#include "db/connection.hpp"
#include "db/iso_time.hpp"
#include "db/report_parts.hpp"

namespace imprint::db {
namespace {

struct FailureGrouping {
  FailureKey key;
  std::string_view name;
  const char* group;
  const char* joins;
};

// The step of an attempt is looked up once, in the failures below.
constexpr std::array kGroupings = {
    FailureGrouping{FailureKey::error, "error", "'all'", ""},
    FailureGrouping{FailureKey::slot, "slot", "o.slot", ""},
    FailureGrouping{FailureKey::product, "product", "p.name", "JOIN products p ON p.id = o.product_id"},
    FailureGrouping{FailureKey::order, "order", "COALESCE(w.number, '')",
                    "LEFT JOIN work_orders w ON w.id = o.work_order_id"},
    FailureGrouping{FailureKey::step, "step", "", ""},
    FailureGrouping{FailureKey::fault_class, "class", "COALESCE(c.error_class, '')", ""},
    FailureGrouping{FailureKey::image, "image", "m.sha256", "JOIN images m ON m.id = o.image_id"},
    FailureGrouping{FailureKey::day, "day", "o.local_day", ""},
};

constexpr const char* kStep =
    "COALESCE((SELECT s.name FROM steps s WHERE s.attempt_id = o.id AND s.ok = 0 ORDER BY s.id DESC LIMIT 1), '')";

// {0}: the group, {1}: its joins, {2}: the step, {3}: by what it is counted.
constexpr const char* kFailures = R"sql(
WITH failures AS MATERIALIZED (
  SELECT {0} AS grouped, COALESCE(c.error_id, '') AS error_id, COALESCE(c.error_class, '') AS error_class,
         {2} AS step, c.unit_id AS unit_id
  FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id {1}
  WHERE c.verdict IN ('failed', 'incomplete') AND o.opened_at >= ? AND o.opened_at < ?)
SELECT {3}, COUNT(*), COUNT(DISTINCT unit_id) FROM failures GROUP BY {4} ORDER BY COUNT(*) DESC, {4}
)sql";

constexpr const char* kCounts = R"sql(
SELECT o.slot, COUNT(*), COALESCE(SUM(c.verdict = 'passed'), 0), COALESCE(SUM(c.verdict = 'failed'), 0),
       COALESCE(SUM(c.verdict = 'incomplete'), 0), COALESCE(SUM(c.verdict = 'refused'), 0),
       COALESCE(SUM(c.verdict IN ('aborted', 'interrupted')), 0), SUM(c.verdict IS NULL)
FROM attempt_openings o LEFT JOIN attempt_closings c ON c.attempt_id = o.id
WHERE o.opened_at >= ? AND o.opened_at < ? GROUP BY o.slot
)sql";

constexpr const char* kRates = R"sql(
SELECT o.slot, s.name, SUM(s.bytes), SUM(s.duration_ms), MIN(s.bytes * 1000.0 / s.duration_ms)
FROM attempt_openings o JOIN steps s ON s.attempt_id = o.id
WHERE o.opened_at >= ? AND o.opened_at < ? AND s.name IN ('write', 'read-back') AND s.ok = 1 AND s.bytes > 0
      AND s.duration_ms > 0
GROUP BY o.slot, s.name
)sql";

constexpr const char* kResults = R"sql(
SELECT o.slot, c.verdict = 'passed'
FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id
WHERE o.opened_at >= ? AND o.opened_at < ? AND c.verdict IN ('passed', 'failed') ORDER BY o.id
)sql";

constexpr const char* kQuarantined = R"sql(
SELECT q.subject, q.quarantined_at >= ?1, COALESCE(l.lifted_at >= ?2, 1)
FROM quarantines q LEFT JOIN quarantine_liftings l ON l.quarantine_id = q.id
WHERE q.kind = 'slot' AND q.quarantined_at < ?2 AND (l.lifted_at IS NULL OR l.lifted_at >= ?1)
)sql";

constexpr const char* kIdleSlots = R"sql(
SELECT name FROM slots WHERE map_digest = (
  SELECT slot_map_digest FROM attempt_openings WHERE opened_at >= ? AND opened_at < ? AND slot_map_digest IS NOT NULL
  ORDER BY opened_at DESC LIMIT 1)
)sql";

class Slots {
 public:
  Slots(SQLite::Database& database, const Period& period)
      : database_(database), from_(lower_bound_text(period.from)), to_(upper_bound_text(period.to)) {}

  std::vector<SlotFigures> read() {
    count();
    rate();
    follow_results();
    quarantine();
    Query idle = query(kIdleSlots);
    while (idle.next()) static_cast<void>(slots_[idle.text_at(0)]);
    std::vector<SlotFigures> out;
    out.reserve(slots_.size());
    for (auto& [name, figures] : slots_) {
      figures.slot = name;
      out.push_back(std::move(figures));
    }
    return out;
  }

 private:
  Query query(const char* sql) {
    Query out(database_, sql);
    out.text(from_).text(to_);
    return out;
  }

  void count() {
    Query counts = query(kCounts);
    while (counts.next()) {
      SlotFigures& slot = slots_[counts.text_at(0)];
      int column = 0;
      for (std::uint64_t* one :
           {&slot.attempts, &slot.passed, &slot.failed, &slot.incomplete, &slot.refused, &slot.aborted, &slot.open}) {
        *one = counts.count_at(++column);
      }
    }
  }

  void rate() {
    Query rates = query(kRates);
    while (rates.next()) {
      SlotFigures& slot = slots_[rates.text_at(0)];
      StepRate& rate = rates.text_at(1) == "write" ? slot.write : slot.read_back;
      rate = {rates.count_at(2), rates.count_at(3), rates.real_at(4)};
    }
  }

  void follow_results() {
    Query results = query(kResults);
    while (results.next()) {
      SlotFigures& slot = slots_[results.text_at(0)];
      slot.failures_in_a_row = results.number_at(1) != 0 ? 0 : slot.failures_in_a_row + 1;
      slot.longest_row = std::max(slot.longest_row, slot.failures_in_a_row);
    }
  }

  void quarantine() {
    Query rows = query(kQuarantined);
    while (rows.next()) {
      SlotFigures& slot = slots_[rows.text_at(0)];
      slot.quarantines += rows.count_at(1);
      slot.is_quarantined = slot.is_quarantined || rows.number_at(2) != 0;
    }
  }

  SQLite::Database& database_;
  std::string from_;
  std::string to_;
  std::map<std::string, SlotFigures> slots_;
};

}  // namespace

std::string_view to_string(FailureKey key) { return kGroupings.at(static_cast<std::size_t>(key)).name; }

std::optional<FailureKey> parse_failure_key(std::string_view text) {
  for (const FailureGrouping& grouping : kGroupings) {
    if (grouping.name == text) return grouping.key;
  }
  return std::nullopt;
}

core::Result<FailureReport> failure_report(SQLite::Database& database, const Period& period, FailureKey key) {
  const FailureGrouping& grouping = kGroupings.at(static_cast<std::size_t>(key));
  const char* group = key == FailureKey::step ? kStep : grouping.group;
  const auto query = [&](const char* what, const char* by) {
    Query out(database, fmt::format(fmt::runtime(kFailures), group, grouping.joins, kStep, what, by));
    out.text(lower_bound_text(period.from)).text(upper_bound_text(period.to));
    return out;
  };
  FailureReport report;
  std::map<std::string, std::size_t> places;
  Query groups = query("grouped", "grouped");
  while (groups.next()) {
    places[groups.text_at(0)] = report.groups.size();
    report.groups.push_back({groups.text_at(0), groups.count_at(1), groups.count_at(2), {}});
    report.failures += groups.count_at(1);
  }
  Query rows = query("grouped, error_id, error_class, step", "grouped, error_id, error_class, step");
  while (rows.next()) {
    report.groups.at(places.at(rows.text_at(0)))
        .rows.push_back({rows.text_at(1), rows.text_at(2), rows.text_at(3), rows.count_at(4), rows.count_at(5)});
  }
  Query all(database, "SELECT COUNT(*) FROM attempt_openings WHERE opened_at >= ? AND opened_at < ?");
  all.text(lower_bound_text(period.from)).text(upper_bound_text(period.to));
  static_cast<void>(all.next());
  report.attempts = all.count_at(0);
  return report;
}

std::vector<SlotFigures> slot_figures(SQLite::Database& database, const Period& period) {
  return Slots(database, period).read();
}

core::Result<FailureReport> Reports::failures(const Period& period, FailureKey key) const {
  return records_.connection().read<FailureReport>(
      [&](SQLite::Database& database) -> core::Result<FailureReport> { return failure_report(database, period, key); });
}

core::Result<std::vector<SlotFigures>> Reports::slots(const Period& period) const {
  using Rows = std::vector<SlotFigures>;
  return records_.connection().read<Rows>(
      [&](SQLite::Database& database) -> core::Result<Rows> { return slot_figures(database, period); });
}

}  // namespace imprint::db
