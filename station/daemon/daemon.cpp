// SPDX-License-Identifier: GPL-3.0-or-later
// The parts of the station in the order in which they need each other, and the loop around them.
#include "station/daemon/daemon.hpp"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <thread>

#include "db/audit.hpp"
#include "devices/usb/usb_bus.hpp"
#include "devices/virtual/virtual_bus.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/daemon/housekeeping.hpp"
#include "station/daemon/journal.hpp"
#include "station/daemon/metrics.hpp"
#include "station/daemon/service_manager.hpp"
#include "station/daemon/station_key.hpp"
#include "station/error_table.hpp"
#include "station/methods/api.hpp"
#include "station/service/errors.hpp"
#include "station/service/server.hpp"
#include "station/slot_map.hpp"
#include "station/training/training_bus.hpp"
#include "station/version.hpp"

namespace imprint::daemon {
namespace {

namespace fs = std::filesystem;
using station::config::Configuration;
using station::config::StationFile;

// Of the ten seconds that a stop may take.
constexpr std::chrono::seconds kStopPatience{5};
constexpr std::chrono::seconds kJobPatience{3};
constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::minutes kKeyLook{10};
constexpr std::chrono::seconds kLockPatience{3};
constexpr const char* kGroup = "imprint";

core::Result<Configuration> load(const DaemonOptions& options) {
  const auto folders = options.config.empty() ? station::config::usual_config_folders() : options.config;
  const auto rows = station::all_error_rows();
  IMPRINT_TRY(auto configuration, station::config::load_configuration(folders, rows));
  if (options.training) configuration.station.training = true;
  if (!options.socket.empty()) configuration.station.api_socket = options.socket;
  return configuration;
}

core::Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", folder.native());
  return {};
}

// For what is written with the zone's offset. Before there are threads: the environment is everybody's.
void keep_times_in(const std::string& zone) {
  if (zone.empty()) return;
  ::setenv("TZ", (":" + zone).c_str(), 1);
  ::tzset();
}

std::string new_epoch() {
  std::array<std::uint8_t, 8> bytes{};
  // Only to tell runs apart.
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return std::to_string(::getpid());
  return core::to_hex(bytes);
}

// Ports of the slot map as it is now: a reload changes which disks may be written.
class DiskRules {
 public:
  void set(const station::SlotMap& map) {
    const std::scoped_lock lock(mutex_);
    map_ = map;
  }
  [[nodiscard]] devices::DisksAllowed at(const devices::PortPath& port) const {
    const std::scoped_lock lock(mutex_);
    const auto slot = map_.slot_of(port);
    return slot ? slot->disks : devices::DisksAllowed::none;
  }

 private:
  mutable std::mutex mutex_;
  station::SlotMap map_;
};

// One thing after the other, so that what stands later may use what stands before, and goes before it.
class Daemon {
 public:
  explicit Daemon(DaemonOptions options) : options_(std::move(options)), started_(std::chrono::steady_clock::now()) {}

  core::Status run() {
    IMPRINT_TRY(Configuration configuration, load(options_));
    if (!configuration.complaints.empty()) {
      for (const auto& complaint : configuration.complaints) journal_.log(Level::error, complaint.to_line());
      return std::unexpected(station::config::as_error(configuration.complaints));
    }
    const StationFile station = configuration.station;
    keep_times_in(station.zone);
    // What was left half done may be what fills the disk, and opening the records takes some of it.
    IMPRINT_TRY(images_, station::images::ImageStore::open(station.images));
    IMPRINT_CHECK(open_records(station));
    IMPRINT_CHECK(open_bus(configuration));
    events_.emplace(clock_, new_epoch());
    sign_ins_.emplace(*records_, station::line::SignInRules{station.pin, station.attempts, station.sign_out_after});
    IMPRINT_TRY(line_, open_line(std::move(configuration)));
    IMPRINT_CHECK(key_.open(station));
    make_bench(station);
    IMPRINT_CHECK(open_jobs(station));
    IMPRINT_CHECK(serve(station));
    return {};
  }

  [[nodiscard]] bool key_hangs() const { return key_.hangs(); }

 private:
  core::Status open_records(const StationFile& station) {
    IMPRINT_CHECK(make_folder(station.records));
    IMPRINT_CHECK(make_folder(station.scratch));
    records_file_ = station.records / (station.training ? "training.db" : "station.db");
    db::RecordsOptions records;
    records.vfs = options_.vfs;
    // Only once no other daemon is at work: its jobs have folders there.
    records.before_writing = [this, &station] { return open_job_folders(station); };
    records.outbox = false;  // no system beyond the station takes events yet, and what nobody takes piles up
    // One that was killed a moment ago may still be on its way out.
    const auto deadline = core::Deadline::after(kLockPatience);
    for (;;) {
      auto opened = db::Records::open(records_file_, clock_, records);
      if (opened || opened.error().id() != "records.locked" || deadline.passed()) {
        IMPRINT_TRY(records_, std::move(opened));
        return {};
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  core::Status open_bus(const Configuration& configuration) {
    capture::RecorderSetup recording;
    recording.kept_folder = records_file_.native() + ".transfers";
    recording.program = std::string("imprintd ") + station::kVersion;
    IMPRINT_TRY(recorder_, capture::Recorder::open(std::move(recording)));
    IMPRINT_TRY(const auto map, station::SlotMap::load(configuration.slot_folders));
    disk_rules_.set(map);
    usb::UsbBus::Options bus;
    bus.disks_allowed = [this](const devices::PortPath& port) { return disk_rules_.at(port); };
    bus.tap = recorder_->tap();
    auto usb = usb::UsbBus::open(std::move(bus));
    if (!configuration.station.training) {
      IMPRINT_TRY(bus_, std::move(usb));
      return {};
    }
    auto in_process =
        std::make_unique<virtual_device::VirtualBus>(virtual_device::IdleRule::wait_for_deadline, recorder_->tap());
    virtual_bus_ = in_process.get();
    // Training goes on without: most of it is with devices in the process.
    if (!usb) journal_.log(Level::warning, "simulated devices on USB are not taken", usb.error());
    auto training = std::make_unique<station::training::TrainingBus>(
        std::move(in_process), usb ? std::unique_ptr<devices::DeviceBus>(std::move(*usb)) : nullptr);
    training_bus_ = training.get();
    bus_ = std::move(training);
    return {};
  }

  core::Result<std::unique_ptr<station::line::Line>> open_line(Configuration configuration) {
    station::line::LineParts parts{.records = *records_,
                                   .bus = *bus_,
                                   .clock = clock_,
                                   .events = *events_,
                                   .images = *images_,
                                   .recorder = recorder_.get()};
    parts.at_work = [this] { return sign_ins_->at_work(); };
    parts.on_attempt = [this](const station::AttemptResult& result) {
      metrics_.count(result);
      log_attempt(result);
    };
    return station::line::Line::open(std::move(parts), std::move(configuration));
  }

  // The configuration was compared as it is written; a link may lead to the records all the same.
  std::vector<fs::path> open_folders(const StationFile& station) {
    auto folders = station.job_folders;
    for (const fs::path& astray : station::config::job_folders_that_lead_astray(station)) {
      journal_.log(Level::error, "clients get nothing of " + astray.native() + ": it leads to the station's own files");
      std::erase(folders, astray);
    }
    return folders;
  }

  core::Status open_job_folders(const StationFile& station) {
    // Jobs of training have numbers of their own, from records of their own.
    const fs::path root = station.training ? station.jobs / "training" : station.jobs;
    auto folders = station::jobs::JobFolders::open(root, station.jobs_kept, [this](const core::Error& error) {
      journal_.log(Level::error, "the folder of a job that has ended cannot be removed", error);
    });
    if (!folders) return std::unexpected(std::move(folders).error());
    job_folders_.emplace(std::move(*folders));
    return {};
  }

  core::Status open_jobs(const StationFile& station) {
    station::jobs::ProcessLimits limits;
    limits.memory_bytes = station.job_memory;
    limits.file_bytes = station.job_disk;
    limits.folder_bytes = station.job_disk;
    limits.reserve_bytes = station.job_reserve;
    limits.wall = station.job_time;
    limits.cpu = std::chrono::ceil<std::chrono::seconds>(station.job_time);
    job_site_.emplace(station::jobs::program_beside_this(), *job_folders_, limits, open_folders(station));
    IMPRINT_TRY(jobs_, station::jobs::JobQueue::open(*records_, *events_, clock_,
                                                     {.queued = station.jobs_queued,
                                                      .flash = station.jobs_flash,
                                                      .inspect = station.jobs_inspect,
                                                      .build = station.jobs_build}));
    return {};
  }

  void make_bench(const StationFile& station) {
    if (virtual_bus_ == nullptr) return;
    bench_.emplace(
        *virtual_bus_, [this](const std::string& slot) { return line_->ports_of(slot); },
        [this]() -> std::optional<station::training::DeviceNeeds> {
          const auto image = line_->armed_image();
          if (!image || image->image().platform_ids().empty() || image->image().manifest.stores.empty())
            return std::nullopt;
          const auto& store = image->image().manifest.stores.front();
          return station::training::DeviceNeeds{image->image().platform_ids().front(), store.min_disk_bytes(),
                                                store.sector_size};
        },
        station.scratch, [this](const devices::PortPath& port) { return training_bus_->is_on_usb(port); });
  }

  core::Result<service::Listener> listener(const char* name, const fs::path& path) {
    if (const auto fd = manager_.take_socket(name)) return service::Listener::adopt(*fd);
    IMPRINT_CHECK(make_folder(path.parent_path()));
    return service::Listener::bind(path, kGroup);
  }

  core::Status serve(const StationFile& station) {
    IMPRINT_TRY(auto socket, listener("api", station.api_socket));
    std::optional<service::Listener> metrics;
    if (const auto fd = manager_.take_socket("metrics")) {
      metrics.emplace(service::Listener::adopt(*fd));
    } else if (!station.metrics_socket.empty()) {
      IMPRINT_TRY(auto made, listener("metrics", station.metrics_socket));
      metrics.emplace(std::move(made));
    }
    const station::methods::Api api(parts());
    service::Server server(
        std::move(socket), std::move(metrics), *events_, [&api](const service::Peer& peer) { return api.begin(peer); },
        [this] { return metrics_text(); }, limits_of(station));
    const Serving serving(*this, server);
    server.every(kTick, [this] {
      line_->tick();
      sign_ins_->end_idle();
    });
    server.every(kTick, [this] { jobs_->write_late_ends(); });
    // At once, and not before the station is ready: a token may take long to answer.
    server.every(kTick, [this, next = std::chrono::steady_clock::time_point()]() mutable {
      if (std::chrono::steady_clock::now() < next) return;
      key_.look();
      next = std::chrono::steady_clock::now() + kKeyLook;
    });
    if (const auto period = ServiceManager::watchdog()) watch(server, *period);
    // These return at once, and have to get through where threads stand still.
    for (const int signal : {SIGTERM, SIGINT}) {
      server.on_signal(signal, [this] { stop(); }, service::Server::Runs::in_the_loop);
    }
    server.on_signal(SIGHUP, [this] { reload(); });
    {
      Housekeeping housekeeping(*records_, records_file_, station, clock_, journal_);
      housekeeping.start();
      journal_.log(Level::notice, "the station is ready",
                   {{"STATION", station.id}, {"TRAINING", station.training ? "yes" : "no"}});
      manager_.ready(status_text());
      server.run();
    }
    journal_.log(Level::notice, "the station has stopped");
    return {};
  }

  // The server, for those that need it while it lives; whoever stops it has ended when it goes.
  class Serving {
   public:
    Serving(Daemon& daemon, service::Server& server) : daemon_(daemon) { daemon_.server_ = &server; }
    ~Serving() {
      if (daemon_.stopper_.joinable()) daemon_.stopper_.join();
      daemon_.server_ = nullptr;
    }
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;

   private:
    Daemon& daemon_;
  };

  static service::ServerLimits limits_of(const StationFile& station) {
    return {.clients = station.max_clients,
            .clients_per_user = std::max(1U, station.max_clients / 2),
            .request_bytes = static_cast<std::size_t>(station.max_request)};
  }

  // The loop says that it is alive, and that somebody still gets the line's lock; if that were held for ever, the
  // service manager would start the station anew. Records that are busy for long hold up neither.
  void watch(service::Server& server, std::chrono::milliseconds period) {
    beat_ = std::chrono::steady_clock::now();
    server.every(period / 6, [this] {
      static_cast<void>(line_->running());
      beat_ = std::chrono::steady_clock::now();
    });
    server.every(
        period / 3,
        [this, period] {
          if (std::chrono::steady_clock::now() - beat_.load() < period) manager_.alive();
        },
        service::Server::Runs::in_the_loop);
  }

  std::string status_text() const { return line_->configuration()->station.training ? "Ready, for TRAINING" : "Ready"; }

  station::methods::StationParts parts() {
    return {.line = *line_,
            .sign_ins = *sign_ins_,
            .records = *records_,
            .images = *images_,
            .events = *events_,
            .jobs = *jobs_,
            .job_site = *job_site_,
            .clock = clock_,
            .records_file = records_file_,
            .load_configuration = [this] { return load(options_); },
            .on_reload = [this] { refresh_disk_rules(); },
            .sign_head = key_.signer(),
            .key_state = [this] { return key_.state(); },
            .training = bench_ ? &*bench_ : nullptr,
            .look_at_ports = [this](station::SlotMap slots) { return look_at_ports(std::move(slots)); },
            .stop = [this] { stop(); },
            .stopping = stopping_.get_token()};
  }

  station::ports::PortView look_at_ports(station::SlotMap slots) const {
    auto view = station::ports::look_at_usb(std::move(slots));
    if (virtual_bus_ == nullptr) return view;
    std::vector<station::ports::SimulatedPort> simulated;
    for (const devices::PortPath& port : virtual_bus_->occupied())
      if (auto identity = virtual_bus_->identify(port)) simulated.push_back({port, std::move(*identity)});
    station::ports::add_simulated(view, simulated);
    return view;
  }

  void refresh_disk_rules() {
    if (const auto map = station::SlotMap::load(line_->configuration()->slot_folders)) disk_rules_.set(*map);
  }

  // From any thread; once.
  void stop() {
    if (stop_asked_.exchange(true)) return;
    manager_.stopping();
    journal_.log(Level::notice, "stopping");
    stopping_.request_stop();
    stopper_ = std::thread([this] {
      // At the same time: while one is waited for, the other begins nothing new.
      std::thread jobs([this] { jobs_->stop(kJobPatience); });
      line_->stop(kStopPatience);
      jobs.join();
      // The server waits for who waits for a token.
      key_.stop();
      server_->stop();
    });
  }

  void reload() {
    manager_.reloading();
    auto configuration = load(options_);
    core::Status done = configuration ? line_->reload(std::move(*configuration))
                                      : core::Status(std::unexpected(std::move(configuration).error()));
    if (done) {
      refresh_disk_rules();
      journal_.log(Level::notice, "products and slots were reloaded");
    } else {
      journal_.log(Level::error, "products and slots stay as they were", done.error());
    }
    // Whoever may send a signal here is the machine's, not the station's: nobody is signed in.
    const auto noted = db::Audit(*records_).add({.from = "SIGHUP",
                                                 .action = "products.reload",
                                                 .outcome = done ? db::AuditOutcome::done : db::AuditOutcome::failed,
                                                 .error_id = done ? std::string() : std::string(done.error().id())});
    if (!noted) journal_.log(Level::error, "the reload is not in the audit", noted.error());
    manager_.ready(status_text());
  }

  void log_attempt(const station::AttemptResult& result) {
    const bool passed = result.verdict == db::AttemptVerdict::passed;
    journal_.log(passed ? Level::info : Level::warning, "attempt ended",
                 {{"SLOT", result.slot},
                  {"SERIAL", result.serial},
                  {"VERDICT", std::string(db::to_string(result.verdict))},
                  {"PROOF", std::string(db::to_string(result.proof))},
                  {"ERROR", result.error ? std::string(result.error->id()) : std::string()},
                  {"ATTEMPT", result.id ? std::to_string(*result.id) : std::string()},
                  {"DETAIL", result.error ? result.error->message() : result.note}});
  }

  std::string metrics_text() const {
    const auto configuration = line_->configuration();
    Metrics::Now now;
    now.slots = line_->slots();
    now.armed = line_->is_armed();
    now.training = configuration->station.training;
    now.clients = server_->clients();
    now.events = events_->next() - 1;
    now.station = configuration->station.id;
    now.version = station::kVersion;
    now.seconds_up = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
    return metrics_.text(now);
  }

  DaemonOptions options_;
  std::chrono::steady_clock::time_point started_;
  Journal journal_;
  ServiceManager manager_;
  core::SystemClock clock_;
  Metrics metrics_;
  DiskRules disk_rules_;
  fs::path records_file_;
  std::stop_source stopping_;
  std::atomic<bool> stop_asked_ = false;
  std::atomic<std::chrono::steady_clock::time_point> beat_{};  // when the line's lock was last had
  std::unique_ptr<db::Records> records_;
  std::unique_ptr<station::images::ImageStore> images_;
  std::unique_ptr<capture::Recorder> recorder_;
  std::unique_ptr<devices::DeviceBus> bus_;
  station::training::TrainingBus* training_bus_ = nullptr;  // bus_, where it is one
  virtual_device::VirtualBus* virtual_bus_ = nullptr;       // of it
  std::optional<api::EventLog> events_;
  std::optional<station::line::SignIns> sign_ins_;
  std::unique_ptr<station::line::Line> line_;
  StationKey key_{journal_};
  std::optional<station::training::TrainingBench> bench_;
  std::optional<station::jobs::JobFolders> job_folders_;
  std::optional<station::jobs::JobSite> job_site_;
  std::unique_ptr<station::jobs::JobQueue> jobs_;
  service::Server* server_ = nullptr;
  std::thread stopper_;
};

}  // namespace

core::Status run_daemon(const DaemonOptions& options) {
  bool hangs = false;
  core::Status done;
  {
    Daemon daemon(options);
    done = daemon.run();
    hangs = daemon.key_hangs();
  }
  // With a driver that does not come back the process would not end either: what it locked is asked for at the exit.
  if (done && hangs) ::_exit(0);
  return done;
}

}  // namespace imprint::daemon
