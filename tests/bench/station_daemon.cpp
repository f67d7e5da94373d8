// SPDX-License-Identifier: GPL-3.0-or-later
// A process of its own, looked at through /proc.
#include "station_daemon.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "station/api/client.hpp"
#include "surroundings.hpp"
#include "tests/unit/fixtures/notify_socket.hpp"

namespace imprint::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kIdle{20};
constexpr std::chrono::seconds kPatience{30};
constexpr int kStarts = 5;

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

void write_configuration(const fs::path& folder) {
  const std::string at = folder.native();
  fs::create_directories(folder / "slots.d");
  write(folder / "station.toml", "[station]\nid = \"bench\"\ntraining = true\n[folders]\nrecords = \"" + at +
                                     "/records\"\nimages = \"" + at + "/images\"\nscratch = \"" + at +
                                     "/scratch\"\nbackups = \"" + at + "/backups\"\n[api]\nsocket = \"" + at +
                                     "/api.sock\"\n[records]\nbackup-hours = 0\n");
  std::string slots;
  for (int slot = 1; slot <= 16; ++slot) slots += "A" + std::to_string(slot) + " = 1-1." + std::to_string(slot) + "\n";
  write(folder / "slots.d/slots.conf", slots);
}

class Daemon {
 public:
  explicit Daemon(const fs::path& folder) {
    const std::string program = (this_program().parent_path().parent_path() / "bin/imprintd").native();
    const std::string config = folder.native();
    char option[] = "--config";
    char* arguments[] = {const_cast<char*>(program.c_str()), option, const_cast<char*>(config.c_str()), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (folder / "log").c_str(), O_WRONLY | O_CREAT, 0600);
    const fixture::NotifySocket notify(folder / "notify");
    std::vector<std::string> variables = notify.environment();
    const int status =
        ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, fixture::to_pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0) stop("there is no " + program);
    const auto start = Clock::now();
    end_.emplace(pid_);
    if (!notify.wait_for("READY=1", *end_, kPatience)) stop("imprintd does not start");
    const auto client = api::Client::connect(folder / "api.sock");
    if (!client || !(*client)->call("station.hello", {})) stop("imprintd does not answer");
    ready_ms_ = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
  ~Daemon() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // False when it ended meanwhile.
  [[nodiscard]] bool lives_for(std::chrono::milliseconds time) const { return !end_->wait(time); }
  [[nodiscard]] double ready_ms() const { return ready_ms_; }
  // Of all threads, user and kernel.
  [[nodiscard]] double processor_seconds() const {
    std::stringstream text;
    text << std::ifstream("/proc/" + std::to_string(pid_) + "/stat").rdbuf();
    std::string word;
    double ticks = 0;
    for (int field = 1; text >> word; ++field)
      if (field == 14 || field == 15) ticks += std::stod(word);
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  [[nodiscard]] double resident_mib() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(file, line);)
      if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
    return 0;
  }

 private:
  pid_t pid_ = -1;
  std::optional<fixture::ProcessEnd> end_;
  double ready_ms_ = 0;
};

}  // namespace

void measure_daemon(const fs::path& folder, Report& report) {
  write_configuration(folder);
  std::vector<double> ready;
  for (int i = 0; i < kStarts; ++i) ready.push_back(Daemon(folder).ready_ms());
  report.number("daemon_start_to_ready_ms", median(ready), at_most(300));
  const Daemon daemon(folder);
  const double before = daemon.processor_seconds();
  if (!daemon.lives_for(kIdle)) stop("imprintd has ended");
  const double used = daemon.processor_seconds() - before;
  report.number("daemon_idle_percent_of_a_core", 100 * used / static_cast<double>(kIdle.count()), at_most(0.5));
  report.number("daemon_idle_resident_MiB", daemon.resident_mib(), at_most(40));
}

void measure_reports(const fs::path& folder, const fs::path& records, Report& report) {
  write_configuration(folder);
  fs::create_directories(folder / "records");
  fs::rename(records, folder / "records/training.db");
  const Daemon daemon(folder);
  const auto client = std::move(*api::Client::connect(folder / "api.sock"));
  const auto call = [&](std::string_view method, const boost::json::object& params) {
    const auto answer = client->call(method, params, std::chrono::minutes(10));
    const auto* value = answer ? std::get_if<boost::json::value>(&*answer) : nullptr;
    if (value == nullptr || !value->is_object()) stop("imprintd refuses " + std::string(method));
    return value->get_object();
  };
  static_cast<void>(call("people.first", {{"name", "Ada"}, {"pin", "271828"}}));
  static_cast<void>(call("people.sign_in", {{"name", "Ada"}, {"pin", "271828"}}));
  for (const char* format : {"csv", "jsonl"}) {
    const double before = daemon.resident_mib();
    double most = before;
    const auto start = Clock::now();
    std::uint64_t attempts = 0;
    std::size_t longest = 0;
    boost::json::object params{{"format", format}};
    for (bool more = true; more;) {
      const auto page = call("reports.units", params);
      attempts += page.at("attempts").to_number<std::uint64_t>();
      longest = std::max(longest, page.at("text").as_string().size());
      most = std::max(most, daemon.resident_mib());
      more = page.at("next").is_object();
      if (more)
        for (const auto& [name, value] : page.at("next").as_object()) params[name] = value;
    }
    if (attempts < 1'000'000) stop("attempts are missing from the export");
    const std::string name = std::string("daemon_export_of_1000000_attempts_") + format;
    report.number(name + "_s", std::chrono::duration<double>(Clock::now() - start).count());
    report.number(name + "_more_MiB", most - before, at_most(32));
    report.number(name + "_longest_page_MiB", static_cast<double>(longest) / (1U << 20), at_most(4));
  }
  for (const char* kind : {"failures", "slots", "shift"}) {
    const auto start = Clock::now();
    static_cast<void>(call("reports." + std::string(kind), {{"from", "2000-01-01T00:00:00Z"}}));
    report.number(std::string("daemon_report_of_1000000_attempts_") + kind + "_s",
                  std::chrono::duration<double>(Clock::now() - start).count());
  }
  report.number("daemon_resident_after_reports_MiB", daemon.resident_mib(), at_most(96));
}

}  // namespace imprint::bench
