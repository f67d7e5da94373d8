// SPDX-License-Identifier: GPL-3.0-or-later
// The API from outside: who may call what, what is audited, and what hostile parameters come to.
#include <set>

#include "db/audit.hpp"
#include "station/methods/method_table.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

// A value of the parameter's kind that means nothing here.
json::value harmless(const methods::Parameter& parameter) {
  if (parameter.kind == "number") return 999999;
  if (parameter.kind == "boolean") return false;
  if (parameter.kind == "strings") return json::array{"nothing"};
  if (parameter.name == "pin") return "864213";
  if (parameter.name == "role") return "operator";
  return "nothing";
}

json::object harmless_params(const methods::Method& method) {
  json::object params;
  for (const methods::Parameter& parameter : method.parameters)
    if (parameter.required) params[parameter.name] = harmless(parameter);
  return params;
}

}  // namespace

TEST_CASE("nobody who is not signed in changes anything, but for signing in and the first engineer") {
  TestStation station;
  Caller stranger(station);
  for (const methods::Method& method : methods::all_methods()) {
    CAPTURE(method.name);
    if (!method.changes || method.name == "people.sign_in") continue;
    const auto said = stranger.call(method.name, harmless_params(method));
    if (method.name == "people.first") {
      CHECK(said.error == "people.first-refused");
    } else if (said.error != "unit.unknown" && said.error != "api.params-invalid") {
      CHECK(said.error == "people.session-needed");
    }
  }
  const auto rows = db::Audit(*station.records).newest(1000);
  REQUIRE(rows.has_value());
  CHECK_FALSE(rows->empty());
  for (const db::AuditRow& row : *rows) {
    CAPTURE(row.entry.action);
    CHECK(row.entry.outcome == db::AuditOutcome::refused);
  }
}

TEST_CASE("each role may call what the table of permissions says, and nothing else") {
  TestStation station;
  Crew crew(station);
  for (const people::Role role : {people::Role::operator_, people::Role::qa, people::Role::manager}) {
    Caller person = crew.add(station, std::string(people::to_string(role)), "P" + std::string(people::to_string(role)));
    for (const methods::Method& method : methods::all_methods()) {
      if (method.access != methods::Access::by_action || people::may(role, *method.action)) continue;
      CAPTURE(method.name, people::to_string(role));
      CHECK(person.call(method.name, harmless_params(method)).error == "people.not-allowed");
    }
  }
}

TEST_CASE("no parameter of the wrong kind, missing or unknown gets further than its check") {
  TestStation station;
  Crew crew(station);
  Caller quinn = crew.add(station, "qa", "Quinn");
  std::vector<json::value> wrong;
  wrong.emplace_back(nullptr);
  wrong.emplace_back(1.5);
  wrong.emplace_back(-1);
  wrong.emplace_back(json::array{1});
  wrong.emplace_back(json::object{{"a", 1}});
  wrong.emplace_back(std::string(5000, 'x'));
  for (const methods::Method& method : methods::all_methods()) {
    if (method.name == "people.sign_out" || method.name == "station.stop") continue;
    CAPTURE(method.name);
    // Somebody who may, so that it is the parameters that are looked at.
    const bool engineers = !method.action || people::may(people::Role::engineer, *method.action);
    Caller& caller = engineers ? crew.engineer : quinn;
    json::object unknown = harmless_params(method);
    unknown["what_is_this"] = 1;
    CHECK(caller.call(method.name, unknown).error == "api.params-invalid");
    for (const methods::Parameter& parameter : method.parameters) {
      CAPTURE(parameter.name);
      if (parameter.required) {
        json::object without = harmless_params(method);
        without.erase(parameter.name);
        const std::string error = caller.call(method.name, without).error;
        CHECK((error == "api.params-invalid" || error == "people.reason-needed"));
      }
      for (const json::value& value : wrong) {
        json::object params = harmless_params(method);
        params[parameter.name] = value;
        const auto said = caller.call(method.name, params);
        CAPTURE(json::serialize(value), said.error);
        CHECK(said.error != "station.internal-error");
        const bool right_kind = parameter.kind == "string" && value.is_string();
        if (!right_kind && parameter.name != "reason") CHECK(said.error == "api.params-invalid");
      }
    }
  }
}

TEST_CASE("what changes something is audited with who, from where, what and to what; what failed is not") {
  TestStation station;
  Crew crew(station);
  const std::size_t before = db::Audit(*station.records).newest(1000)->size();
  REQUIRE(
      crew.engineer.call("orders.create", {{"number", "WO-7"}, {"product", "lamp"}, {"quantity", 5}}).error.empty());
  CHECK(crew.engineer.call("orders.create", {{"number", "WO-7"}, {"product", "lamp"}, {"quantity", 5}}).error ==
        "records.exists");
  CHECK(crew.engineer.call("orders.list").result.at("orders").as_array().size() == 1);
  const auto rows = db::Audit(*station.records).newest(1000);
  REQUIRE(rows.has_value());
  REQUIRE(rows->size() == before + 1);
  const db::NewAudit& entry = rows->back().entry;
  CHECK(entry.action == "orders.create");
  CHECK(entry.subject == "WO-7");
  CHECK(entry.from == "uid 0, pid 1");
  CHECK(entry.by.operator_id.has_value());
  CHECK(entry.by.session.has_value());
}

TEST_CASE("no PIN and no token stands in the audit log or in an answer that does not give it") {
  TestStation station;
  Crew crew(station);
  Caller bob = crew.add(station, "operator", "Bob");
  const auto said = bob.call("people.sign_in", {{"name", "Bob"}, {"pin", "314159"}});
  const std::string token(said.result.at("token").as_string());
  const std::string who = json::serialize(bob.call("people.who").result);
  CHECK(who.find(token) == std::string::npos);
  CHECK(json::serialize(bob.call("station.status").result).find(token) == std::string::npos);
  const auto audit = db::Audit(*station.records).newest(1000);
  REQUIRE(audit.has_value());
  for (const db::AuditRow& row : *audit) {
    const std::string text = row.entry.subject + row.entry.detail + row.entry.from;
    CHECK(text.find("314159") == std::string::npos);
    CHECK(text.find("271828") == std::string::npos);
    CHECK(text.find(token) == std::string::npos);
  }
  Caller elsewhere(station);
  CHECK(elsewhere.call("people.resume", {{"token", token}}).error.empty());
  CHECK(elsewhere.call("people.resume", {{"token", "0123"}}).error == "people.session-ended");
}

TEST_CASE("a whole shift through the API: order, arming, scans, a failure, scrap, yield, head and proof") {
  TestStation station({.serial = "source = \"scanned\"\n"});
  Crew crew(station);
  Caller bob = crew.add(station, "operator", "Bob");
  Caller quinn = crew.add(station, "qa", "Quinn");
  REQUIRE(
      crew.engineer.call("orders.create", {{"number", "WO-1"}, {"product", "lamp"}, {"quantity", 2}}).error.empty());
  const auto armed = bob.call("line.arm", {{"product", "lamp"}, {"order", "WO-1"}});
  REQUIRE(armed.error.empty());
  CHECK(armed.result.at("armed") == true);
  CHECK(bob.call("line.scan", {{"text", "L-1"}}).result.at("slot").is_null());
  REQUIRE(bob.call("training.plug", {{"slot", "A1"}, {"number", 1}}).error.empty());
  static_cast<void>(station.finished(1));
  CHECK(bob.call("line.scan", {{"text", "L-2"}}).error.empty());
  REQUIRE(bob.call("training.plug", {{"slot", "A2"}, {"number", 2}, {"faults", json::array{"disconnect@5000"}}})
              .error.empty());
  static_cast<void>(station.finished(2));
  CHECK(quinn.call("units.allow", {{"product", "lamp"}, {"serial", "L-1"}, {"reason", "a sample"}}).result.at("as") ==
        "reflash-passed");
  CHECK(bob.call("units.allow", {{"product", "lamp"}, {"serial", "L-2"}, {"reason", "why not"}}).error ==
        "people.not-allowed");
  CHECK(quinn.call("units.scrap", {{"product", "lamp"}, {"serial", "L-2"}, {"reason", "broken socket"}}).error.empty());
  const auto orders = bob.call("orders.list").result.at("orders").as_array();
  REQUIRE(orders.size() == 1);
  CHECK(orders[0].at("passed") == 1);
  CHECK(orders[0].at("scrapped") == 1);
  CHECK(orders[0].at("remaining") == 1);
  const auto history = quinn.call("units.history", {{"product", "lamp"}, {"serial", "L-2"}}).result;
  CHECK(history.at("scrapped") == true);
  CHECK(history.at("attempts").as_array().size() == 1);
  const auto attempts = quinn.call("attempts.list").result.at("attempts").as_array();
  REQUIRE(attempts.size() == 2);
  const auto one = quinn.call("attempts.show", {{"attempt", attempts[0].at("attempt")}}).result;
  CHECK(one.at("steps").as_array().size() == 5);
  const auto yield = quinn.call("reports.yield").result.at("rows").as_array();
  REQUIRE(yield.size() == 1);
  CHECK(yield[0].at("units") == 2);
  CHECK(yield[0].at("first_pass") == 1);
  const auto head = quinn.call("audit.head", {{"purpose", "shift report"}});
  REQUIRE(head.error.empty());
  const auto proof = quinn.call("audit.verify", {{"head", head.result.at("head")}});
  CHECK(proof.result.at("good") == true);
  CHECK(quinn.call("audit.verify", {{"head", "{}"}}).error == "records.head-malformed");
  const auto backup = crew.engineer.call("records.backup");
  REQUIRE(backup.error.empty());
  CHECK(std::filesystem::exists(std::string(backup.result.at("file").as_string())));
}

TEST_CASE("a subscriber says from where it listens, and events of the line are in the log") {
  TestStation station;
  Caller client(station);
  CHECK_FALSE(client.listens_from().has_value());
  REQUIRE(client.call("events.subscribe", {{"from", 1}}).error.empty());
  CHECK(client.listens_from() == 1U);
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  static_cast<void>(station.finished(1));
  std::set<std::string> kinds;
  for (const auto& line : station.events->from(1, 1000).lines)
    kinds.insert(std::string(json::parse(*line).at_pointer("/params/kind").as_string()));
  CHECK(kinds.contains("station"));
  CHECK(kinds.contains("slot"));
  CHECK(kinds.contains("attempt"));
}

TEST_CASE("every method of the table is there, and every method that is there is in the table") {
  TestStation station;
  Crew crew(station);
  for (const methods::Method& method : methods::all_methods()) {
    CAPTURE(method.name);
    if (method.name == "people.sign_out") continue;
    CHECK(crew.engineer.call(method.name, {{"no_such_parameter", 1}}).error != "api.method-unknown");
  }
  CHECK(crew.engineer.call("line.explode").error == "api.method-unknown");
}
