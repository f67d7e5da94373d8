// SPDX-License-Identifier: GPL-3.0-or-later
// The words of the API: JSON-RPC 2.0 (the specification of 2013-01-04), one object a line in UTF-8. No sockets here.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::api {

namespace json = boost::json;

// Of a line without its line feed.
inline constexpr std::size_t kMostRequestBytes = 1U << 20;

struct Request {
  json::value id;  // a number or a string; null for a notification, which is not answered
  bool is_notification = false;
  std::string method;
  json::object params;
};

// `api.parse-error`, `api.invalid-request`, `api.request-too-large`. Nested at most 16 deep.
[[nodiscard]] core::Result<Request> parse_request(std::string_view line);
// What an answer to a line that could not be parsed refers to: its id where one can be made out, null otherwise.
[[nodiscard]] json::value id_of_broken_request(std::string_view line);

// Lines without their line feed.
[[nodiscard]] std::string result_line(const json::value& id, const json::value& result);
// `data` carries the error's id, text, remedy, fault class, detail and context; `code` is JSON-RPC's own for what that
// defines, and 1 for everything that the station itself says.
[[nodiscard]] std::string error_line(const json::value& id, const core::Error& error);
[[nodiscard]] std::string request_line(std::uint64_t id, std::string_view method, const json::object& params);

// An error as another program told it: the same id, text and remedy, without the program's table being asked.
struct RemoteError {
  std::string id;
  std::string message;  // with detail and context, printable
  std::string remedy;
};

// An answer, or an event that was pushed.
struct Incoming {
  std::optional<std::uint64_t> id;  // of the request; nothing for an event
  json::object event;               // params of an event
  json::value result;
  std::optional<RemoteError> error;
};
// `api.answer-invalid`.
[[nodiscard]] core::Result<Incoming> parse_incoming(std::string_view line);

// Reads parameters; each is to be asked for, and what nobody asked for is refused by finish(). The first trouble is
// kept, so that a method may ask for all of them and look once. One thread.
class Params {
 public:
  static constexpr std::size_t kMostTexts = 256;
  explicit Params(const json::object& object) : object_(object) {}

  [[nodiscard]] std::string text(std::string_view name);  // required; "" in trouble
  [[nodiscard]] std::string text_or(std::string_view name, std::string_view otherwise);
  [[nodiscard]] std::vector<std::string> texts_or_none(std::string_view name);
  [[nodiscard]] std::int64_t number(std::string_view name, std::int64_t least, std::int64_t most);  // required
  [[nodiscard]] std::int64_t number_or(std::string_view name, std::int64_t otherwise, std::int64_t least,
                                       std::int64_t most);
  [[nodiscard]] bool flag(std::string_view name);  // required; false in trouble
  [[nodiscard]] bool flag_or(std::string_view name, bool otherwise);
  // `api.params-invalid` with the parameter's name.
  [[nodiscard]] core::Status finish() const;

 private:
  [[nodiscard]] const json::value* find(std::string_view name);
  void trouble(std::string_view name, std::string_view what);

  const json::object& object_;
  std::optional<core::Error> error_;
  std::size_t asked_ = 0;  // of those that are there
};

}  // namespace imprint::api
