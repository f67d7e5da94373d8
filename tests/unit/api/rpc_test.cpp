// SPDX-License-Identifier: GPL-3.0-or-later
// Requests and answers as text.
#include "station/api/rpc.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

#include "station/api/errors.hpp"

using namespace imprint;
using namespace imprint::api;

TEST_CASE("a request has its method, its parameters and its id") {
  const auto request = parse_request(R"({"jsonrpc":"2.0","id":7,"method":"line.arm","params":{"product":"lamp"}})");
  REQUIRE(request.has_value());
  CHECK(request->method == "line.arm");
  CHECK(request->params.at("product") == "lamp");
  CHECK(request->id == 7);
  CHECK_FALSE(request->is_notification);
  CHECK(parse_request(R"({"jsonrpc":"2.0","method":"x"})")->is_notification);
  CHECK_FALSE(parse_request(R"({"jsonrpc":"2.0","method":"x","id":null})")->is_notification);
}

TEST_CASE("what is no request is refused, each fault by its own id") {
  const auto id_of = [](std::string_view line) { return std::string(parse_request(line).error().id()); };
  CHECK(id_of("") == "api.parse-error");
  CHECK(id_of("{") == "api.parse-error");
  CHECK(id_of("[1]") == "api.parse-error");
  CHECK(id_of("\"x\"") == "api.parse-error");
  CHECK(id_of(R"({"jsonrpc":"2.0","method":"x"} {})") == "api.parse-error");
  CHECK(id_of("{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}") == "api.parse-error");
  CHECK(id_of(R"({"method":"x"})") == "api.invalid-request");
  CHECK(id_of(R"({"jsonrpc":"1.0","method":"x"})") == "api.invalid-request");
  CHECK(id_of(R"({"jsonrpc":"2.0"})") == "api.invalid-request");
  CHECK(id_of(R"({"jsonrpc":"2.0","method":1})") == "api.invalid-request");
  CHECK(id_of(R"({"jsonrpc":"2.0","method":"x","params":[1]})") == "api.invalid-request");
  CHECK(id_of(R"({"jsonrpc":"2.0","method":"x","id":1.5})") == "api.invalid-request");
  CHECK(id_of(R"({"jsonrpc":"2.0","method":"x","id":{}})") == "api.invalid-request");
  CHECK(id_of(R"({"jsonrpc":"2.0","method":"x","extra":1})") == "api.invalid-request");
  CHECK(id_of(std::string(kMostRequestBytes + 1, ' ')) == "api.request-too-large");
  CHECK(id_of(std::string(100, '[') + std::string(100, ']')) == "api.parse-error");
}

TEST_CASE("a broken request is answered to its id where one can be made out") {
  CHECK(id_of_broken_request(R"({"id":3,"method":1})") == 3);
  CHECK(id_of_broken_request(R"({"id":"a","method":1})") == "a");
  CHECK(id_of_broken_request("{").is_null());
  CHECK(id_of_broken_request(R"({"id":{}})").is_null());
}

TEST_CASE("an error tells its id, its context and what to do, under JSON-RPC's own code where there is one") {
  const auto line = error_line(5, fail("api.method-unknown", "what").with("method", "a\nb").error());
  CHECK(line.find('\n') == std::string::npos);
  const json::object object = json::parse(line).as_object();
  CHECK(object.at("id") == 5);
  const json::object& error = object.at("error").as_object();
  CHECK(error.at("code") == -32601);
  const json::object& data = error.at("data").as_object();
  CHECK(data.at("id") == "api.method-unknown");
  CHECK_FALSE(data.at("remedy").as_string().empty());
  CHECK(data.at("context").as_object().at("method") == "a?b");
  const auto incoming = parse_incoming(line);
  REQUIRE(incoming.has_value());
  REQUIRE(incoming->error.has_value());
  CHECK(incoming->id == 5U);
  CHECK(incoming->error->id == "api.method-unknown");
}

TEST_CASE("an answer is a result, an error or an event, and nothing else") {
  CHECK(parse_incoming(result_line(9, json::object{{"a", 1}}))->result.as_object().at("a") == 1);
  CHECK(parse_incoming(R"({"jsonrpc":"2.0","method":"event","params":{"seq":4}})")->event.at("seq") == 4);
  for (const char* line : {"", "{}", R"({"id":1})", R"({"method":"event"})", R"({"id":"x","result":1})",
                           R"({"id":-1,"result":1})", "[]"}) {
    CAPTURE(line);
    REQUIRE_FALSE(parse_incoming(line).has_value());
    CHECK(parse_incoming(line).error().id() == "api.answer-invalid");
  }
}

TEST_CASE("parameters that are missing, unknown or of the wrong kind are named") {
  const json::object object = json::parse(R"({"text":"a","number":5,"flag":true})").as_object();
  Params good(object);
  CHECK(good.text("text") == "a");
  CHECK(good.number_or("number", 0, 1, 9) == 5);
  CHECK(good.flag_or("flag", false));
  CHECK(good.text_or("other", "otherwise") == "otherwise");
  CHECK(good.finish().has_value());

  Params partly(object);
  CHECK(partly.text("text") == "a");
  REQUIRE_FALSE(partly.finish().has_value());

  Params missing(object);
  CHECK(missing.text("serial").empty());
  CHECK(missing.finish().error().context_value("parameter") == "serial");

  Params wrong(object);
  CHECK(wrong.text("number").empty());
  CHECK(wrong.finish().error().context_value("parameter") == "number");

  Params beyond(object);
  CHECK(beyond.number_or("number", 2, 6, 9) == 2);
  CHECK(beyond.finish().error().context_value("parameter") == "number");
}
