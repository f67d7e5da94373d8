// SPDX-License-Identifier: GPL-3.0-or-later
// The other end of the station's socket: what `imprint station` and every other program of ours asks it by.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>

#include "flash/core/result.hpp"
#include "station/api/rpc.hpp"

namespace imprint::api {

// One thread. Waits end by their time; while one waits, events that come are kept for next_event().
class Client {
 public:
  static constexpr std::chrono::milliseconds kUsualWait{30000};
  static constexpr std::size_t kMostAnswerBytes = 64U << 20;

  // `api.not-running`, `io.permission`.
  [[nodiscard]] static core::Result<std::unique_ptr<Client>> connect(const std::filesystem::path& socket);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // What the station said: a result, or its own error. `api.connection-lost`, `api.answer-invalid`, `job.deadline`.
  using Answer = std::variant<json::value, RemoteError>;
  [[nodiscard]] core::Result<Answer> call(std::string_view method, const json::object& params,
                                          std::chrono::milliseconds wait = kUsualWait);
  // The next event, nothing when none came in time. After `subscribe` was called.
  [[nodiscard]] core::Result<std::optional<json::object>> next_event(std::chrono::milliseconds wait);

 private:
  explicit Client(int fd) : fd_(fd) {}
  [[nodiscard]] core::Status send(std::string line, std::chrono::steady_clock::time_point until) const;
  // A line, nothing when the time is up.
  [[nodiscard]] core::Result<std::optional<std::string>> receive(std::chrono::steady_clock::time_point until);

  int fd_;
  std::uint64_t last_id_ = 0;
  std::string buffer_;
  std::size_t scanned_ = 0;  // of the buffer, without a line feed
  std::deque<json::object> events_;
};

}  // namespace imprint::api
