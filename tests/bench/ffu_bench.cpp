// SPDX-License-Identifier: GPL-3.0-or-later
// How quick and how small the FFU library is, against openssl and cp on the same cached bytes in the same run: ours and
// its peers take turns, and each figure is a median. JSON on standard output, a table on standard error. Exit status 4:
// something that it needs is not there.
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ffu_files.hpp"
#include "flash/core/sha256_lanes.hpp"
#include "flash/ffu/extract.hpp"
#include "measured_process.hpp"
#include "report.hpp"
#include "surroundings.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace {

using namespace imprint;
using bench::cpu_says;
using bench::medians_of;
using bench::must;
using bench::stop;
using bench::this_program;
namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

constexpr int kRounds = 5;
constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr std::uint64_t kChunk = 128ULL << 10;
constexpr std::uint64_t kHashedInMemory = 100 * 16 * kChunk;
// This program again, which then only hashes in memory with OpenSSL.
constexpr std::string_view kHashAlone = "--hash-with-openssl";
// Clears the bit by which OpenSSL sees SHA extensions (CPUID leaf 7, EBX bit 29): like a processor without them.
const std::pair<std::string, std::string> kWithoutShaExtensions = {"OPENSSL_ia32cap", ":~0x20000000"};

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  bench::stop_if_interrupted();
  return took.count();
}

cpu_set_t allowed_cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) stop("the cores of this process cannot be asked for");
  return cores;
}

// The last one: interrupts mostly go to the first.
unsigned quiet_core() {
  const cpu_set_t cores = allowed_cores();
  unsigned last = CPU_SETSIZE - 1;
  while (!CPU_ISSET(last, &cores)) --last;
  return last;
}

// This thread on the quiet core while it lives.
class Pinned {
 public:
  Pinned() : before_(allowed_cores()) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(quiet_core(), &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0) stop("this process may not be bound to a core");
  }
  ~Pinned() { sched_setaffinity(0, sizeof(before_), &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_;
};

bench::Measurement run(const bench::MeasuredProcess& process) {
  const auto measured = bench::run_measured(process);
  bench::stop_if_interrupted();
  if (!measured) stop(process.arguments[0] + " is needed for this");
  return *measured;
}

double allocated_mebibytes(const fs::path& file) {
  struct stat info{};
  if (stat(file.c_str(), &info) != 0) stop(file.string() + " is not there");
  return static_cast<double>(info.st_blocks) * 512 / static_cast<double>(kMiB);
}

fs::path imprint_program() {
  const fs::path program = this_program().parent_path().parent_path() / "bin" / "imprint";
  if (!fs::exists(program)) stop(program.string() + " is not built");
  return program;
}

// 16 chunks of 128 KiB again and again, as verification meets them.
double hash_in_memory(core::Sha256Path path) {
  const core::ByteBuffer bytes(16 * kChunk, 0x5A);
  std::vector<core::ByteView> chunks;
  for (std::size_t i = 0; i < 16; ++i) chunks.push_back(core::ByteView(bytes).subspan(i * kChunk, kChunk));
  std::vector<core::Sha256> digests(chunks.size());
  return seconds_of([&] {
    for (std::uint64_t done = 0; done < kHashedInMemory; done += bytes.size()) core::sha256_many(path, chunks, digests);
  });
}

double verify(const core::BlockSource& file, unsigned threads) {
  return seconds_of([&] {
    const auto opened = must(ffu::open_image(file));
    must(ffu::verify_units(opened, file, threads, {}));
  });
}

double extract(const core::BlockSource& file, const fs::path& disk, std::uint64_t disk_bytes) {
  fs::remove(disk);
  return seconds_of([&] {
    const auto opened = must(ffu::open_image(file));
    const auto map = must(ffu::DiskMap::build(opened.image.stores[0], disk_bytes));
    const auto sink = must(core::FileSink::create(disk, disk_bytes));
    must(ffu::extract_disk(opened, file, map, *sink, 1, {}));
  });
}

class FfuBench {
 public:
  FfuBench(const fs::path& parent, std::uint64_t size)
      : folder_(parent),
        size_(size),
        imprint_(imprint_program()),
        cores_(std::max(1U, std::thread::hardware_concurrency())),
        has_sha_extensions_((" " + cpu_says("flags") + " ").find(" sha_ni ") != std::string::npos) {}

  void run_all() {
    describe_machine();
    measure_sha256_in_memory();
    make({.disk_bytes = size_});
    measure_verification();
    measure_scaling();
    measure_extraction({});
    measure_extraction(quiet_core());
    measure_commands("plain_1GiB");
    measure_codecs();
    for (const std::uint64_t gibibytes : {1, 16}) {
      make({.disk_bytes = gibibytes * kGiB, .content = bench::Content::sparse});
      measure_commands(fmt::format("sparse_{}GiB", gibibytes));
      const double data = static_cast<double>(gibibytes * kGiB / bench::kSparseBlocks) / static_cast<double>(kMiB);
      report_.number(fmt::format("extract_sparse_{}GiB_allocated_MiB", gibibytes), allocated_mebibytes(disk_),
                     bench::at_most(data));
    }
    measure_info();
    report_.print();
  }

 private:
  void make(const bench::ImageToMake& image) {
    fs::remove(disk_);
    must(bench::make_image(image, image_));
    bench::stop_if_interrupted();
  }

  void describe_machine() {
    report_.text("cpu", cpu_says("model name"));
    report_.count("cores", cores_);
    report_.text("cpu_has_sha_extensions", has_sha_extensions_ ? "yes" : "no");
    report_.text("sha256_path_chosen", std::string(core::to_string(core::sha256_path())));
    report_.count("rounds_for_each_median", kRounds);
    report_.count("image_bytes", size_);
  }

  [[nodiscard]] double wanted_of(core::Sha256Path path) const {
    switch (path) {
      case core::Sha256Path::avx512:
        return 6;
      case core::Sha256Path::avx2:
        return 2.2;
      case core::Sha256Path::openssl:
        break;
    }
    return 1;
  }

  void measure_sha256_in_memory() {
    const Pinned pinned;
    const auto paths = core::available_sha256_paths();  // OpenSSL first
    std::vector<std::function<double()>> contenders;
    for (const core::Sha256Path path : paths) contenders.emplace_back([path] { return hash_in_memory(path); });
    if (has_sha_extensions_) {
      contenders.emplace_back([] {
        return run({.arguments = {this_program(), std::string(kHashAlone)}, .environment = {kWithoutShaExtensions}})
            .seconds;
      });
    }
    const auto medians = medians_of(kRounds, contenders);
    const double peer = medians.back();  // only meant where there are SHA extensions
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const std::string key = "sha256_in_memory_" + std::string(core::to_string(paths[i]));
      report_.rate(key, kHashedInMemory, medians[i]);
      if (i == 0) continue;
      report_.number(key + "_to_openssl_ratio", medians[0] / medians[i]);
      if (has_sha_extensions_) report_.number(key + "_to_openssl_without_sha_extensions_ratio", peer / medians[i]);
    }
    if (has_sha_extensions_) report_.rate("sha256_in_memory_openssl_without_sha_extensions", kHashedInMemory, peer);
  }

  void measure_verification() {
    const Pinned pinned;
    const auto file = must(core::FileSource::open(image_));
    const Arguments openssl = {"openssl", "dgst", "-sha256", image_};
    std::vector<std::function<double()>> contenders = {
        [&] { return verify(*file, 1); }, [&] { return run({.arguments = openssl, .core = quiet_core()}).seconds; }};
    if (has_sha_extensions_) {
      contenders.emplace_back([&] {
        return run({.arguments = openssl, .environment = {kWithoutShaExtensions}, .core = quiet_core()}).seconds;
      });
    }
    verify(*file, 1);  // once for the caches
    const auto medians = medians_of(kRounds, contenders);
    const bench::Goal goal = bench::at_least(wanted_of(core::sha256_path()));
    report_.rate("verify_one_core", file->size(), medians[0]);
    report_.rate("openssl_one_core", file->size(), medians[1]);
    report_.number("verify_to_openssl_one_core_ratio", medians[1] / medians[0],
                   has_sha_extensions_ ? bench::at_least(1) : goal);
    if (!has_sha_extensions_) return;
    report_.rate("openssl_without_sha_extensions_one_core", file->size(), medians[2]);
    report_.number("verify_to_openssl_without_sha_extensions_one_core_ratio", medians[2] / medians[0], goal);
  }

  void measure_scaling() {
    const auto file = must(core::FileSource::open(image_));
    std::vector<std::function<double()>> contenders;
    for (unsigned threads = 1; threads <= cores_; ++threads)
      contenders.emplace_back([&file, threads] { return verify(*file, threads); });
    const auto medians = medians_of(kRounds, contenders);
    for (unsigned threads = 1; threads <= cores_; ++threads) {
      const std::string key = fmt::format("verify_{}_threads", threads);
      report_.rate(key, file->size(), medians[threads - 1]);
      if (threads > 1)
        report_.number(key + "_efficiency", medians[0] / medians[threads - 1] / threads, bench::at_least(0.9));
    }
  }

  // cp takes the bytes along within the kernel where it can; dd reads and writes them.
  void measure_extraction(std::optional<unsigned> core) {
    const std::string copy = folder_.file("copy.img");
    const auto time = [&](const Arguments& arguments) {
      fs::remove(arguments.front() == imprint_ ? disk_ : copy);
      return run({.arguments = arguments, .core = core}).seconds;
    };
    const Arguments ours = {imprint_, "ffu", "extract", image_, disk_};
    const auto medians = medians_of(kRounds, {[&] { return time(ours); }, [&] { return time({"cp", disk_, copy}); },
                                              [&] { return time({"dd", "if=" + disk_, "of=" + copy, "bs=1M"}); }});
    if (fs::file_size(disk_) != size_) stop("the extracted disk has another size than it should");
    fs::remove(copy);
    const std::string suffix = core ? "_one_core" : "";
    report_.rate("extract" + suffix, size_, medians[0]);
    report_.rate("cp" + suffix, size_, medians[1]);
    report_.rate("dd" + suffix, size_, medians[2]);
    report_.number("extract_to_cp_speed" + suffix + "_ratio", medians[1] / medians[0],
                   core ? std::nullopt : std::optional(bench::at_least(0.8)));
    report_.number("extract_to_dd_speed" + suffix + "_ratio", medians[2] / medians[0]);
  }

  // Time and memory of the program as its users run it. Leaves the disk.
  void measure_commands(const std::string& image) {
    fs::remove(disk_);
    const std::pair<std::string, Arguments> commands[] = {
        {"verify", {imprint_, "ffu", "verify", image_, "--policy", "none"}},
        {"extract", {imprint_, "ffu", "extract", image_, disk_}}};
    for (const auto& [name, arguments] : commands) {
      const auto measured = run({.arguments = arguments, .watch_memory = true});
      const std::string key = name + "_" + image;
      report_.number(key + "_seconds", measured.seconds);
      report_.number(key + "_peak_resident_MiB", measured.peak_resident_MiB, bench::at_most(64));
      report_.number(key + "_peak_anonymous_MiB", measured.peak_anonymous_MiB);
    }
  }

  void measure_codecs() {
    const Pinned pinned;
    const std::uint64_t plain = 128 * kMiB;
    for (const auto codec : {ffu::Compression::none, ffu::Compression::lznt1, ffu::Compression::xpress,
                             ffu::Compression::xpress_huffman}) {
      make({.disk_bytes = plain, .content = bench::Content::text, .compressed = true, .compression = codec});
      const auto file = must(core::FileSource::open(image_));
      const auto medians =
          medians_of(kRounds, {[&] { return verify(*file, 1); }, [&] { return extract(*file, disk_, plain); }});
      std::string name = std::string(ffu::to_string(codec));
      std::ranges::replace(name, '-', '_');
      report_.rate("verify_compressed_" + name + "_one_core", plain, medians[0]);
      report_.rate("extract_compressed_" + name + "_one_core", plain, medians[1]);
      report_.number("compressed_" + name + "_size_ratio",
                     static_cast<double>(file->size()) / static_cast<double>(plain));
    }
  }

  void measure_info() {
    const auto medians =
        medians_of(kRounds, {[&] { return run({.arguments = {imprint_, "ffu", "info", image_}}).seconds; },
                             [&] { return run({.arguments = {imprint_, "--version"}}).seconds; }});
    report_.number("info_16GiB_seconds", medians[0], bench::at_most(0.05));
    report_.number("imprint_start_seconds", medians[1]);
  }

  fixture::ScratchFolder folder_;
  std::uint64_t size_;
  std::string imprint_;
  unsigned cores_;
  bool has_sha_extensions_;
  std::string image_ = folder_.file("image.ffu");
  std::string disk_ = folder_.file("disk.img");
  bench::Report report_{"ffu"};
};

void run_benchmark() {
  if (!bench::run_measured({.arguments = {"openssl", "version"}})) stop("openssl is not installed");
  // The image, its disk and the copy of that, and as much again for what others need.
  FfuBench(bench::folder_with(4 * kGiB), kGiB).run_all();
}

}  // namespace

int main(int argc, char** argv) {
  const bool only_hash = argc == 2 && argv[1] == kHashAlone;
  return bench::run_as_program([&] {
    if (only_hash) {
      hash_in_memory(core::Sha256Path::openssl);
    } else {
      run_benchmark();
    }
  });
}
