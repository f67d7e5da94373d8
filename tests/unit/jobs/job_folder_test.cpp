// SPDX-License-Identifier: GPL-3.0-or-later
// Which folders of jobs stay, and what those of others have to do with a job that ends.
#include "station/jobs/job_folder.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "station/jobs/job_tree.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"
#include "tests/unit/jobs/own_mounts.hpp"

using namespace imprint;
using namespace imprint::station::jobs;
namespace fs = std::filesystem;

namespace {

struct Folders {
  fixture::ScratchFolder scratch;
  std::vector<std::string> told{};
  JobFolders folders;

  explicit Folders(unsigned keep)
      : folders(JobFolders::open(scratch.path(), keep, [this](const core::Error& error) {
                  told.push_back(error.message());
                }).value()) {}

  void begin(db::JobId job) const { REQUIRE(folders.begin(job)); }
  void end(db::JobId job) const {
    REQUIRE(folders.keep_result(job, "{}"));
    REQUIRE(folders.finish(job));
  }
  void run(db::JobId job) const {
    begin(job);
    end(job);
  }
  [[nodiscard]] bool has(db::JobId job) const { return folders.result(job).has_value(); }
};

}  // namespace

TEST_CASE("a job that ends after many with higher numbers keeps its result") {
  const Folders jobs(2);
  jobs.begin(100);
  for (const db::JobId job : {101, 102, 103, 104}) jobs.run(job);
  jobs.end(100);
  CHECK(jobs.has(100));
  CHECK(jobs.has(104));
  CHECK_FALSE(jobs.has(103));
}

TEST_CASE("the results that stay are of those that ended last, though the clock and the numbers went back") {
  const Folders jobs(2);
  jobs.run(9);
  fs::last_write_time(jobs.scratch / "9", fs::file_time_type::clock::now() + std::chrono::hours(24));
  jobs.run(1);
  jobs.run(2);
  CHECK(jobs.has(1));
  CHECK(jobs.has(2));
  CHECK_FALSE(jobs.has(9));
}

TEST_CASE("what a job that runs has taken over so far stays while others end") {
  const Folders jobs(1);
  jobs.begin(1);
  REQUIRE(jobs.folders.keep_result(1, "{}"));
  fs::last_write_time(jobs.scratch / "1", fs::file_time_type::clock::now() - std::chrono::hours(1));
  for (const db::JobId job : {2, 3}) jobs.run(job);
  CHECK(jobs.has(1));
}

TEST_CASE("a number that comes again finds nothing of the job that had it before") {
  const Folders jobs(5);
  jobs.run(5);
  std::ofstream(jobs.scratch / "5/image.ffu") << "of another job";
  jobs.begin(5);
  CHECK_FALSE(fs::exists(jobs.scratch / "5"));
}

TEST_CASE("an old folder that cannot be removed is told once, and fails no other job") {
  const Folders jobs(1);
  jobs.run(1);
  bool mounted = false;
  bool all_good = true;
  std::jthread([&] {
    mounted = test::mount_memory(jobs.scratch / "1", "size=1m");
    if (!mounted) return;
    for (const db::JobId job : {2, 3}) all_good = all_good && jobs.folders.begin(job) && jobs.folders.finish(job);
    all_good = all_good && jobs.folders.begin(4) && jobs.folders.keep_result(4, "{}") && jobs.folders.finish(4);
  }).join();
  if (!mounted) {
    WARN("no right to mount: not tested here");
    return;
  }
  CHECK(all_good);
  REQUIRE(jobs.told.size() == 1);
  CHECK(jobs.told.front().find((jobs.scratch / "1").native()) != std::string::npos);
}

TEST_CASE("two threads that remove the same tree both succeed") {
  for (int turn = 0; turn < 20; ++turn) {
    const fixture::ScratchFolder scratch;
    for (int folder = 0; folder < 20; ++folder) {
      const fs::path place = scratch / "tree" / std::to_string(folder);
      fs::create_directories(place);
      for (int file = 0; file < 10; ++file) std::ofstream(place / std::to_string(file)) << "x";
    }
    core::Status beside;
    std::jthread other([&] { beside = remove_tree(scratch / "tree"); });
    const auto here = remove_tree(scratch / "tree");
    other.join();
    REQUIRE(here);
    REQUIRE(beside);
    CHECK_FALSE(fs::exists(scratch / "tree"));
  }
}
