// SPDX-License-Identifier: GPL-3.0-or-later
// How well many devices are flashed at once: 1, 2, 4, 8 and 16 virtual devices, each at the end of a link of 30 MB/s,
// through the station's Session with records of their own. Each figure is a median of rounds in which the numbers of
// devices take turns. JSON on standard output, a table on standard error. Exit status 4: something that it needs is not
// there.
//
// The virtual devices run in this process and on its cores: their work (CRC, copies, writes into memory) is in the CPU
// time. They trust the image, and their disks lie in memory and were written before, so that they cost little.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "db/records.hpp"
#include "devices/capture/recorder.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/ufp_device.hpp"
#include "devices/virtual/virtual_bus.hpp"
#include "ffu_files.hpp"
#include "measured_process.hpp"
#include "report.hpp"
#include "station/session.hpp"
#include "surroundings.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace {

using namespace imprint;
using bench::must;
using bench::stop;
using virtual_device::VirtualBus;
using virtual_device::VirtualDevice;
using virtual_device::VirtualStorage;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 3;
constexpr unsigned kCounts[] = {1, 2, 4, 8, 16};
constexpr unsigned kMost = 16;
constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kDiskBytes = 96 * kMiB;  // more than the engine keeps in memory of an image
constexpr std::uint64_t kBytesPerSecond = 30'000'000;
constexpr std::chrono::minutes kLimit{5};  // of one run
// This program again, which then flashes once and is watched.
constexpr std::string_view kFlashOnce = "--flash-once";

struct Series {
  const char* name;
  bool is_ufp;
  bool read_back;
};
constexpr Series kSeries[] = {{"simple_io", false, false}, {"ufp", true, false}, {"simple_io_read_back", false, true}};

struct Run {
  double seconds = 0;      // from the start of the session until the last device has passed
  double cpu_seconds = 0;  // of this process meanwhile
  double slowest_write = 0;
};

double cpu_seconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) stop("the time of this process cannot be asked for");
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

// The station with one image, and disks for devices.
class Line {
 public:
  Line(fs::path folder, fs::path image, unsigned disks) : folder_(std::move(folder)), image_(std::move(image)) {
    for (unsigned i = 0; i < disks; ++i) storages_.push_back(must(VirtualStorage::create(folder_, kDiskBytes)));
  }

  [[nodiscard]] Run flash(const Series& series, unsigned count) {
    const fixture::ScratchFolder scratch(folder_);
    const core::SystemClock clock;
    const auto records = must(db::Records::open(scratch / "training.db", clock));
    const auto recorder = must(capture::Recorder::open({.kept_folder = scratch / "kept", .program = "imprint bench"}));
    VirtualBus bus(virtual_device::IdleRule::wait_for_deadline, recorder->tap());
    station::SessionConfig config;
    config.recorder = recorder.get();
    config.image = must(
        station::arm_image(image_, trust::Policy::none, trust::TrustStore::empty(), clock.now(), [](auto, auto) {}));
    config.recipe.product = "benchmark";
    config.recipe.policy = trust::Policy::none;
    using ReadBack = engine::FlashPolicy::ReadBack;
    config.recipe.flash.read_back = series.read_back ? ReadBack::required : ReadBack::off;
    config.scratch = scratch.path();
    config.training = true;
    for (unsigned number = 1; number <= count; ++number) {
      must(bus.plug(VirtualBus::port(number), device(series, number)));
      config.slots.push_back({std::to_string(number), VirtualBus::port(number)});
    }
    Run run;
    const double cpu_before = cpu_seconds();
    const auto start = Clock::now();
    const auto session = must(station::Session::start(std::move(config), bus, *records, clock));
    for (unsigned i = 0; i < count; ++i) run.slowest_write = std::max(run.slowest_write, finish_one(*session));
    run.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    run.cpu_seconds = cpu_seconds() - cpu_before;
    return run;
  }

  [[nodiscard]] std::uint64_t image_bytes() const { return fs::file_size(image_); }

 private:
  [[nodiscard]] std::shared_ptr<VirtualDevice> device(const Series& series, unsigned number) const {
    const auto fill_in = [&](auto options) {
      options.platform_id = "Imprint.Bench.Board.1";
      options.serial = core::Guid::from_name(fmt::format("bench serial {}", number));
      options.unique_id = core::Guid::from_name(fmt::format("bench board {}", number));
      options.disk_size = kDiskBytes;
      options.bytes_per_second = kBytesPerSecond;
      options.trusts_image = true;
      return options;
    };
    const auto& storage = storages_.at(number - 1);
    if (series.is_ufp)
      return must(virtual_device::VirtualUfpDevice::create(fill_in(virtual_device::UfpOptions{}), storage));
    return must(virtual_device::VirtualSimpleIoDevice::create(fill_in(virtual_device::DeviceOptions{}), storage));
  }

  // How long its write took.
  static double finish_one(station::Session& session) {
    const auto deadline = core::Deadline::after(kLimit);
    for (;;) {
      auto result = session.next_finished(core::Deadline::after(std::chrono::seconds(1)));
      bench::stop_if_interrupted();
      if (!result && deadline.passed()) stop("a device did not finish");
      if (!result) continue;
      if (result->verdict != db::AttemptVerdict::passed)
        stop("a device did not pass: " + (result->error ? result->error->message() : result->note));
      return std::chrono::duration<double>(result->write_time).count();
    }
  }

  fs::path folder_;
  fs::path image_;
  std::vector<std::shared_ptr<VirtualStorage>> storages_;
};

class UsbBench {
 public:
  explicit UsbBench(const fs::path& parent) : folder_(parent) {}

  void run_all() {
    must(bench::make_image({.disk_bytes = kDiskBytes}, image_));
    report_.text("cpu", bench::cpu_says("model name"));
    report_.count("cores", std::max(1U, std::thread::hardware_concurrency()));
    report_.count("rounds_for_each_median", kRounds);
    report_.count("image_bytes", fs::file_size(image_));
    report_.count("link_bytes_per_second", kBytesPerSecond);
    report_.text("cpu_seconds_include", "the virtual devices");
    fmt::print(stderr, "{:<20} {:>7} {:>9} {:>7} {:>8} {:>10} {:>9}\n", "Series", "Devices", "Seconds", "Ratio", "MB/s",
               "CPU s/GB", "MiB/slot");
    for (const Series& series : kSeries) measure(series);
    fmt::print(stderr, "\n");
    report_.print();
  }

 private:
  void measure(const Series& series) {
    const std::map<unsigned, std::vector<Run>> runs = take_turns(series);
    const double alone = median_of(runs.at(1), &Run::seconds);
    const double alone_MiB = peak_MiB(series, 1);
    for (const unsigned count : kCounts) {
      const std::string key = fmt::format("{}_{}_devices", series.name, count);
      const std::uint64_t bytes = count * fs::file_size(image_);
      const double seconds = median_of(runs.at(count), &Run::seconds);
      const double per_gigabyte = median_of(runs.at(count), &Run::cpu_seconds) / gigabytes(bytes);
      report_.rate(key, bytes, seconds);
      report_.number(key + "_slowest_write_seconds", median_of(runs.at(count), &Run::slowest_write));
      report_.number(key + "_cpu_seconds_per_GB", per_gigabyte);
      std::string memory = "-";
      if (count > 1) {
        report_.number(key + "_to_1_ratio", seconds / alone, goal_of(count));
        const double a_slot = (peak_MiB(series, count) - alone_MiB) / (count - 1);
        report_.number(key + "_MiB_per_further_slot", a_slot, bench::at_most(2));
        memory = fmt::format("{:.2f}", a_slot);
      }
      fmt::print(stderr, "{:<20} {:>7} {:>9.3f} {:>7.3f} {:>8.1f} {:>10.3f} {:>9}\n", series.name, count, seconds,
                 seconds / alone, gigabytes(bytes) * 1000 / seconds, per_gigabyte, memory);
    }
  }

  [[nodiscard]] std::map<unsigned, std::vector<Run>> take_turns(const Series& series) {
    Line line(folder_.path(), image_, kMost);
    static_cast<void>(line.flash(series, kMost));  // the disks have their memory from now on
    std::map<unsigned, std::vector<Run>> runs;
    for (int round = 0; round < kRounds; ++round) {
      for (const unsigned count : kCounts) runs[count].push_back(line.flash(series, count));
    }
    return runs;
  }

  static double median_of(const std::vector<Run>& runs, double Run::* figure) {
    std::vector<double> values;
    values.reserve(runs.size());
    for (const Run& run : runs) values.push_back(run.*figure);
    return bench::median(std::move(values));
  }

  static std::optional<bench::Goal> goal_of(unsigned count) {
    if (count == 8) return bench::at_most(1.05);
    if (count == 16) return bench::at_most(1.10);
    return std::nullopt;
  }

  // In a process of its own, since what was freed before may hide what is needed.
  [[nodiscard]] double peak_MiB(const Series& series, unsigned count) const {
    const auto measured =
        bench::run_measured({.arguments = {bench::this_program(), std::string(kFlashOnce), series.name,
                                           std::to_string(count), image_, folder_.path()},
                             .watch_memory = true});
    bench::stop_if_interrupted();
    if (!measured) stop("the memory of a run could not be measured");
    return measured->peak_anonymous_MiB;
  }

  fixture::ScratchFolder folder_;
  std::string image_ = folder_.file("image.ffu");
  bench::Report report_{"usb"};
};

void flash_once(const std::vector<std::string>& arguments) {
  const auto series = std::ranges::find(kSeries, arguments.at(0), &Series::name);
  if (series == std::end(kSeries)) stop("there is no such series");
  const auto count = static_cast<unsigned>(std::stoul(arguments.at(1)));
  static_cast<void>(Line(arguments.at(3), arguments.at(2), count).flash(*series, count));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  return bench::run_as_program([&] {
    if (!arguments.empty() && arguments.front() == kFlashOnce) {
      arguments.erase(arguments.begin());
      return flash_once(arguments);
    }
    // The image and the disks, those of the process that is watched, and as much again for what others need.
    UsbBench(bench::folder_with(4 * kMost * kDiskBytes)).run_all();
  });
}
