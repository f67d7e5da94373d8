// SPDX-License-Identifier: GPL-3.0-or-later
// imprint report: of the station that runs, or of a file; the same report either way, and shown by the same code.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <ctime>

#include "db/chain.hpp"
#include "flash/core/text.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/station_client.hpp"
#include "station/config/configuration.hpp"
#include "station/errors.hpp"
#include "station/reports/report.hpp"
#include "station/reports/report_text.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;
using reports::Kind;

// A year of a busy line is read for minutes.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::minutes(30);

constexpr std::string_view kPurpose = "shift report";

// Where the report comes from; an exit status where nothing more is to be said.
template <class T>
using Fetched = std::expected<T, ExitStatus>;

const char* method_of(Kind kind) {
  switch (kind) {
    case Kind::yield:
      return "reports.yield";
    case Kind::failures:
      return "reports.failures";
    case Kind::slots:
      return "reports.slots";
    case Kind::shift:
      break;
  }
  return "reports.shift";
}

bool errors_as_json(const ReportOptions& options) { return options.format == "json"; }

Fetched<json::object> say(const core::Error& error, const ReportOptions& options) {
  return std::unexpected(report_error(error, errors_as_json(options)));
}

// The station that a file's report is of: its id, its shifts, and its zone, in which times are read and written.
core::Result<config::StationFile> station_of(const ReportOptions& options) {
  const bool is_named = !options.config.empty();
  auto configuration = config::load_configuration(is_named ? options.config : config::usual_config_folders());
  if (is_named && !configuration) return std::unexpected(std::move(configuration).error());
  if (is_named && !configuration->complaints.empty())
    return std::unexpected(config::as_error(configuration->complaints));
  config::StationFile station;
  if (configuration && configuration->complaints.empty()) station = std::move(configuration->station);
  if (!options.station.empty()) station.id = options.station;
  if (!station.zone.empty()) {
    ::setenv("TZ", (":" + station.zone).c_str(), 1);
    ::tzset();
  }
  return station;
}

reports::Station as_told(const config::StationFile& station) {
  return {.id = station.id, .shifts = station.shifts, .now = core::SystemClock().now(), .training = station.training};
}

// As after the way through a socket: numbers with a point are read back with an error in their last place, and both
// ways have to show the same.
json::object as_received(const json::object& report) { return json::parse(json::serialize(report)).as_object(); }

core::Result<json::object> report_of_file(const ReportOptions& options, const reports::Request& request) {
  IMPRINT_TRY(const auto station, station_of(options));
  IMPRINT_TRY(const auto records, db::Records::open_read_only(options.database));
  IMPRINT_TRY(auto report, reports::make_report(*records, request, as_told(station)));
  if (request.kind == Kind::shift) {
    IMPRINT_TRY(const auto head, db::Chain(*records).head(station.id));
    IMPRINT_CHECK(
        reports::add_head(report, {db::to_text(head), {}, {}, "Made of a file, without the station and its key."}));
  }
  return as_received(report);
}

json::object params_of(const reports::Request& request) {
  json::object params;
  for (const auto& [name, value] :
       {std::pair("by", &request.by), std::pair("from", &request.from), std::pair("to", &request.to),
        std::pair("shift", &request.shift), std::pair("date", &request.date)})
    if (!value->empty()) params[name] = *value;
  return params;
}

Fetched<json::object> ask(api::Client& client, const ReportOptions& options, std::string_view method,
                          const json::object& params) {
  auto answer = client.call(method, params, kLongestWait);
  if (!answer) return say(answer.error(), options);
  if (const auto* error = std::get_if<api::RemoteError>(&*answer))
    return std::unexpected(report_remote(*error, errors_as_json(options)));
  auto& value = std::get<json::value>(*answer);
  if (!value.is_object()) return say(fail("station.internal-error", "the answer is no report").error(), options);
  return std::move(value.get_object());
}

std::string text_in(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Fetched<json::object> report_of_station(const ReportOptions& options, const reports::Request& request) {
  const auto client = connect_to_station(options.socket);
  if (!client) return say(client.error(), options);
  auto report = ask(**client, options, method_of(request.kind), params_of(request));
  if (!report || request.kind != Kind::shift) return report;
  // After the report, so that it covers everything that the report was made of.
  const auto head = ask(**client, options, "audit.head", {{"purpose", kPurpose}, {"unsigned", true}});
  if (!head) return std::unexpected(head.error());
  const std::string signature = text_in(*head, "signature");
  std::string error = text_in(*head, "error");
  if (signature.empty() && error.empty()) error = "The station has no key.";
  const auto added =
      reports::add_head(*report, {text_in(*head, "head"), signature, text_in(*head, "fingerprint"), error});
  if (!added) return say(added.error(), options);
  return report;
}

ExitStatus nothing_to_report(const ReportOptions& options) {
  return report_error(core::Error(ErrorId("report.no-rows").row()), errors_as_json(options));
}

ExitStatus show_report(const ReportOptions& options, const reports::Request& request) {
  auto report = Fetched<json::object>();
  if (options.database.empty()) {
    report = report_of_station(options, request);
  } else {
    auto made = report_of_file(options, request);
    report = made ? Fetched<json::object>(std::move(*made)) : say(made.error(), options);
  }
  if (!report) return report.error();
  if (errors_as_json(options)) {
    print_line(json::serialize(*report));
  } else {
    const auto text = options.format == "csv" ? reports::report_csv(*report) : reports::report_table(*report);
    if (!text) return report_error(text.error(), false);
    print(*text);
  }
  const json::value* attempts = report->if_contains("attempts");
  const bool empty = attempts == nullptr || (attempts->is_number() && attempts->to_number<std::uint64_t>() == 0);
  return empty ? nothing_to_report(options) : ExitStatus::good;
}

reports::Request request_of(const ReportOptions& options, Kind kind) {
  reports::Request request;
  request.kind = kind;
  request.by = options.by;
  request.from = options.from.value_or("");
  request.to = options.to.value_or("");
  request.shift = options.shift;
  request.date = options.date;
  return request;
}

core::Result<std::uint64_t> units_of_file(const ReportOptions& options, reports::UnitsForm form) {
  IMPRINT_TRY(const auto station, station_of(options));
  IMPRINT_TRY(const auto period, reports::period_of(options.from.value_or(""), options.to.value_or("")));
  IMPRINT_TRY(const auto records, db::Records::open_read_only(options.database));
  std::uint64_t attempts = 0;
  for (std::optional<db::ExportPlace> place = db::ExportPlace{}; place;) {
    IMPRINT_TRY(const auto page, reports::units_page(*records, period, form, as_told(station), *place));
    print(page.text);
    attempts += page.attempts;
    place = page.next;
  }
  return attempts;
}

Fetched<std::uint64_t> units_of_station(const ReportOptions& options) {
  const auto client = connect_to_station(options.socket);
  if (!client) return std::unexpected(report_error(client.error(), errors_as_json(options)));
  json::object params = params_of(request_of(options, Kind::yield));
  params["format"] = options.format;
  std::uint64_t attempts = 0;
  for (;;) {
    const auto page = ask(**client, options, "reports.units", params);
    if (!page) return std::unexpected(page.error());
    print(text_in(*page, "text"));
    const json::value* count = page->if_contains("attempts");
    if (count != nullptr && count->is_number()) attempts += count->to_number<std::uint64_t>();
    const json::value* next = page->if_contains("next");
    if (next == nullptr || !next->is_object()) return attempts;
    for (const auto& [name, value] : next->get_object()) params[name] = value;
  }
}

}  // namespace

ExitStatus report_yield(const ReportOptions& options) { return show_report(options, request_of(options, Kind::yield)); }
ExitStatus report_failures(const ReportOptions& options) {
  return show_report(options, request_of(options, Kind::failures));
}
ExitStatus report_slots(const ReportOptions& options) { return show_report(options, request_of(options, Kind::slots)); }
ExitStatus report_shift(const ReportOptions& options) { return show_report(options, request_of(options, Kind::shift)); }

ExitStatus report_units(const ReportOptions& options) {
  const auto form = reports::parse_units_form(options.format);
  if (!form) return report_error(fail("usage.invalid", "the format is not known").error(), false);
  std::uint64_t attempts = 0;
  if (options.database.empty()) {
    const auto count = units_of_station(options);
    if (!count) return count.error();
    attempts = *count;
  } else {
    const auto count = units_of_file(options, *form);
    if (!count) return report_error(count.error(), errors_as_json(options));
    attempts = *count;
  }
  return attempts > 0 ? ExitStatus::good : nothing_to_report(options);
}

}  // namespace imprint::station::cli
