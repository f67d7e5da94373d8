// SPDX-License-Identifier: GPL-3.0-or-later
// Contenders, one process or one group of processes each, over the same loop devices.
#include "block_targets.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <thread>

#include "devices/protocol/mass_storage.hpp"
#include "ffu_files.hpp"
#include "flash/core/process.hpp"
#include "flash/engine/flash_device.hpp"
#include "loop_disks.hpp"
#include "measured_process.hpp"
#include "surroundings.hpp"

namespace imprint::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::array kCounts{1U, 2U, 4U, 8U, 16U, 32U};
constexpr std::uint64_t kDiskBytes = 512ULL << 20;

// More of those that are over quickly.
int rounds_of(unsigned count) { return count <= 4 ? 5 : 3; }

class Nobody final : public engine::TransferObserver {
 public:
  void on_bytes(std::uint64_t /*done*/) override {}
  void on_device_log(std::string_view /*line*/) override {}
};

devices::MassStorageTarget target_for(const std::string& node) {
  std::string number;
  std::ifstream("/sys/block/" + fs::path(node).filename().string() + "/dev") >> number;
  devices::MassStorageSetup setup;
  setup.find = [node, number]() -> core::Result<devices::FoundDisk> { return devices::FoundDisk{node, number}; };
  setup.serial = "BENCH";
  setup.fixed_allowed = true;
  return devices::MassStorageTarget(std::move(setup));
}

struct Written {
  core::Status done;
  engine::WriteOutcome outcome;
  engine::Starvation starvation;
};

Written write_one(engine::VerifiedImage& image, const std::string& node) {
  Written written;
  const auto work = [&]() -> core::Status {
    devices::MassStorageTarget target = target_for(node);
    IMPRINT_TRY(const auto identity, target.identify());
    const engine::FlashPolicy policy;
    IMPRINT_TRY(const auto plan, engine::plan_for(image, identity, policy));
    Nobody nobody;
    engine::PhaseMeter meter;
    auto done = engine::write_image(target, image, *plan, policy, nobody, meter, {}, written.outcome);
    written.starvation = meter.view().starvation;
    return done;
  };
  written.done = work();
  return written;
}

double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

double cpu_of_children() {
  rusage usage{};
  if (getrusage(RUSAGE_CHILDREN, &usage) != 0) stop("the time of other processes cannot be asked for");
  const auto value = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return value(usage.ru_utime) + value(usage.ru_stime);
}

bool is_installed(const std::string& program) {
  core::SystemProcessRunner programs;
  return programs.run({.arguments = {program, "--version"}, .environment = {}}).has_value();
}

struct Run {
  double seconds = 0;
  double cpu_seconds = 0;
};

class BlockTargets {
 public:
  BlockTargets(const fs::path& folder, Report& report)
      : image_(folder / "image.ffu"), disk_(folder / "disk.img"), bmap_(folder / "disk.bmap"), report_(report) {
    must(make_image({.disk_bytes = kDiskBytes, .half = true}, image_));
    extract();
    contenders_ = {"imprint", "dd", "dd_sparse"};
    if (is_installed("bmaptool")) {
      core::SystemProcessRunner programs;
      must(
          programs.run({.arguments = {"bmaptool", "create", "-o", bmap_.string(), disk_.string()}, .environment = {}}));
      contenders_.emplace_back("bmaptool");
    } else {
      report_.text("bmaptool", "not installed (Debian package bmap-tools), so not measured");
    }
    disks_.emplace(folder, kCounts.back(), kDiskBytes);
  }

  void measure() {
    report_.count("disk_bytes", kDiskBytes);
    report_.text("disks", disks_->is_direct() ? "loop devices over files, direct I/O"
                                              : "loop devices over files, through the page cache");
    report_.text("cpu_seconds_exclude", "the kernel's threads of the loop devices");
    fmt::print(stderr, "{:<10} {:>5} {:>9} {:>9} {:>12} {:>12}\n", "Contender", "Disks", "Seconds", "CPU s",
               "Ours/its s", "Ours/its CPU");
    for (const unsigned count : kCounts) compare(count);
    measure_memory();
    fmt::print(stderr, "\n");
  }

 private:
  // What the image says as a file with holes, by which the others write.
  void extract() {
    const std::shared_ptr<const core::BlockSource> file = must(core::FileSource::open(image_));
    const auto image = must(engine::VerifiedImage::open(file));
    const auto map = must(ffu::DiskMap::build(image->image().stores.at(0), kDiskBytes));
    const auto out = must(core::FileSink::create(disk_, kDiskBytes));
    core::ByteBuffer bytes;
    for (const ffu::MappedRun& run : map.runs()) {
      bytes.resize(run.length);
      must(image->read_plain(run.plain_offset, bytes));
      must(out->write_at(run.disk_offset, bytes));
    }
    must(out->flush());
    report_.count("described_bytes", map.described_bytes());
  }

  [[nodiscard]] std::vector<std::string> command(const std::string& contender, unsigned count) const {
    const std::vector<std::string> nodes(disks_->nodes().begin(), disks_->nodes().begin() + count);
    std::vector<std::string> out;
    if (contender == "imprint") {
      out = {this_program(), std::string(kWriteDisks), image_.string()};
      out.insert(out.end(), nodes.begin(), nodes.end());
      return out;
    }
    std::string one = fmt::format("dd if={} of=\"$node\" bs=4M oflag=direct", disk_.string());
    if (contender == "dd_sparse") one += " conv=sparse";
    if (contender == "bmaptool")
      one = fmt::format("bmaptool -q copy --bmap {} {} \"$node\"", bmap_.string(), disk_.string());
    out = {"sh", "-c", "for node do " + one + " & all=\"$all $!\"; done; for p in $all; do wait $p || exit 1; done",
           "sh"};
    out.insert(out.end(), nodes.begin(), nodes.end());
    return out;
  }

  [[nodiscard]] Run run(const std::string& contender, unsigned count) const {
    const double before = cpu_of_children();
    const auto measured = run_measured({.arguments = command(contender, count)});
    stop_if_interrupted();
    if (!measured) stop(contender + " did not write the disks");
    return {measured->seconds, cpu_of_children() - before};
  }

  void compare(unsigned count) {
    std::map<std::string, std::vector<double>> times;
    std::map<std::string, std::vector<double>> cpu;
    for (int round = 0; round < rounds_of(count); ++round) {
      for (const std::string& contender : contenders_) {
        const Run one = run(contender, count);
        times[contender].push_back(one.seconds);
        cpu[contender].push_back(one.cpu_seconds);
      }
    }
    const double our_time = median(times["imprint"]);
    const double our_cpu = median(cpu["imprint"]);
    for (const std::string& contender : contenders_) {
      const std::string key = fmt::format("{}_{}_disks", contender, count);
      const double time = median(times[contender]);
      const double processor = median(cpu[contender]);
      report_.number(key + "_seconds", time);
      report_.number(key + "_cpu_seconds", processor);
      if (contender != "imprint") {
        report_.number(fmt::format("imprint_to_{}_{}_disks_time_ratio", contender, count), our_time / time, at_most(1));
        report_.number(fmt::format("imprint_to_{}_{}_disks_cpu_ratio", contender, count), our_cpu / processor,
                       count >= 4 ? std::optional(at_most(1)) : std::nullopt);
      }
      fmt::print(stderr, "{:<10} {:>5} {:>9.3f} {:>9.3f} {:>12.3f} {:>12.3f}\n", contender, count, time, processor,
                 our_time / time, our_cpu / processor);
    }
  }

  void measure_memory() {
    std::map<unsigned, double> peaks;
    for (const unsigned count : {1U, 8U, 32U}) {
      const auto measured = run_measured({.arguments = command("imprint", count), .watch_memory = true});
      if (!measured) stop("the memory of a run could not be measured");
      peaks[count] = measured->peak_anonymous_MiB;
      report_.number(fmt::format("imprint_{}_disks_peak_MiB", count), peaks[count]);
    }
    const double a_slot = (peaks[32] - peaks[1]) / 31;
    report_.number("imprint_MiB_per_further_disk", a_slot, at_most(4));
    fmt::print(stderr, "Memory: {:.1f} MiB for 1 disk, {:.1f} for 32, {:.2f} for each further one\n", peaks[1],
               peaks[32], a_slot);
  }

  fs::path image_;
  fs::path disk_;
  fs::path bmap_;
  Report& report_;
  std::vector<std::string> contenders_;
  std::optional<LoopDisks> disks_;
};

}  // namespace

void write_disks(const std::vector<std::string>& arguments) {
  const auto image = must(engine::VerifiedImage::open_watched(must(engine::ImageFile::open(arguments.at(0)))));
  std::vector<Written> written(arguments.size() - 1);
  {
    std::vector<std::jthread> slots;
    slots.reserve(written.size());
    for (std::size_t i = 0; i < written.size(); ++i)
      slots.emplace_back([&, i] { written[i] = write_one(*image, arguments[i + 1]); });
  }
  engine::Starvation all;
  for (const Written& one : written) {
    must(one.done);
    all += one.starvation;
    for (const std::string& note : one.outcome.notes) fmt::print(stderr, "note: {}\n", note);
  }
  const auto units = image->statistics();
  fmt::print(stderr, "waited for source {:.3f} s, hash {:.3f} s, device {:.3f} s; units loaded {}, served {}\n",
             seconds(all.source), seconds(all.hash), seconds(all.device), units.units_loaded, units.units_served);
}

void measure_block_targets(const fs::path& folder, Report& report) { BlockTargets(folder, report).measure(); }

}  // namespace imprint::bench
