// SPDX-License-Identifier: GPL-3.0-or-later
// What a station is to be quick at, part by part. JSON on standard output, tables on standard error. Exit status 4:
// something that it needs is not there (root, loop devices, room on the disk).
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "block_targets.hpp"
#include "report.hpp"
#include "station_daemon.hpp"
#include "station_records.hpp"
#include "surroundings.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace {

using namespace imprint;

constexpr std::uint64_t kRoom = 20ULL << 30;  // the disks' files and the images

void measure_all() {
  if (geteuid() != 0) bench::stop("loop devices need root");
  // A real disk: what stands behind a loop device on /dev/shm is no device but memory.
  const auto parent = std::filesystem::temp_directory_path();
  if (bench::free_bytes(parent) < kRoom) bench::stop("not enough room in " + parent.string());
  const fixture::ScratchFolder folder(parent);
  bench::Report report("station");
  report.text("cpu", bench::cpu_says("model name"));
  report.count("cores", std::max(1U, std::thread::hardware_concurrency()));
  const auto million = bench::measure_records(folder.path(), report);
  bench::measure_daemon(folder.path(), report);
  bench::measure_reports(folder.path() / "reports", million, report);
  bench::measure_block_targets(folder.path(), report);
  report.print();
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  return bench::run_as_program([&] {
    if (arguments.empty() || arguments.front() != bench::kWriteDisks) return measure_all();
    arguments.erase(arguments.begin());
    bench::write_disks(arguments);
  });
}
