// SPDX-License-Identifier: GPL-3.0-or-later
// A whole station in the process: store, records, line, people and API over a virtual bus with four slots.
#pragma once

#include <sqlite3.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "db/orders.hpp"
#include "devices/virtual/virtual_bus.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/trust/signing.hpp"
#include "station/api/rpc.hpp"
#include "station/error_table.hpp"
#include "station/jobs/job_queue.hpp"
#include "station/methods/api.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::station::test {

namespace json = boost::json;
using std::chrono::milliseconds;

// Can be turned back.
class TurnedClock final : public core::WallClock {
 public:
  [[nodiscard]] core::UtcTime now() const override { return core::SystemClock().now() + offset; }
  milliseconds offset{0};
};

struct StationOptions {
  std::string serial = "source = \"device\"\n";
  std::string flash = "after-pass = \"nothing\"\nreboot-time = \"0 ms\"\n";
  std::string more{};  // of the product's file
  std::string vfs{};   // of the records
  std::function<void(fixture::Image&)> change_image{};
};

struct TestStation {
  fixture::ImageOptions image;
  core::test::ScratchFolder folder;
  TurnedClock clock;
  StationOptions options;
  std::unique_ptr<images::ImageStore> store;
  std::string digest;
  std::unique_ptr<db::Records> records;
  std::optional<virtual_device::VirtualBus> bus;
  std::optional<api::EventLog> events;
  std::unique_ptr<line::Line> line;
  std::optional<line::SignIns> sign_ins;
  std::optional<training::TrainingBench> bench;
  std::optional<jobs::JobSite> job_site;
  std::unique_ptr<jobs::JobQueue> jobs;
  std::optional<methods::Api> api;
  std::stop_source stopping;
  int stops = 0;  // how often a client stopped the station
  mutable std::mutex happened_mutex;
  mutable std::condition_variable happened;

  explicit TestStation(StationOptions what = {}) : options(std::move(what)) {
    image.descriptors = fixture::simple_descriptors(24);
    std::filesystem::create_directories(folder / "config/products");
    std::filesystem::create_directories(folder / "config/slots.d");
    write("config/station.toml",
          "[station]\nid = \"test-1\"\ntraining = true\npolicy = \"none\"\n"
          "[folders]\nscratch = \"" +
              folder.path().native() + "\"\nbackups = \"" + (folder / "backups").native() + "\"\nimages = \"" +
              (folder / "images").native() + "\"\n");
    write("config/slots.d/slots.conf", "A1 = 1-1.1\nA2 = 1-1.2\nA3 = 1-1.3\nA4 = 1-1.4\n");
    make_image();
    store = images::ImageStore::open(folder / "images").value();
    const auto admitted = store->admit({folder / "image.ffu", trust::Policy::none, clock.now()},
                                       trust::TrustStore::empty(), [](auto, auto, auto) {}, {});
    REQUIRE(admitted.has_value());
    digest = admitted->digest;
    write_product("lamp", digest);
    open();
  }

  // Signed by nobody, with a catalog that vouches for its hash table.
  void make_image() const {
    fixture::Image built = fixture::build_image(image);
    if (options.change_image) {
      options.change_image(built);
      fixture::hash_again(built);
    }
    const core::MemorySource plain(std::move(built.file));
    const auto opened =
        engine::VerifiedImage::open(std::make_shared<core::MemorySource>(plain.read(0, plain.size()).value()));
    REQUIRE(opened.has_value());
    const auto catalog = trust::build_catalog((*opened)->image().hash_table, clock.now());
    REQUIRE(catalog.has_value());
    const auto sink = core::FileSink::create(folder / "image.ffu", 0);
    REQUIRE(sink.has_value());
    REQUIRE(ffu::replace_catalog((*opened)->opened(), plain, *catalog, **sink).has_value());
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder / name) << text; }
  void write_product(const std::string& name, const std::string& image_digest) const {
    write("config/products/" + name + ".toml", "product = \"" + name + "\"\n[image]\npolicy = \"none\"\ndigest = \"" +
                                                   image_digest + "\"\n[serial]\n" + options.serial + "[flash]\n" +
                                                   options.flash + options.more);
  }

  [[nodiscard]] core::Result<config::Configuration> load() const {
    const auto rows = all_error_rows();
    return config::load_configuration({folder / "config"}, rows);
  }

  void open() {
    records = db::Records::open(folder / "training.db", clock, {.vfs = options.vfs}).value();
    bus.emplace(virtual_device::IdleRule::no_reply_will_come);
    events.emplace(clock, "epoch");
    events->on_event([this] { happened.notify_all(); });
    auto configuration = load();
    REQUIRE(configuration.has_value());
    for (const auto& complaint : configuration->complaints) UNSCOPED_INFO(complaint.to_line());
    REQUIRE(configuration->complaints.empty());
    auto opened =
        line::Line::open({.records = *records, .bus = *bus, .clock = clock, .events = *events, .images = *store},
                         std::move(*configuration));
    REQUIRE(opened.has_value());
    line = std::move(*opened);
    sign_ins.emplace(*records, line::SignInRules{});
    bench.emplace(
        *bus, [this](const std::string& slot) { return line->ports_of(slot); },
        [this]() -> std::optional<training::DeviceNeeds> {
          if (!line->armed_image()) return std::nullopt;
          return training::DeviceNeeds{image.platform_id, image.disk_size, 512};
        },
        folder.path());
    job_site.emplace(IMPRINT_PROGRAM, jobs::JobFolders::open(folder / "jobs", 5).value(), jobs::ProcessLimits{},
                     std::vector<std::filesystem::path>{folder / "open"});
    jobs = jobs::JobQueue::open(*records, *events, clock, {}).value();
    api.emplace(methods::StationParts{.line = *line,
                                      .sign_ins = *sign_ins,
                                      .records = *records,
                                      .images = *store,
                                      .events = *events,
                                      .jobs = *jobs,
                                      .job_site = *job_site,
                                      .clock = clock,
                                      .records_file = folder / "training.db",
                                      .load_configuration = [this] { return load(); },
                                      .on_reload = [] {},
                                      .sign_head = {},
                                      .training = &*bench,
                                      .stop = [this] { ++stops; },
                                      .stopping = stopping.get_token()});
  }

  // As after a restart: what was in memory is gone.
  void restart() {
    api.reset();
    jobs.reset();
    bench.reset();
    sign_ins.reset();
    line.reset();
    bus.reset();
    events.reset();
    records.reset();
    open();
  }

  [[nodiscard]] core::Status plug(const std::string& slot, std::uint64_t number, std::vector<std::string> faults = {},
                                  std::uint64_t rate = 0) {
    auto plugged = bench->plug({slot, number, std::move(faults), rate});
    if (!plugged) return std::unexpected(plugged.error());
    return {};
  }

  // Waits for a condition; the tests' longest wait.
  // Asked again whenever something happened at the line, and now and then besides.
  template <class Condition>
  void wait_until(const Condition& condition) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::unique_lock lock(happened_mutex);
      happened.wait_for(lock, milliseconds(5));
    }
  }
  [[nodiscard]] std::vector<db::AttemptRow> attempts() const {
    auto rows = records->attempts({});
    REQUIRE(rows.has_value());
    return std::move(*rows);
  }
  // All attempts, once this many are closed and nothing runs.
  [[nodiscard]] std::vector<db::AttemptRow> finished(std::size_t count) const {
    wait_until([&] {
      const auto rows = attempts();
      return rows.size() >= count && std::ranges::all_of(rows, [](const auto& row) { return row.closed.has_value(); });
    });
    wait_until([&] { return line->running() == 0; });
    return attempts();
  }
  [[nodiscard]] std::optional<SlotStatus> slot(const std::string& name) const {
    for (const SlotStatus& one : line->slots())
      if (one.slot == name) return one;
    return std::nullopt;
  }
  [[nodiscard]] bool asks_for_scan(const std::string& name) const {
    const json::object status = line->status();
    for (const json::value& one : status.at("slots_that_ask_for_a_scan").as_array())
      if (one == json::value(name)) return true;
    return false;
  }
};

// A client of the API without a socket.
class Caller {
 public:
  explicit Caller(const TestStation& station, service::Peer peer = {1000, 1000, 42})
      : talk_(station.api->begin(peer)) {}

  struct Said {
    json::value result;
    std::string error;  // id; empty for none
    std::string message;
  };
  Said call(std::string_view method, const json::object& params = {}) {
    const auto line = talk_->answer(api::request_line(1, method, params));
    REQUIRE(line.has_value());
    const json::object answer = json::parse(*line).as_object();
    if (const json::value* error = answer.if_contains("error"))
      return {nullptr, std::string(error->at_pointer("/data/id").as_string()),
              std::string(error->at("message").as_string())};
    return {answer.at("result"), {}, {}};
  }
  [[nodiscard]] std::optional<std::uint64_t> listens_from() const { return talk_->listens_from(); }

 private:
  std::unique_ptr<service::Conversation> talk_;
};

// The first engineer, signed in with a PIN; others of each role are added by them.
struct Crew {
  Caller engineer;

  explicit Crew(TestStation& station) : engineer(station, {0, 0, 1}) {
    REQUIRE(engineer.call("people.first", {{"name", "Ada"}, {"pin", "271828"}}).error.empty());
    REQUIRE(engineer.call("people.sign_in", {{"name", "Ada"}, {"pin", "271828"}}).error.empty());
  }
  [[nodiscard]] Caller add(TestStation& station, const std::string& role, const std::string& name) {
    const auto made = engineer.call("people.add", {{"name", name}, {"role", role}, {"badge", "B-" + name}});
    REQUIRE(made.error.empty());
    REQUIRE(engineer.call("people.set_pin", {{"person", made.result.at("person")}, {"pin", "314159"}}).error.empty());
    Caller caller(station);
    REQUIRE(caller.call("people.sign_in", {{"name", name}, {"pin", "314159"}}).error.empty());
    return caller;
  }
};

inline constexpr const char* kNoEnds =
    "CREATE TRIGGER refused BEFORE INSERT ON attempt_closings BEGIN SELECT RAISE(ABORT, 'no'); END";

// As a person with sqlite3 would, beside the station.
inline void change_schema(const TestStation& station, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((station.folder / "training.db").c_str(), &database) == SQLITE_OK);
  sqlite3_busy_timeout(database, 5000);
  CHECK(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

}  // namespace imprint::station::test
