// SPDX-License-Identifier: GPL-3.0-or-later
// Reports over the API: the same as of the file, by role, and with a key that is gone.
#include "station/reports/report.hpp"

#include "flash/trust/errors.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

struct Reported {
  TestStation station;
  Crew crew{station};
  Caller quinn = crew.add(station, "qa", "Quinn");

  Reported() {
    for (int i = 0; i < 25; ++i) {
      const auto id = station.records->open_attempt({.product = "lamp", .slot = "A1", .training = true}).value();
      const std::string serial = "L-" + std::to_string(i % 20);
      REQUIRE(station.records->identify(id, {.serial = serial}).has_value());
      const bool good = i % 4 != 0;
      REQUIRE(station.records
                  ->close_attempt(id, good ? db::AttemptClose{db::AttemptVerdict::passed, db::ProofLevel::read_back}
                                           : db::AttemptClose{db::AttemptVerdict::failed, db::ProofLevel::none,
                                                              "device.disconnected", "unit"})
                  .has_value());
    }
  }
  [[nodiscard]] json::object of_file(const reports::Request& request) const {
    const auto file = db::Records::open_read_only(station.folder / "training.db").value();
    return reports::make_report(*file, request, {.id = "test-1", .now = station.clock.now(), .training = true}).value();
  }
};

}  // namespace

TEST_CASE("a report is the same whether the station is asked or its file is read") {
  Reported here;
  const json::object period{{"from", "2001-01-01T00:00:00Z"}, {"to", "2100-01-01T00:00:00Z"}};
  for (const auto& [method, kind] :
       {std::pair("reports.yield", reports::Kind::yield), std::pair("reports.failures", reports::Kind::failures),
        std::pair("reports.slots", reports::Kind::slots), std::pair("reports.shift", reports::Kind::shift)}) {
    CAPTURE(method);
    const auto said = here.quinn.call(method, period);
    REQUIRE(said.error.empty());
    const json::object file =
        here.of_file({.kind = kind, .from = "2001-01-01T00:00:00Z", .to = "2100-01-01T00:00:00Z"});
    CHECK(json::serialize(said.result) == json::serialize(json::parse(json::serialize(file))));
    CHECK(said.result.at("attempts") == 25);
  }
}

TEST_CASE("an export over the API is the file's own, page by page, in each form") {
  Reported here;
  const auto file = db::Records::open_read_only(here.station.folder / "training.db").value();
  for (const char* format : {"table", "csv", "json", "jsonl", "openhtf"}) {
    CAPTURE(format);
    std::string text;
    json::object params{{"format", format}};
    for (bool more = true; more;) {
      const auto said = here.quinn.call("reports.units", params);
      REQUIRE(said.error.empty());
      text += std::string(said.result.at("text").as_string());
      more = said.result.at("next").is_object();
      if (more)
        for (const auto& [name, value] : said.result.at("next").as_object()) params[name] = value;
    }
    const auto page =
        reports::units_page(*file, {}, *reports::parse_units_form(format), {.id = "test-1", .training = true}, {})
            .value();
    CHECK(text == page.text);
    CHECK_FALSE(page.next.has_value());
  }
}

TEST_CASE("an operator sees no report, and an export asks for the right to export") {
  Reported here;
  Caller oskar = here.crew.add(here.station, "operator", "Oskar");
  for (const char* method : {"reports.yield", "reports.failures", "reports.slots", "reports.shift", "reports.units"}) {
    CAPTURE(method);
    CHECK(oskar.call(method).error == "people.not-allowed");
    CHECK(Caller(here.station).call(method).error == "people.session-needed");
  }
  Caller badge(here.station);
  REQUIRE(badge.call("people.sign_in", {{"badge", "B-Quinn"}}).error.empty());
  CHECK(badge.call("reports.failures").error.empty());
  CHECK(badge.call("reports.units").error == "people.pin-needed");
}

TEST_CASE("a report that cannot be understood is refused with what could be") {
  Reported here;
  CHECK(here.quinn.call("reports.failures", {{"by", "moon"}}).error == "api.params-invalid");
  CHECK(here.quinn.call("reports.yield", {{"by", "moon"}}).error == "api.params-invalid");
  CHECK(here.quinn.call("reports.shift", {{"shift", "late"}}).error == "api.params-invalid");
  CHECK(here.quinn.call("reports.shift", {{"date", "soon"}}).error == "api.params-invalid");
  CHECK(here.quinn.call("reports.shift", {{"to", "2026-11-21"}}).error == "api.params-invalid");
  CHECK(here.quinn.call("reports.units", {{"format", "xlsx"}}).error == "api.params-invalid");
  CHECK(here.quinn.call("reports.slots", {{"from", "2026-11-21"}, {"to", "2026-11-20"}}).error == "api.params-invalid");
}

TEST_CASE("a shift's people are numbers and initials, never names") {
  Reported here;
  const auto said = here.quinn.call("reports.shift");
  REQUIRE(said.error.empty());
  CHECK(json::serialize(said.result).find("Quinn") == std::string::npos);
  CHECK(json::serialize(said.result).find("\"Q.\"") != std::string::npos);
}

TEST_CASE("a head is signed with the key's fingerprint, and one of a key that is gone is an error or not signed") {
  Reported here;
  bool is_there = true;
  const methods::Api api({.line = *here.station.line,
                          .sign_ins = *here.station.sign_ins,
                          .records = *here.station.records,
                          .images = *here.station.store,
                          .events = *here.station.events,
                          .jobs = *here.station.jobs,
                          .job_site = *here.station.job_site,
                          .clock = here.station.clock,
                          .records_file = here.station.folder / "training.db",
                          .load_configuration = [&] { return here.station.load(); },
                          .on_reload = [] {},
                          .sign_head = [&](std::string_view) -> core::Result<std::string> {
                            if (is_there) return "c2lnbmVk";
                            return trust::fail("sign.token-not-found", "no such token");
                          },
                          .key_state = [&] { return methods::KeyState{"token", is_there, "abcd", "PEM", ""}; },
                          .stop = [] {},
                          .stopping = {}});
  const auto talk = api.begin({1000, 1000, 42});
  const auto call = [&](std::string_view method, const json::object& params) {
    return json::parse(*talk->answer(api::request_line(1, method, params))).as_object();
  };
  REQUIRE(call("people.sign_in", {{"name", "Quinn"}, {"pin", "314159"}}).contains("result"));
  const json::object good = call("audit.head", {}).at("result").as_object();
  CHECK(good.at("signed") == true);
  CHECK(good.at("fingerprint") == "abcd");
  is_there = false;
  CHECK(call("audit.head", {}).at("error").at_pointer("/data/id") == "sign.token-not-found");
  const json::object plain = call("audit.head", {{"unsigned", true}}).at("result").as_object();
  CHECK(plain.at("signed") == false);
  CHECK(plain.at("signature") == "");
  CHECK(plain.at("fingerprint") == "");
  CHECK(std::string(plain.at("error").as_string()).starts_with("sign.token-not-found"));
  CHECK(call("station.status", {}).at("result").at("key").at("good") == false);
}
