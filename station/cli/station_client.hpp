// SPDX-License-Identifier: GPL-3.0-or-later
// imprint station as a client of the daemon: connects, is the one who signed in before, calls, and shows the answer.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"
#include "station/api/client.hpp"
#include "station/cli/console.hpp"

namespace imprint::station::cli {

inline constexpr const char* kUsualSocket = "/run/imprint/api.sock";

struct StationOptions {
  std::filesystem::path socket = kUsualSocket;
  bool json = false;
};

// Connected, and signed in again where somebody signed in from here before. `api.not-running`,
// `io.permission`.
[[nodiscard]] core::Result<std::unique_ptr<api::Client>> connect_to_station(const std::filesystem::path& socket);

// Says an error of the station's as our own would be said; the exit status that it means.
ExitStatus report_remote(const api::RemoteError& error, bool as_json);

// A parameter that is asked for at the terminal, or read from a file; never an argument.
struct CallSecret {
  std::string name;
  std::string question;  // "PIN: "
  std::optional<std::filesystem::path> file{};
  bool is_optional = false;  // then it is only read from a file
};

// One call; the answer goes to standard output, an error of the station's to standard error as our own would.
struct StationCall {
  std::string method;
  boost::json::object params{};
  std::vector<CallSecret> secrets{};
};
ExitStatus call_station(const StationOptions& options, StationCall call);
// The same where a station runs; nothing where none answers at the socket.
[[nodiscard]] std::optional<ExitStatus> call_station_if_it_runs(const StationOptions& options, StationCall call);

// What the station that runs says to one question, an error of its own included; nothing where none answers.
[[nodiscard]] core::Result<std::optional<api::Client::Answer>> ask_if_it_runs(const std::filesystem::path& socket,
                                                                              std::string_view method,
                                                                              const boost::json::object& params);
// As report_error() of an error of the station's.
ExitStatus report_remote(const api::RemoteError& error, bool as_json);

// What is armed, each slot, and then every event as it comes, until it is stopped. Connects again when the connection
// is lost, and goes on where it was.
struct WatchOptions {
  StationOptions station;
  bool once_lost = false;  // ends when the station goes
};
ExitStatus watch_station(const WatchOptions& options);
ExitStatus show_status(const StationOptions& options);

// An answer as people read it: a table for a list of objects, lines of name and value otherwise.
[[nodiscard]] std::string answer_text(const boost::json::value& answer);
// station.status as people read it.
[[nodiscard]] std::string status_text(const boost::json::object& status);
// One line for an event; empty for one that says nothing new.
[[nodiscard]] std::string event_text(const boost::json::object& event);

}  // namespace imprint::station::cli
