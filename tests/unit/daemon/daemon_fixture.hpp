// SPDX-License-Identifier: GPL-3.0-or-later
// A configuration with a store and an order, and imprintd over it as a process of its own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "db/chain.hpp"
#include "db/orders.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/trust/signing.hpp"
#include "station/api/client.hpp"
#include "station/images/image_store.hpp"
#include "station/line/sign_ins.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/notify_socket.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"
#include "tests/unit/fixtures/stride.hpp"

namespace imprint::daemon::test {

namespace json = boost::json;
namespace fs = std::filesystem;
using std::chrono::milliseconds;

inline constexpr milliseconds kPatience{60000};

using fixture::kSanitized;
using fixture::stride;

struct Site {
  fixture::ImageOptions image;
  fixture::ScratchFolder folder;
  core::SystemClock clock;
  std::string digest;
  mutable int processes = 0;

  Site() {
    image.descriptors = fixture::simple_descriptors(24);
    for (const char* name : {"config/products", "config/slots.d", "records", "template"})
      fs::create_directories(folder / name);
    const std::string at = folder.path().native();
    write("config/station.toml",
          "[station]\nid = \"test-1\"\ntraining = true\npolicy = \"none\"\n[folders]\nrecords = \"" + at +
              "/records\"\nscratch = \"" + at + "\"\nbackups = \"" + at + "/backups\"\nimages = \"" + at +
              "/images\"\n[api]\nsocket = \"" + at + "/api.sock\"\nmetrics-socket = \"" + at +
              "/metrics.sock\"\n[records]\nbackup-hours = 0\n");
    write("config/slots.d/slots.conf", "A1 = 1-1.1\nA2 = 1-1.2\nA3 = 1-1.3\nA4 = 1-1.4\n");
    admit_image();
    write("config/products/lamp.toml", "product = \"lamp\"\n[image]\npolicy = \"none\"\ndigest = \"" + digest +
                                           "\"\n[serial]\nsource = \"device\"\n[flash]\nafter-pass = "
                                           "\"nothing\"\nreboot-time = \"0 ms\"\n");
    make_records(folder / "records/training.db");
  }

  void write(const std::string& name, const std::string& text) const { std::ofstream(folder / name) << text; }
  [[nodiscard]] fs::path records_file() const { return folder / "records/training.db"; }
  [[nodiscard]] fs::path socket() const { return folder / "api.sock"; }

  // An engineer called Ada, and an order of a thousand.
  void make_records(const fs::path& file) const {
    auto records = db::Records::open(file, clock).value();
    station::line::SignIns people(*records, {});
    REQUIRE(people.make_first("Ada", trust::Secret::take("271828")).has_value());
    REQUIRE(db::Orders(*records).create({.number = "WO-1", .product = "lamp", .quantity = 1000}).has_value());
  }

  // Records as they were at first; what an earlier daemon left is gone.
  void reset_records() const {
    fs::remove_all(folder / "records");
    fs::copy(folder / "template", folder / "records", fs::copy_options::recursive);
  }
  // The same where the folder itself is a disk of its own.
  void reset_files() const {
    for (const auto& entry : fs::directory_iterator(folder / "records"))
      if (entry.path().filename() != "lost+found") fs::remove_all(entry.path());
    fs::copy(folder / "template", folder / "records", fs::copy_options::recursive);
  }
  // Instead of the records those that were found when the power was back.
  void put_records(const fs::path& found) const {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
      const std::string name = records_file().filename().native() + suffix;
      const fs::path place = records_file().parent_path() / name;
      fs::remove(place);
      if (fs::exists(found / name)) fs::copy_file(found / name, place);
    }
  }
  void keep_as_template() const {
    fs::remove_all(folder / "template");
    fs::copy(folder / "records", folder / "template", fs::copy_options::recursive);
  }

 private:
  void admit_image() {
    const core::MemorySource plain(fixture::build_image(image).file);
    const auto opened =
        engine::VerifiedImage::open(std::make_shared<core::MemorySource>(plain.read(0, plain.size()).value())).value();
    const auto catalog = trust::build_catalog(opened->image().hash_table, clock.now()).value();
    const auto sink = core::FileSink::create(folder / "image.ffu", 0).value();
    REQUIRE(ffu::replace_catalog(opened->opened(), plain, catalog, *sink).has_value());
    const auto store = station::images::ImageStore::open(folder / "images").value();
    const auto admitted = store->admit({folder / "image.ffu", trust::Policy::none, clock.now()},
                                       trust::TrustStore::empty(), [](auto, auto, auto) {}, {});
    REQUIRE(admitted.has_value());
    digest = admitted->digest;
  }
};

// crash_station as a process.
class Process {
 public:
  // `disk`: what befalls the disk under its records, as crash_station takes it.
  explicit Process(const Site& site, const std::vector<std::string>& disk = {},
                   const std::vector<std::string>& environment = {})
      : site_(site), notify_(site.folder / ("notify-" + std::to_string(++site.processes))) {
    const char* program = std::getenv("IMPRINT_CRASH_STATION");
    REQUIRE(program != nullptr);
    const std::string config = (site.folder / "config").native();
    std::vector<char*> arguments = {const_cast<char*>(program), const_cast<char*>(config.c_str())};
    for (const std::string& word : disk) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::vector<std::string> variables = notify_.environment(environment);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string log = (site.folder / "daemon.log").native();
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(posix_spawn(&pid_, program, &actions, nullptr, arguments.data(), fixture::to_pointers(variables).data()) ==
            0);
    posix_spawn_file_actions_destroy(&actions);
    end_.emplace(pid_);
  }
  ~Process() {
    if (pid_ > 0) static_cast<void>(kill_and_wait());
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The wait status.
  int wait() {
    if (pid_ <= 0) return status_;
    REQUIRE(end_->wait(kPatience));
    REQUIRE(::waitpid(pid_, &status_, 0) == pid_);
    pid_ = -1;
    return status_;
  }
  int kill_and_wait() {
    ::kill(pid_, SIGKILL);
    return wait();
  }
  void signal(int number) const { ::kill(pid_, number); }

  // What it told its service manager, from the next message on that has the word in it; empty when it ended before.
  std::string told(std::string_view word) {
    const auto message = notify_.wait_for(word, *end_, kPatience);
    REQUIRE((message || end_->wait(milliseconds(0))));
    return message.value_or("");
  }

  // Connected once it is ready; nothing when it ended before.
  std::unique_ptr<api::Client> client() {
    if (told("READY=1").empty()) return nullptr;
    auto client = api::Client::connect(site_.socket());
    if (!client || !(*client)->call("station.hello", {}, kPatience)) return nullptr;
    return std::move(*client);
  }

 private:
  const Site& site_;
  fixture::NotifySocket notify_;
  std::optional<fixture::ProcessEnd> end_;
  pid_t pid_ = -1;
  int status_ = 0;
};

// True when the station did it; what it said otherwise is kept.
struct Calls {
  api::Client& client;
  std::string error;
  bool operator()(std::string_view method, const json::object& params = {}) {
    const auto answer = client.call(method, params, kPatience);
    if (!answer) {
      error = answer.error().id();
      return false;
    }
    const auto* said = std::get_if<api::RemoteError>(&*answer);
    error = said != nullptr ? said->id : "";
    result = said == nullptr ? std::get<json::value>(*answer) : json::value(nullptr);
    return said == nullptr;
  }
  json::value result{};
};

// What has to hold of records whenever a station has ended, however it did. `told`: passes that clients were told of.
inline void check_records(const Site& site, const std::vector<db::AttemptId>& told) {
  const auto opened = db::Records::open(site.records_file(), site.clock);
  REQUIRE(opened.has_value());
  const db::Records& records = **opened;
  CHECK(records.check_integrity().has_value());
  const auto report = db::Chain(records).verify();
  REQUIRE(report.has_value());
  CHECK_FALSE(report->broken.has_value());
  const auto rows = records.attempts({});
  REQUIRE(rows.has_value());
  for (const db::AttemptRow& row : *rows) {
    if (!row.close || row.close->verdict != db::AttemptVerdict::passed) continue;
    CHECK(row.close->proof == db::ProofLevel::read_back);
    CHECK(row.unit.has_value());
    const auto steps = records.steps(row.id);
    REQUIRE(steps.has_value());
    for (const char* name : {"write", "read-back"})
      CHECK(std::ranges::any_of(*steps, [&](const db::Step& step) { return step.name == name && step.ok; }));
  }
  for (const db::AttemptId id : told) {
    const auto row = records.attempt(id);
    REQUIRE(row.has_value());
    REQUIRE(row->close.has_value());
    CHECK(row->close->verdict == db::AttemptVerdict::passed);
  }
}

}  // namespace imprint::daemon::test
