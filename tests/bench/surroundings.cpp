// SPDX-License-Identifier: GPL-3.0-or-later
// /proc, signals and the ends of a benchmark.
#include "surroundings.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>

namespace imprint::bench {
namespace {

namespace fs = std::filesystem;
volatile std::sig_atomic_t interrupted = 0;

}  // namespace

void stop(std::string why) { throw Stopped{std::move(why)}; }

void stop_if_interrupted() {
  if (interrupted != 0) stop("interrupted");
}

void must(const core::Status& status) {
  if (!status) stop(status.error().message());
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<double> medians_of(int rounds, const std::vector<std::function<double()>>& contenders) {
  std::vector<std::vector<double>> figures(contenders.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) figures[i].push_back(contenders[i]());
  }
  std::vector<double> medians;
  std::ranges::transform(figures, std::back_inserter(medians), median);
  return medians;
}

std::string cpu_says(std::string_view name) {
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with(name) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::uint64_t free_bytes(const fs::path& folder) {
  struct statvfs room{};
  return statvfs(folder.c_str(), &room) == 0 ? std::uint64_t{room.f_bavail} * room.f_frsize : 0;
}

fs::path folder_with(std::uint64_t bytes) {
  for (fs::path folder : {fs::path("/dev/shm"), fs::temp_directory_path()}) {
    if (free_bytes(folder) >= bytes) return folder;
  }
  stop(fmt::format("there are not {} MiB of room in /dev/shm or the folder for temporary files", bytes >> 20));
}

fs::path this_program() { return fs::read_symlink("/proc/self/exe"); }

int run_as_program(const std::function<void()>& benchmark) {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { interrupted = 1; });
  try {
    benchmark();
    return 0;
  } catch (const Stopped& stopped) {
    fmt::print(stderr, "bench: {}\n", stopped.why);
  } catch (const std::exception& problem) {  // the standard library's file functions
    fmt::print(stderr, "bench: {}\n", problem.what());
  }
  return 4;
}

}  // namespace imprint::bench
