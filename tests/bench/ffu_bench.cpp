// SPDX-License-Identifier: GPL-3.0-or-later
// How quick and how small the FFU library is, against openssl and cp on the same cached bytes in the same run. Prints
// one JSON object; each key names its unit. MB are 10^6 bytes. Exit status 4: something that it needs is not there.
#include <fmt/format.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "ffu_files.hpp"
#include "flash/core/sha256_lanes.hpp"
#include "flash/ffu/verify.hpp"
#include "measured_process.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace {

using namespace imprint;
namespace fs = std::filesystem;

constexpr int kRuns = 5;
constexpr unsigned kPinnedCore = 0;
constexpr std::uint64_t kGiB = 1ULL << 30;
// Clears the bit by which OpenSSL sees SHA extensions (CPUID leaf 7, EBX bit 29): like a processor without them.
constexpr const char* kWithoutShaExtensions = ":~0x20000000";

struct Stopped {
  std::string why;
};
// Caught by main, so that the folder with the images is removed on the way.
[[noreturn]] void stop(std::string why) { throw Stopped{std::move(why)}; }

template <class T>
T must(core::Result<T> result) {
  if (!result) stop(result.error().message());
  return std::move(*result);
}
void must(const core::Status& status) {
  if (!status) stop(status.error().message());
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double rate(std::uint64_t bytes, double seconds) { return static_cast<double>(bytes) / 1e6 / seconds; }

// Keys in the order in which they were measured.
class Report {
 public:
  void text(const std::string& key, const std::string& value) { add(key, fmt::format("\"{}\"", value)); }
  void number(const std::string& key, double value) { add(key, fmt::format("{:.4g}", value)); }
  void seconds_and_rate(const std::string& key, std::uint64_t bytes, double seconds) {
    number(key + "_seconds", seconds);
    number(key + "_MB_per_s", rate(bytes, seconds));
  }
  void count(const std::string& key, std::uint64_t value) { add(key, std::to_string(value)); }
  void print() const { fmt::print("{{\n{}\n}}\n", lines_); }

 private:
  void add(const std::string& key, const std::string& value) {
    lines_ += fmt::format("{}  \"{}\": {}", lines_.empty() ? "" : ",\n", key, value);
  }
  std::string lines_;
};

std::string cpu_model() {
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

// This thread on one core while it lives.
class Pinned {
 public:
  Pinned() {
    if (sched_getaffinity(0, sizeof(before_), &before_) != 0) stop("the cores of this process cannot be asked for");
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(kPinnedCore, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0) stop("this process may not be bound to a core");
  }
  ~Pinned() { sched_setaffinity(0, sizeof(before_), &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_{};
};

double run(const bench::MeasuredProcess& process) {
  const auto measured = bench::run_measured(process);
  if (!measured) stop(process.arguments[0] + " is needed for a comparison");
  return measured->seconds;
}

std::uint64_t free_bytes(const fs::path& folder) {
  struct statvfs room{};
  return statvfs(folder.c_str(), &room) == 0 ? std::uint64_t{room.f_bavail} * room.f_frsize : 0;
}

fs::path imprint_program() {
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / "imprint";
  if (!fs::exists(program)) stop(program.string() + " is not built");
  return program;
}

class FfuBench {
 public:
  explicit FfuBench(const fs::path& parent, std::uint64_t size)
      : folder_(parent),
        size_(size),
        imprint_(imprint_program()),
        cores_(std::max(1U, std::thread::hardware_concurrency())) {}

  void run_all() {
    describe_machine();
    measure_sha256_in_memory();
    must(bench::make_image({.disk_bytes = size_}, folder_ / "plain.ffu"));
    measure_verification();
    measure_scaling();
    measure_extraction();
    measure_memory("plain", folder_ / "plain.ffu");
    fs::remove(folder_ / "plain.ffu");
    measure_codecs();
    must(bench::make_image({.disk_bytes = 16 * kGiB, .content = bench::Content::zeros}, folder_ / "large.ffu"));
    measure_info();
    measure_memory("16GiB", folder_ / "large.ffu");
    report_.print();
  }

 private:
  void describe_machine() {
    report_.text("cpu", cpu_model());
    report_.count("cores", cores_);
    report_.text("sha256_path_chosen", std::string(core::to_string(core::sha256_path())));
    std::string paths;
    for (const core::Sha256Path path : core::available_sha256_paths())
      paths += (paths.empty() ? "" : " ") + std::string(core::to_string(path));
    report_.text("sha256_paths_available", paths);
    report_.count("runs_for_each_median", kRuns);
    report_.count("image_bytes", size_);
  }

  // 16 chunks of 128 KiB again and again, as verification meets them.
  void measure_sha256_in_memory() {
    const Pinned pinned;
    const core::ByteBuffer bytes(16 * std::size_t{131072}, 0x5A);
    std::vector<core::ByteView> chunks;
    for (std::size_t i = 0; i < 16; ++i) chunks.push_back(core::ByteView(bytes).subspan(i * 131072, 131072));
    std::vector<core::Sha256> digests(chunks.size());
    constexpr int kRounds = 100;
    const auto paths = core::available_sha256_paths();
    std::vector<std::vector<double>> times(paths.size());
    for (int run = 0; run < kRuns; ++run) {
      for (std::size_t i = 0; i < paths.size(); ++i) {
        times[i].push_back(seconds_of([&] {
          for (int round = 0; round < kRounds; ++round) core::sha256_many(paths[i], chunks, digests);
        }));
      }
    }
    for (std::size_t i = 0; i < paths.size(); ++i) {
      report_.number("sha256_many_" + std::string(core::to_string(paths[i])) + "_one_core_MB_per_s",
                     rate(bytes.size() * kRounds, median(times[i])));
    }
  }

  static void verify(const core::BlockSource& file, unsigned threads) {
    const auto opened = must(ffu::open_image(file));
    must(ffu::verify_units(opened, file, threads, {}));
  }

  void measure_verification() {
    const Pinned pinned;
    const auto file = must(core::FileSource::open(folder_ / "plain.ffu"));
    const std::vector<std::string> openssl = {"openssl", "dgst", "-sha256", folder_.file("plain.ffu")};
    std::vector<double> ours;
    std::vector<double> theirs;
    std::vector<double> masked;
    verify(*file, 1);  // once for the caches
    for (int i = 0; i < kRuns; ++i) {
      ours.push_back(seconds_of([&] { verify(*file, 1); }));
      theirs.push_back(run({.arguments = openssl, .environment = {}, .core = kPinnedCore}));
      masked.push_back(run(
          {.arguments = openssl, .environment = {{"OPENSSL_ia32cap", kWithoutShaExtensions}}, .core = kPinnedCore}));
    }
    report_.seconds_and_rate("verify_one_core", file->size(), median(ours));
    report_.seconds_and_rate("openssl_one_core", file->size(), median(theirs));
    report_.seconds_and_rate("openssl_without_sha_extensions_one_core", file->size(), median(masked));
    report_.number("verify_to_openssl_one_core_ratio", median(theirs) / median(ours));
    report_.number("verify_to_openssl_without_sha_extensions_one_core_ratio", median(masked) / median(ours));
  }

  void measure_scaling() {
    const auto file = must(core::FileSource::open(folder_ / "plain.ffu"));
    std::vector<double> one;
    std::vector<double> all;
    for (int i = 0; i < kRuns; ++i) {
      one.push_back(seconds_of([&] { verify(*file, 1); }));
      all.push_back(seconds_of([&] { verify(*file, cores_); }));
    }
    report_.seconds_and_rate("verify_one_thread", file->size(), median(one));
    report_.seconds_and_rate("verify_all_cores", file->size(), median(all));
    report_.number("verify_scaling_ratio", median(one) / median(all) / cores_);
  }

  void measure_extraction() {
    const fs::path disk = folder_ / "disk.img";
    const fs::path copy = folder_ / "copy.img";
    std::vector<double> ours;
    std::vector<double> theirs;
    for (int i = 0; i < kRuns; ++i) {
      fs::remove(disk);
      ours.push_back(run(
          {.arguments = {imprint_, "ffu", "extract", folder_.file("plain.ffu"), disk}, .environment = {}, .core = {}}));
      fs::remove(copy);
      theirs.push_back(run({.arguments = {"cp", disk, copy}, .environment = {}, .core = {}}));
    }
    if (fs::file_size(disk) != size_) stop("the extracted disk has another size than it should");
    fs::remove(disk);
    fs::remove(copy);
    report_.seconds_and_rate("extract", size_, median(ours));
    report_.seconds_and_rate("cp", size_, median(theirs));
    report_.number("extract_to_cp_speed_ratio", median(theirs) / median(ours));
  }

  void measure_memory(const std::string& what, const fs::path& image) {
    const fs::path disk = folder_ / "disk.img";
    const std::pair<std::string, std::vector<std::string>> commands[] = {
        {"verify", {imprint_, "ffu", "verify", image, "--policy", "none"}},
        {"extract", {imprint_, "ffu", "extract", image, disk}}};
    for (const auto& [name, arguments] : commands) {
      const auto measured =
          bench::run_measured({.arguments = arguments, .environment = {}, .core = {}, .watch_memory = true});
      if (!measured) stop("imprint ffu " + name + " failed");
      report_.number(fmt::format("{}_{}_seconds", name, what), measured->seconds);
      report_.number(fmt::format("{}_{}_peak_resident_MiB", name, what), measured->peak_resident_MiB);
      report_.number(fmt::format("{}_{}_peak_anonymous_MiB", name, what), measured->peak_anonymous_MiB);
    }
    fs::remove(disk);
  }

  void measure_codecs() {
    const Pinned pinned;
    const std::uint64_t plain = 128ULL << 20;
    for (const auto codec : {ffu::Compression::none, ffu::Compression::lznt1, ffu::Compression::xpress,
                             ffu::Compression::xpress_huffman}) {
      const fs::path path = folder_ / "packed.ffu";
      must(bench::make_image(
          {.disk_bytes = plain, .content = bench::Content::text, .compressed = true, .compression = codec}, path));
      const auto file = must(core::FileSource::open(path));
      std::vector<double> times;
      for (int i = 0; i < kRuns; ++i) times.push_back(seconds_of([&] { verify(*file, 1); }));
      std::string name = "verify_compressed_" + std::string(ffu::to_string(codec));
      std::ranges::replace(name, '-', '_');
      report_.seconds_and_rate(name + "_one_core", plain, median(times));
      report_.number(name + "_size_ratio", static_cast<double>(file->size()) / static_cast<double>(plain));
      fs::remove(path);
    }
  }

  void measure_info() {
    std::vector<double> times;
    for (int i = 0; i < 20; ++i)
      times.push_back(
          run({.arguments = {imprint_, "ffu", "info", folder_ / "large.ffu"}, .environment = {}, .core = {}}));
    report_.number("info_16GiB_seconds", median(times));
  }

  fixture::ScratchFolder folder_;
  std::uint64_t size_;
  std::string imprint_;
  unsigned cores_;
  Report report_;
};

}  // namespace

int main() {
  try {
    if (!bench::run_measured({.arguments = {"openssl", "version"}, .environment = {}, .core = {}}))
      stop("openssl is not installed");
    for (const fs::path& folder : {fs::path("/dev/shm"), fs::temp_directory_path()}) {
      for (const std::uint64_t size : {kGiB, kGiB / 4}) {
        // The image, its disk and the copy of that, and as much again for what others need.
        if (free_bytes(folder) < 4 * size) continue;
        FfuBench(folder, size).run_all();
        return 0;
      }
    }
    stop("there is not 1 GiB of room in /dev/shm or the folder for temporary files");
  } catch (const Stopped& stopped) {
    fmt::print(stderr, "bench: {}\n", stopped.why);
  } catch (const std::exception& problem) {  // the standard library's file functions
    fmt::print(stderr, "bench: {}\n", problem.what());
  }
  return 4;
}
