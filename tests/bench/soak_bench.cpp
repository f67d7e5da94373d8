// SPDX-License-Identifier: GPL-3.0-or-later
// A line that is used for long: 500 cycles of 16 simulated devices, every third with a fault, and what has grown since
// it was warm. An argument is another number of cycles.
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>

#include "db/chain.hpp"
#include "devices/virtual/virtual_bus.hpp"
#include "flash/core/guid.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/trust/signing.hpp"
#include "report.hpp"
#include "station/line/line.hpp"
#include "station/training/training_bench.hpp"
#include "surroundings.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace {

using namespace imprint;
namespace fs = std::filesystem;

constexpr int kSlots = 16;
constexpr int kWarm = 50;  // cycles
constexpr std::chrono::minutes kCycleLimit{2};
constexpr std::chrono::milliseconds kLook{5};

struct Figures {
  double resident_mib = 0;
  std::size_t descriptors = 0;
  std::size_t threads = 0;
};

Figures look() {
  Figures figures;
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) figures.resident_mib = std::stod(line.substr(6)) / 1024;
    if (line.starts_with("Threads:")) figures.threads = std::stoul(line.substr(8));
  }
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++figures.descriptors;
  }
  return figures;
}

struct Counts {
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t other = 0;
};

class Soak {
 public:
  explicit Soak(const fs::path& folder) : folder_(folder) {
    image_.descriptors = fixture::simple_descriptors(24);
    fs::create_directories(folder / "slots.d");
    fs::create_directories(folder / "products");
    std::string slots;
    for (int slot = 1; slot <= kSlots; ++slot)
      slots += "A" + std::to_string(slot) + " = 1-1." + std::to_string(slot) + "\n";
    std::ofstream(folder / "slots.d/slots.conf") << slots;
    std::ofstream(folder / "station.toml") << "[station]\nid = \"soak\"\ntraining = true\npolicy = \"none\"\n";
    admit();
    std::ofstream(folder / "products/lamp.toml")
        << "product = \"lamp\"\n[image]\npolicy = \"none\"\ndigest = \"" << digest_
        << "\"\n[serial]\nsource = \"device\"\n[flash]\nreboot-time = \"0 ms\"\nafter-pass = \"nothing\"\n"
           "[quarantine]\nunit-failures = 0\nslot-failures-in-a-row = 0\n";
    records_ = bench::must(db::Records::open(folder / "training.db", clock_));
    auto configuration = bench::must(station::config::load_configuration({folder}));
    if (!configuration.complaints.empty()) bench::stop(configuration.complaints.front().to_line());
    station::line::LineParts parts{
        .records = *records_, .bus = bus_, .clock = clock_, .events = events_, .images = *store_};
    parts.on_attempt = [this](const station::AttemptResult& result) { count(result); };
    line_ = bench::must(station::line::Line::open(std::move(parts), std::move(configuration)));
    bench::must(line_->arm("lamp", "", {}));
  }

  void cycle(int number, std::mt19937& random) {
    for (int slot = 1; slot <= kSlots; ++slot) {
      station::training::TrainingDevice device;
      device.slot = "A" + std::to_string(slot);
      device.number = static_cast<std::uint64_t>(number * kSlots + slot) % 480 + 1;
      if (random() % 3 == 0) device.faults.push_back(fault(random));
      // Units come round again; all but every eighth are allowed to, so that duplicates are refused, too.
      const std::string serial =
          core::Guid::from_name("imprint training device " + std::to_string(device.number)).to_string();
      if (random() % 8 != 0)
        line_->leaves().give("lamp", serial, {.leave = {.may_have_passed = true, .reason = "soak"}, .by = {}});
      bench::must(plug(device));
    }
    const auto deadline = std::chrono::steady_clock::now() + kCycleLimit;
    const std::size_t due = static_cast<std::size_t>(number + 1) * kSlots;
    // Each attempt's end is told; that its slot is free comes a moment later and is told by nobody.
    while (ended_ < due || line_->running() > 0) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kLook);
      }
      if (std::chrono::steady_clock::now() > deadline) bench::stop("a cycle did not end");
      bench::stop_if_interrupted();
    }
    for (int slot = 1; slot <= kSlots; ++slot) static_cast<void>(bench_.unplug("A" + std::to_string(slot)));
  }

  void check() const {
    const auto report = bench::must(db::Chain(*records_).verify());
    if (report.broken) bench::stop("the chain is broken");
    bench::must(records_->check_integrity());
    if (bench::must(records_->attempts({})).size() != ended_) bench::stop("attempts were lost");
  }
  [[nodiscard]] Counts counts() const { return {passed_, failed_, other_}; }

 private:
  static std::string fault(std::mt19937& random) {
    static constexpr std::array kFaults = {"disconnect", "stall",     "short",     "garbage",
                                           "nack",       "wrong-crc", "bad-sector"};
    const std::string kind = kFaults[random() % kFaults.size()];
    // A disk's sectors; everywhere in the image otherwise.
    const std::uint64_t place = kind == "bad-sector" ? random() % 8192 * 512 : random() % 300000;
    return kind + "@" + std::to_string(place);
  }

  core::Status plug(const station::training::TrainingDevice& device) {
    auto plugged = bench_.plug(device);
    if (!plugged) return std::unexpected(plugged.error());
    return {};
  }

  void count(const station::AttemptResult& result) {
    if (result.verdict == db::AttemptVerdict::passed) {
      ++passed_;
    } else if (result.verdict == db::AttemptVerdict::failed) {
      ++failed_;
    } else {
      ++other_;
    }
    const std::scoped_lock lock(mutex_);
    ++ended_;
    changed_.notify_one();
  }

  void admit() {
    const core::MemorySource plain(fixture::build_image(image_).file);
    const auto opened = bench::must(
        engine::VerifiedImage::open(std::make_shared<core::MemorySource>(bench::must(plain.read(0, plain.size())))));
    const auto catalog = bench::must(trust::build_catalog(opened->image().hash_table, clock_.now()));
    const auto sink = bench::must(core::FileSink::create(folder_ / "image.ffu", 0));
    static_cast<void>(bench::must(ffu::replace_catalog(opened->opened(), plain, catalog, *sink)));
    store_ = bench::must(station::images::ImageStore::open(folder_ / "images"));
    digest_ = bench::must(store_->admit({folder_ / "image.ffu", trust::Policy::none, clock_.now()},
                                        trust::TrustStore::empty(), [](auto, auto, auto) {}, {}))
                  .digest;
  }

  fs::path folder_;
  fixture::ImageOptions image_;
  core::SystemClock clock_;
  std::string digest_;
  std::atomic<std::size_t> passed_ = 0;
  std::atomic<std::size_t> failed_ = 0;
  std::atomic<std::size_t> other_ = 0;
  std::atomic<std::size_t> ended_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  virtual_device::VirtualBus bus_{virtual_device::IdleRule::no_reply_will_come};
  api::EventLog events_{clock_, "soak"};
  std::unique_ptr<station::images::ImageStore> store_;
  std::unique_ptr<db::Records> records_;
  std::unique_ptr<station::line::Line> line_;
  station::training::TrainingBench bench_{
      bus_, [this](const std::string& slot) { return line_->ports_of(slot); },
      [this] { return std::optional(station::training::DeviceNeeds{image_.platform_id, image_.disk_size, 512}); },
      folder_};
};

double grown(std::size_t warm, std::size_t end) { return static_cast<double>(end) - static_cast<double>(warm); }

void measure(int cycles) {
  const fixture::ScratchFolder folder;
  std::mt19937 random(20261121);
  Soak soak(folder.path());
  const auto start = std::chrono::steady_clock::now();
  Figures warm;
  for (int number = 0; number < cycles; ++number) {
    soak.cycle(number, random);
    if (number + 1 == std::min(kWarm, cycles)) warm = look();
  }
  const Figures end = look();
  soak.check();
  bench::Report report("soak");
  report.count("cycles", static_cast<std::uint64_t>(cycles));
  report.count("slots", kSlots);
  report.number("seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  report.count("attempts_passed", soak.counts().passed);
  report.count("attempts_failed", soak.counts().failed);
  report.count("attempts_refused_or_aborted", soak.counts().other);
  report.number("resident_MiB_warm", warm.resident_mib);
  report.number("resident_MiB_end", end.resident_mib);
  report.number("resident_MiB_grown", end.resident_mib - warm.resident_mib, bench::at_most(4));
  report.count("descriptors_warm", warm.descriptors);
  report.count("descriptors_end", end.descriptors);
  report.number("descriptors_grown", grown(warm.descriptors, end.descriptors), bench::at_most(0));
  report.count("threads_warm", warm.threads);
  report.count("threads_end", end.threads);
  report.number("threads_grown", grown(warm.threads, end.threads), bench::at_most(0));
  report.print();
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_as_program([&] { measure(argc > 1 ? std::max(1, std::atoi(argv[1])) : 500); });
}
