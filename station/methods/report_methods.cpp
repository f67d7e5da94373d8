// SPDX-License-Identifier: GPL-3.0-or-later
// Reports over the API. Each call reads by a connection of its own: a year's report must not hold up the line, whose
// attempts wait for theirs.
#include "station/api/errors.hpp"
#include "station/methods/call.hpp"
#include "station/reports/report.hpp"

namespace imprint::station::methods {
namespace {

// What the reports call wrong usage is a parameter here.
core::Error as_parameter(core::Error error) {
  if (error.id() != "usage.invalid") return error;
  core::Error out = api::fail("api.params-invalid", error.detail()).error();
  for (const std::string_view key : {"shifts", "value", "by"})
    if (const std::string_view value = error.context_value(key); !value.empty())
      out.add_context(std::string(key), std::string(value));
  return out;
}

reports::Station station_of(const Call& call, const config::Configuration& configuration) {
  return {.id = configuration.station.id,
          .shifts = configuration.station.shifts,
          .now = call.station().clock.now(),
          .training = configuration.station.training};
}

core::Result<json::value> report(Call& call, const reports::Request& request) {
  IMPRINT_TRY(const auto reader,
              db::Records::open_read_only(call.station().records_file, {.stop = call.station().stopping}));
  const auto configuration = call.station().line.configuration();
  auto made = reports::make_report(*reader, request, station_of(call, *configuration));
  if (!made) return std::unexpected(as_parameter(std::move(made).error()));
  return json::value(std::move(*made));
}

reports::Request period_request(Call& call, reports::Kind kind) {
  reports::Request request;
  request.kind = kind;
  request.from = call.params().text_or("from", {});
  request.to = call.params().text_or("to", {});
  return request;
}

core::Result<json::value> yield(Call& call) {
  auto request = period_request(call, reports::Kind::yield);
  request.by = call.params().text_or("by", {});
  IMPRINT_CHECK(call.params().finish());
  return report(call, request);
}

core::Result<json::value> failures(Call& call) {
  auto request = period_request(call, reports::Kind::failures);
  request.by = call.params().text_or("by", {});
  IMPRINT_CHECK(call.params().finish());
  return report(call, request);
}

core::Result<json::value> slots(Call& call) {
  const auto request = period_request(call, reports::Kind::slots);
  IMPRINT_CHECK(call.params().finish());
  return report(call, request);
}

core::Result<json::value> shift(Call& call) {
  auto request = period_request(call, reports::Kind::shift);
  request.shift = call.params().text_or("shift", {});
  request.date = call.params().text_or("date", {});
  IMPRINT_CHECK(call.params().finish());
  return report(call, request);
}

core::Result<json::value> units(Call& call) {
  const std::string from = call.params().text_or("from", {});
  const std::string to = call.params().text_or("to", {});
  const std::string format = call.params().text_or("format", "jsonl");
  db::ExportPlace place;
  place.after = call.params().number_or("after", 0, 0, INT64_MAX);
  place.last = call.params().number_or("last", 0, 0, INT64_MAX);
  IMPRINT_CHECK(call.params().finish());
  auto period = reports::period_of(from, to);
  if (!period) return std::unexpected(as_parameter(std::move(period).error()));
  const auto form = reports::parse_units_form(format);
  if (!form) return api::fail("api.params-invalid", "table, csv, json, jsonl or openhtf").with("parameter", "format");
  IMPRINT_TRY(const auto reader,
              db::Records::open_read_only(call.station().records_file, {.stop = call.station().stopping}));
  const auto configuration = call.station().line.configuration();
  IMPRINT_TRY(auto page, reports::units_page(*reader, *period, *form, station_of(call, *configuration), place));
  json::object out{{"text", std::move(page.text)}, {"attempts", page.attempts}};
  out["next"] = nullptr;
  if (page.next) out["next"] = json::object{{"after", page.next->after}, {"last", page.next->last}};
  return out;
}

constexpr NamedHandler kHandlers[] = {
    {"reports.yield", yield}, {"reports.failures", failures}, {"reports.slots", slots},
    {"reports.shift", shift}, {"reports.units", units},
};

}  // namespace

Handler report_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
