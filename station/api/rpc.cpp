// SPDX-License-Identifier: GPL-3.0-or-later
// Requests, answers and events as text.
#include "station/api/rpc.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "flash/core/text.hpp"
#include "station/api/errors.hpp"

namespace imprint::api {
namespace {

constexpr std::size_t kDeepest = 16;

core::Result<json::object> parse_object(std::string_view line) {
  boost::system::error_code code;
  json::parse_options options;
  options.max_depth = kDeepest;
  json::value value = json::parse(line, code, {}, options);
  if (code) return fail("api.parse-error", code.message());
  if (!value.is_object()) return fail("api.parse-error", "it is no object");
  return std::move(value.get_object());
}

bool is_id(const json::value& id) { return id.is_int64() || id.is_uint64() || id.is_string() || id.is_null(); }

int code_of(std::string_view id) {
  if (id == "api.parse-error") return -32700;
  if (id == "api.invalid-request" || id == "api.request-too-large") return -32600;
  if (id == "api.method-unknown") return -32601;
  if (id == "api.params-invalid") return -32602;
  if (id == "station.internal-error") return -32603;
  return 1;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? core::printable(value->get_string()) : std::string();
}

RemoteError remote_error(const json::object& error) {
  RemoteError out;
  out.message = text_of(error, "message");
  if (const json::value* data = error.if_contains("data"); data != nullptr && data->is_object()) {
    out.id = text_of(data->get_object(), "id");
    out.remedy = text_of(data->get_object(), "remedy");
  }
  return out;
}

}  // namespace

core::Result<Request> parse_request(std::string_view line) {
  if (line.size() > kMostRequestBytes) return fail("api.request-too-large").with("bytes", line.size());
  IMPRINT_TRY(json::object object, parse_object(line));
  Request request;
  for (const auto& [key, value] : object)
    if (key != "jsonrpc" && key != "method" && key != "params" && key != "id")
      return fail("api.invalid-request", "it has an unknown member").with("member", core::printable(key));
  const json::value* version = object.if_contains("jsonrpc");
  if (version == nullptr || *version != "2.0") return fail("api.invalid-request", "jsonrpc is not \"2.0\"");
  const json::value* method = object.if_contains("method");
  if (method == nullptr || !method->is_string()) return fail("api.invalid-request", "method is no string");
  request.method = method->get_string();
  const json::value* id = object.if_contains("id");
  request.is_notification = id == nullptr;
  if (id != nullptr) {
    if (!is_id(*id)) return fail("api.invalid-request", "id is neither a whole number nor a string");
    request.id = *id;
  }
  if (json::value* params = object.if_contains("params")) {
    if (!params->is_object()) return fail("api.invalid-request", "params is no object");
    request.params = std::move(params->get_object());
  }
  return request;
}

json::value id_of_broken_request(std::string_view line) {
  if (line.size() > kMostRequestBytes) return nullptr;
  const auto object = parse_object(line);
  if (!object) return nullptr;
  const json::value* id = object->if_contains("id");
  return id != nullptr && is_id(*id) ? *id : json::value(nullptr);
}

std::string result_line(const json::value& id, const json::value& result) {
  return json::serialize(json::object{{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
}

std::string error_line(const json::value& id, const core::Error& error) {
  json::object context;
  for (const auto& [key, value] : error.context()) context[key] = core::printable(value);
  json::object data{{"id", error.id()},
                    {"text", error.row().text},
                    {"remedy", error.row().remedy},
                    {"class", core::to_string(error.row().fault)},
                    {"detail", core::printable(error.detail())},
                    {"context", std::move(context)}};
  json::object body{{"code", code_of(error.id())}, {"message", error.message()}, {"data", std::move(data)}};
  return json::serialize(json::object{{"jsonrpc", "2.0"}, {"id", id}, {"error", std::move(body)}});
}

std::string request_line(std::uint64_t id, std::string_view method, const json::object& params) {
  return json::serialize(json::object{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
}

core::Result<Incoming> parse_incoming(std::string_view line) {
  auto object = parse_object(line);
  if (!object) return fail("api.answer-invalid").caused_by(std::move(object).error());
  Incoming incoming;
  if (object->contains("method")) {
    json::value* params = object->if_contains("params");
    if (params == nullptr || !params->is_object()) return fail("api.answer-invalid", "an event without params");
    incoming.event = std::move(params->get_object());
    return incoming;
  }
  const json::value* id = object->if_contains("id");
  if (id == nullptr) return fail("api.answer-invalid", "an answer without an id");
  if (id->is_int64() && id->get_int64() >= 0) incoming.id = static_cast<std::uint64_t>(id->get_int64());
  if (id->is_uint64()) incoming.id = id->get_uint64();
  if (const json::value* error = object->if_contains("error"); error != nullptr && error->is_object()) {
    incoming.error = remote_error(error->get_object());
  } else if (json::value* result = object->if_contains("result")) {
    incoming.result = std::move(*result);
  } else {
    return fail("api.answer-invalid", "neither a result nor an error");
  }
  if (!incoming.id && !incoming.error) return fail("api.answer-invalid", "its id is of no request");
  return incoming;
}

const json::value* Params::find(std::string_view name) {
  const json::value* value = object_.if_contains(name);
  if (value != nullptr) ++asked_;
  return value;
}

void Params::trouble(std::string_view name, std::string_view what) {
  if (!error_) error_ = fail("api.params-invalid", std::string(what)).with("parameter", name).error();
}

std::string Params::text(std::string_view name) {
  if (object_.contains(name)) return text_or(name, {});
  trouble(name, "it is missing");
  return {};
}

std::string Params::text_or(std::string_view name, std::string_view otherwise) {
  const json::value* value = find(name);
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string()) {
    trouble(name, "it is no string");
    return {};
  }
  return std::string(value->get_string());
}

std::vector<std::string> Params::texts_or_none(std::string_view name) {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::string> texts;
  if (value->is_array())
    for (const json::value& one : value->get_array())
      if (one.is_string()) texts.emplace_back(one.get_string());
  if (!value->is_array() || texts.size() != value->get_array().size() || texts.size() > kMostTexts) {
    trouble(name, "it is no list of strings, or one of too many");
    return {};
  }
  return texts;
}

std::int64_t Params::number(std::string_view name, std::int64_t least, std::int64_t most) {
  if (object_.contains(name)) return number_or(name, least, least, most);
  trouble(name, "it is missing");
  return least;
}

std::int64_t Params::number_or(std::string_view name, std::int64_t otherwise, std::int64_t least, std::int64_t most) {
  const json::value* value = find(name);
  if (value == nullptr) return otherwise;
  if (value->is_int64() && value->get_int64() >= least && value->get_int64() <= most) return value->get_int64();
  trouble(name, "it is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return otherwise;
}

bool Params::flag(std::string_view name) {
  if (object_.contains(name)) return flag_or(name, false);
  trouble(name, "it is missing");
  return false;
}

bool Params::flag_or(std::string_view name, bool otherwise) {
  const json::value* value = find(name);
  if (value == nullptr) return otherwise;
  if (value->is_bool()) return value->get_bool();
  trouble(name, "it is neither true nor false");
  return otherwise;
}

core::Status Params::finish() const {
  if (error_) return std::unexpected(*error_);
  if (asked_ != object_.size()) return fail("api.params-invalid", "the method has fewer parameters than were given");
  return {};
}

}  // namespace imprint::api
