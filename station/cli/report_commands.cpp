// SPDX-License-Identifier: GPL-3.0-or-later
// imprint report yield and units.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "db/export.hpp"
#include "db/yield.hpp"
#include "flash/core/text.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/tables.hpp"
#include "station/errors.hpp"
#include "station/period.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;

db::YieldKey key_of(const std::string& by) {
  if (by == "product") return db::YieldKey::product;
  if (by == "slot") return db::YieldKey::slot;
  if (by == "day") return db::YieldKey::day;
  if (by == "image") return db::YieldKey::image;
  if (by == "platform") return db::YieldKey::platform;
  return db::YieldKey::all;
}

core::Result<db::Period> period_of(const ReportOptions& options) {
  db::Period period;
  if (options.from) {
    IMPRINT_TRY(period.from, parse_moment(*options.from));
  }
  if (options.to) {
    IMPRINT_TRY(period.to, parse_moment(*options.to));
  }
  if (period.from && period.to && *period.from >= *period.to) return fail("usage.invalid", "--from is not before --to");
  return period;
}

json::value share_json(std::uint64_t part, std::uint64_t whole) {
  const auto share = db::share(part, whole);
  if (!share) return nullptr;
  const db::Interval interval = db::wilson_95(part, whole);
  return json::object{{"share", *share}, {"low_95", interval.low}, {"high_95", interval.high}};
}

json::object yield_json(const db::YieldRow& row) {
  json::array failures;
  for (const auto& failure : row.failures) {
    failures.push_back(json::object{{"error_id", failure.error_id}, {"attempts", failure.attempts}});
  }
  return {{"group", row.group},
          {"units", row.units},
          {"first_pass", row.first_pass},
          {"first_pass_yield", share_json(row.first_pass, row.units)},
          {"final_pass", row.final_pass},
          {"final_yield", share_json(row.final_pass, row.units)},
          {"attempts", row.attempts},
          {"refused", row.refused},
          {"aborted", row.aborted},
          {"training", row.training},
          {"failures", std::move(failures)}};
}

json::object attempt_json(const db::AttemptRow& row) {
  json::object out{{"attempt", row.id},
                   {"serial", row.identity.serial},
                   {"device_unique_id", row.identity.device_unique_id},
                   {"platform_id", row.identity.platform_id},
                   {"protocol", row.identity.protocol},
                   {"product", row.opening.product},
                   {"slot", row.opening.slot},
                   {"port", row.opening.port_path},
                   {"opened", core::to_iso8601(row.opened)},
                   {"image_sha256", row.opening.image_sha256},
                   {"image_signer", row.opening.image_signer},
                   {"policy", row.opening.policy},
                   {"training", row.opening.training},
                   {"program_version", row.opening.program_version}};
  out["closed"] = row.closed ? json::value(core::to_iso8601(*row.closed)) : json::value(nullptr);
  if (row.close) {
    out["verdict"] = db::to_string(row.close->verdict);
    out["proof"] = db::to_string(row.close->proof);
    out["error_id"] = row.close->error_id;
    out["error_class"] = row.close->error_class;
    out["detail"] = row.close->detail;
  } else {
    out["verdict"] = nullptr;
  }
  return out;
}

}  // namespace

ExitStatus report_yield(const ReportOptions& options) {
  const bool as_json = options.format == "json";
  const auto run = [&]() -> core::Result<std::vector<db::YieldRow>> {
    IMPRINT_TRY(const auto period, period_of(options));
    IMPRINT_TRY(const auto records, db::Records::open_read_only(options.database));
    return records->yield(period, key_of(options.by));
  };
  const auto rows = run();
  if (!rows) return report_error(rows.error(), as_json);
  bool any = false;
  for (const db::YieldRow& row : *rows) any = any || row.attempts > 0;
  if (as_json) {
    json::array out;
    for (const db::YieldRow& row : *rows) out.push_back(yield_json(row));
    print_line(json::serialize(json::object{{"by", options.by}, {"rows", std::move(out)}}));
  } else if (options.format == "csv") {
    print(db::yield_csv(*rows, key_of(options.by)));
  } else {
    print(yield_table(*rows));
  }
  if (any) return ExitStatus::good;
  return report_error(core::Error(ErrorId("report.no-rows").row()), as_json);
}

// A stream: the memory that it takes does not grow with the rows.
ExitStatus export_all(const ReportOptions& options, db::UnitsFormat format) {
  const auto run = [&]() -> core::Result<std::uint64_t> {
    IMPRINT_TRY(const auto period, period_of(options));
    IMPRINT_TRY(const auto records, db::Records::open_read_only(options.database));
    return db::export_units(*records, period, format, options.station, [](std::string_view piece) -> core::Status {
      print(piece);
      return {};
    });
  };
  const auto count = run();
  if (!count) return report_error(count.error(), false);
  if (*count > 0) return ExitStatus::good;
  return report_error(core::Error(ErrorId("report.no-rows").row()), false);
}

ExitStatus report_units(const ReportOptions& options) {
  if (options.format == "csv") return export_all(options, db::UnitsFormat::csv);
  if (options.format == "jsonl") return export_all(options, db::UnitsFormat::json_lines);
  if (options.format == "openhtf") return export_all(options, db::UnitsFormat::openhtf);
  const bool as_json = options.format == "json";
  const auto run = [&]() -> core::Result<std::vector<db::AttemptRow>> {
    IMPRINT_TRY(const auto period, period_of(options));
    IMPRINT_TRY(const auto records, db::Records::open_read_only(options.database));
    return records->attempts(period);
  };
  const auto rows = run();
  if (!rows) return report_error(rows.error(), as_json);
  if (as_json) {
    json::array out;
    for (const db::AttemptRow& row : *rows) out.push_back(attempt_json(row));
    print_line(json::serialize(out));
  } else {
    print(attempts_table(*rows));
  }
  if (!rows->empty()) return ExitStatus::good;
  return report_error(core::Error(ErrorId("report.no-rows").row()), as_json);
}

}  // namespace imprint::station::cli
