// SPDX-License-Identifier: GPL-3.0-or-later
// Calls to the daemon, and the sign-in that lasts from one command to the next.
#include "station/cli/station_client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/secret.hpp"
#include "station/cli/secret_prompt.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/errors.hpp"
#include "station/methods/method_table.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

// Verifying an image or a chain may take minutes.
constexpr std::chrono::milliseconds kLongestCall = std::chrono::hours(4);
constexpr std::chrono::milliseconds kUsualCall = std::chrono::minutes(1);

std::chrono::milliseconds wait_for(std::string_view method) {
  const methods::Method* const known = methods::find_method(method);
  return known != nullptr && known->takes_long ? kLongestCall : kUsualCall;
}

// Where the sign-in of this user at this station is kept: a folder that nobody else can look into, gone with the login.
fs::path token_file(const fs::path& socket) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const fs::path folder = runtime != nullptr && *runtime == '/'
                              ? fs::path(runtime)
                              : fs::path("/tmp") / ("imprint-" + std::to_string(::getuid()));
  std::error_code error;
  const std::string name =
      core::to_hex(core::sha256(core::as_bytes(fs::absolute(socket, error).native()))).substr(0, 16);
  return folder / ("imprint-session-" + name);
}

// Ours, and nobody else's to write: /tmp belongs to everybody.
bool make_private_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return false;
  struct stat status{};
  return ::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::getuid() &&
         (status.st_mode & 077U) == 0;
}

void forget_token(const fs::path& socket) {
  std::error_code error;
  fs::remove(token_file(socket), error);
}

bool keep_token(const fs::path& socket, const std::string& token) {
  forget_token(socket);
  const fs::path file = token_file(socket);
  if (!make_private_folder(file.parent_path())) return false;
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool written = ::write(fd, token.data(), token.size()) == static_cast<ssize_t>(token.size());
  ::close(fd);
  if (!written) forget_token(socket);
  return written;
}

std::string kept_token(const fs::path& socket) {
  const fs::path file = token_file(socket);
  const int fd = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return {};
  struct stat status{};
  char buffer[128];
  ssize_t size = 0;
  if (::fstat(fd, &status) == 0 && status.st_uid == ::getuid() && (status.st_mode & 077U) == 0)
    size = ::read(fd, buffer, sizeof buffer);
  ::close(fd);
  return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : std::string();
}

core::Status fill_secrets(StationCall& call) {
  for (const CallSecret& wanted : call.secrets) {
    if (wanted.file) {
      IMPRINT_TRY(const auto secret, trust::Secret::read_line(*wanted.file));
      call.params[wanted.name] = secret.c_str();
    } else if (!wanted.is_optional) {
      IMPRINT_TRY(const auto typed, ask_secret(wanted.question));
      if (!typed) return fail("usage.invalid", "there is no terminal to ask for the PIN: name a file that holds it");
      call.params[wanted.name] = typed->c_str();
    }
  }
  return {};
}

ExitStatus show_answer(const StationOptions& options, const StationCall& call, json::value& answer) {
  if (call.method == "people.sign_in" && answer.is_object()) {
    if (!keep_token(options.socket, std::string(answer.as_object().at("token").as_string())))
      fmt::print(stderr, "WARNING: the sign-in could not be kept for the next command: {}\n",
                 token_file(options.socket).native());
    answer.as_object().erase("token");
  }
  if (call.method == "people.sign_out") forget_token(options.socket);
  if (options.json) {
    print_line(json::serialize(answer));
  } else {
    print(answer_text(answer));
  }
  // A proof that fails is an answer, and not a good one.
  const bool bad = answer.is_object() && answer.get_object().contains("good") && answer.at("good") == false;
  return bad ? ExitStatus::not_good : ExitStatus::good;
}

ExitStatus finish_call(const StationOptions& options, StationCall& call, api::Client& client) {
  if (const auto filled = fill_secrets(call); !filled) return report_error(filled.error(), options.json);
  auto answer = client.call(call.method, call.params, wait_for(call.method));
  if (!answer) return report_error(answer.error(), options.json);
  if (const auto* error = std::get_if<api::RemoteError>(&*answer)) return report_remote(*error, options.json);
  return show_answer(options, call, std::get<json::value>(*answer));
}

// The station's object, or what it said instead.
core::Result<std::optional<json::object>> status_of(api::Client& client) {
  IMPRINT_TRY(auto answer, client.call("station.status", {}));
  auto* value = std::get_if<json::value>(&answer);
  if (value == nullptr || !value->is_object()) return std::nullopt;
  return std::move(value->get_object());
}

core::Result<std::string> epoch_of(api::Client& client) {
  IMPRINT_TRY(const auto answer, client.call("station.hello", {}));
  const auto* hello = std::get_if<json::value>(&answer);
  const json::value* epoch =
      hello != nullptr && hello->is_object() ? hello->get_object().if_contains("epoch") : nullptr;
  return epoch != nullptr && epoch->is_string() ? std::string(epoch->get_string()) : std::string();
}

// One connection's life: false when the watcher wants to end, an error when the connection was lost.
core::Result<bool> watch_once(const WatchOptions& options, std::string& epoch, std::uint64_t& next,
                              const std::stop_token& stop) {
  IMPRINT_TRY(const auto client, connect_to_station(options.station.socket));
  IMPRINT_TRY(const std::string now, epoch_of(*client));
  if (now != epoch) next = 0;  // another run of the station: its numbers are new ones
  epoch = now;
  json::object params;
  if (next > 0) params["from"] = next;
  IMPRINT_TRY(const auto answer, client->call("events.subscribe", params));
  if (std::holds_alternative<api::RemoteError>(answer)) return false;
  IMPRINT_TRY(const auto status, status_of(*client));
  if (status && !options.station.json) print(status_text(*status));
  if (status && options.station.json) print_line(json::serialize(json::object{{"kind", "status"}, {"data", *status}}));
  while (!stop.stop_requested()) {
    IMPRINT_TRY(const auto event, client->next_event(std::chrono::milliseconds(200)));
    if (!event) continue;
    if (const json::value* seq = event->if_contains("seq")) next = seq->to_number<std::uint64_t>() + 1;
    if (options.station.json) {
      print_line(json::serialize(*event));
    } else if (const std::string text = event_text(*event); !text.empty()) {
      print_line(text);
    }
  }
  return false;
}

void wait_a_moment(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, std::chrono::milliseconds(500), [] { return false; });
}

}  // namespace

ExitStatus report_remote(const api::RemoteError& error, bool as_json) {
  if (as_json) {
    const json::object told{{"id", error.id}, {"message", error.message}, {"remedy", error.remedy}};
    fmt::print(stderr, "{}\n", json::serialize(json::object{{"error", told}}));
  } else {
    fmt::print(stderr, "imprint: {}: {}\n  What to do: {}\n", error.id, error.message, error.remedy);
  }
  if (error.id == "device.not-present") return ExitStatus::nothing;
  if (error.id == "usage.invalid" || error.id.starts_with("api.params") || error.id == "api.method-unknown")
    return ExitStatus::usage;
  if (error.id.starts_with("io.") || error.id.starts_with("records.") || error.id.starts_with("service."))
    return ExitStatus::environment;
  return ExitStatus::not_good;
}

core::Result<std::optional<api::Client::Answer>> ask_if_it_runs(const fs::path& socket, std::string_view method,
                                                                const json::object& params) {
  auto client = connect_to_station(socket);
  if (!client && client.error().id() == "api.not-running") return std::nullopt;
  if (!client) return std::unexpected(std::move(client).error());
  IMPRINT_TRY(auto answer, (*client)->call(method, params));
  return answer;
}

core::Result<std::unique_ptr<api::Client>> connect_to_station(const fs::path& socket) {
  IMPRINT_TRY(auto client, api::Client::connect(socket));
  if (const std::string token = kept_token(socket); !token.empty()) {
    IMPRINT_TRY(const auto answer, client->call("people.resume", {{"token", token}}));
    if (std::holds_alternative<api::RemoteError>(answer)) forget_token(socket);  // it has ended
  }
  return client;
}

ExitStatus call_station(const StationOptions& options, StationCall call) {
  const auto client = connect_to_station(options.socket);
  if (!client) return report_error(client.error(), options.json);
  return finish_call(options, call, **client);
}

std::optional<ExitStatus> call_station_if_it_runs(const StationOptions& options, StationCall call) {
  const auto client = connect_to_station(options.socket);
  if (client) return finish_call(options, call, **client);
  if (client.error().id() == "api.not-running") return std::nullopt;
  return report_error(client.error(), options.json);
}

ExitStatus show_status(const StationOptions& options) {
  const auto client = connect_to_station(options.socket);
  if (!client) return report_error(client.error(), options.json);
  const auto status = status_of(**client);
  if (!status) return report_error(status.error(), options.json);
  if (!*status) return ExitStatus::not_good;
  if (options.json) {
    print_line(json::serialize(**status));
  } else {
    print(status_text(**status));
  }
  return ExitStatus::good;
}

ExitStatus watch_station(const WatchOptions& options) {
  const StopOnSignal signals(StopOnSignal::Meaning::usual_end);
  std::string epoch;
  std::uint64_t next = 0;
  bool was_there = false;
  while (!signals.token().stop_requested()) {
    const auto watched = watch_once(options, epoch, next, signals.token());
    if (watched) return ExitStatus::good;
    const bool is_gone = watched.error().id() == "api.not-running" || watched.error().id() == "api.connection-lost";
    was_there = was_there || !epoch.empty();
    if (!is_gone || !was_there || options.once_lost) return report_error(watched.error(), options.station.json);
    if (!options.station.json && watched.error().id() == "api.connection-lost")
      print_line("The station does not answer; waiting for it ...");
    wait_a_moment(signals.token());
  }
  return ExitStatus::good;
}

}  // namespace imprint::station::cli
