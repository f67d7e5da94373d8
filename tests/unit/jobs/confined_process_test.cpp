// SPDX-License-Identifier: GPL-3.0-or-later
// The process of a job does its worst, and the station goes on.
#include "station/jobs/confined_process.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <fstream>
#include <latch>
#include <thread>

#include "station/jobs/confinement.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"
#include "tests/unit/jobs/own_mounts.hpp"

using namespace imprint;
using namespace imprint::station::jobs;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct Place {
  fixture::ScratchFolder scratch;
  fs::path folder = scratch.path() / "job";
  fs::path secret = scratch.path() / "secret";
  fs::path input = scratch.path() / "input";
  ProcessLimits limits;

  Place() {
    fs::create_directory(folder);
    std::ofstream(secret) << "the records";
    std::ofstream(input) << "an image";
    limits.wall = 20s;
  }

  core::Result<ConfinedEnd> run(const std::string& what, const std::string& subject, std::stop_token stop = {},
                                const std::function<void(const JobProgress&)>& progress = {}) const {
    return run_confined({.program = HOSTILE_PROGRAM,
                         .arguments = {what, subject},
                         .inputs = {input},
                         .folder = folder,
                         .limits = limits},
                        stop, progress);
  }
  std::string answer(const std::string& what, const std::string& subject) const {
    const auto end = run(what, subject);
    return end ? end->output : std::string(end.error().id()) + ": " + end.error().message();
  }
};

bool has_landlock() {
  if (landlock_version() > 0) return true;
  WARN("this kernel has no Landlock: what it would keep from happening is not tried");
  return false;
}

std::string id_of(const core::Result<ConfinedEnd>& end) { return end ? "no error" : std::string(end.error().id()); }

// Processes that wrote their numbers as names of files.
std::vector<pid_t> processes_named_in(const fs::path& folder) {
  std::vector<pid_t> out;
  for (const auto& entry : fs::directory_iterator(folder)) out.push_back(std::stoi(entry.path().filename()));
  return out;
}

// A zombie that waits for init is no process any more.
bool runs(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  return std::getline(stat, text) && text.find(") Z") == std::string::npos;
}

// Of this thread and what it starts, as an older unit's SystemCallFilter answers what it does not know.
bool answer_landlock_with(int error) {
  std::array<sock_filter, 4> statements{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 444, 0, 1),
                                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
                                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program{statements.size(), statements.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

constexpr const char* kDenied = "Permission denied\n";
constexpr const char* kNotPermitted = "Operation not permitted\n";

}  // namespace

TEST_CASE("a confined process reads its input, and not a file beside it") {
  const Place place;
  CHECK(place.answer("read", place.input) == "done\n");
  if (has_landlock()) CHECK(place.answer("read", place.secret) == kDenied);
}

TEST_CASE("a confined process writes into its folder and nowhere else") {
  const Place place;
  CHECK(place.answer("write", place.folder / "out") == "done\n");
  if (!has_landlock()) return;
  CHECK(place.answer("write", place.scratch.path() / "elsewhere") == kDenied);
  CHECK(place.answer("write", place.input) == kDenied);
  CHECK(place.answer("unlink", place.secret) == kDenied);
}

TEST_CASE("what Landlock's first versions let through is closed by the filter") {
  const Place place;
  CHECK(place.answer("truncate", place.secret) == kNotPermitted);
  CHECK(place.answer("truncate-reading", place.input) == kDenied);
  CHECK(place.answer("chmod", place.secret) == kNotPermitted);
  CHECK(fs::file_size(place.secret) == 11);
  CHECK(fs::file_size(place.input) == 8);
}

TEST_CASE("calls of later kernels do not do what the filter denies by its older number") {
  const Place place;
  const auto mode = fs::status(place.secret).permissions();
  for (const int call : {451, 452, 463, 466, 467, 469, 600})
    CHECK(place.answer("newer-call", std::to_string(call)) == "Function not implemented\n");
  CHECK(place.answer("fchmodat2", place.secret) == "Function not implemented\n");
  CHECK(fs::status(place.secret).permissions() == mode);
}

TEST_CASE("a confined process gets no socket of any kind") {
  const Place place;
  for (const int family : {AF_UNIX, AF_INET, AF_NETLINK})
    CHECK(place.answer("socket", std::to_string(family)) == kNotPermitted);
}

TEST_CASE("a confined process cannot signal or trace the station") {
  const Place place;
  const std::string station = std::to_string(::getpid());
  CHECK(place.answer("kill", station) == kNotPermitted);
  CHECK(place.answer("ptrace", station) == kNotPermitted);
  CHECK(place.answer("own-signals", station) == kNotPermitted);
}

TEST_CASE("a confined process shares no memory, and leaves no queue or semaphore behind") {
  std::string refused;
  for (int call = 0; call < 6; ++call) refused += kNotPermitted;
  CHECK(Place().answer("share", "-") == refused);
}

TEST_CASE("a confined process holds up nobody by a lease, and asks for no signals about files") {
  const Place place;
  CHECK(place.answer("lease", place.input) == kNotPermitted);
  CHECK(place.answer("watch-folder", place.folder) == kNotPermitted);
}

TEST_CASE("a confined process may signal its own threads, as abort does") {
  const Place place;
  const auto end = place.run("die", "-");
  REQUIRE(id_of(end) == "job.process-died");
  CHECK(end.error().context_value("signal") == "SEGV");
}

TEST_CASE("a confined process inherits nothing but its pipes, and an environment of its own") {
  const Place place;
  REQUIRE(::setenv("IMPRINT_TEST_SECRET", "x", 1) == 0);
  const int open = ::open("/dev/null", O_RDONLY);  // without close-on-exec
  REQUIRE(open >= 0);
  const std::string seen = place.answer("surroundings", "-");
  ::close(open);
  ::unsetenv("IMPRINT_TEST_SECRET");
  CHECK(seen == "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C.UTF-8\nHOME=" + place.folder.native() +
                    "\nTMPDIR=" + place.folder.native() + "\nfd 0\nfd 1\nfd 2\nfd 3\n");
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("memory beyond the limit is refused") {
  Place place;
  place.limits.memory_bytes = 256U << 20;
  CHECK(place.answer("memory", "-") == "Cannot allocate memory\n");
}
#endif

TEST_CASE("a file that grows too large ends the process, and the signal is said") {
  Place place;
  place.limits.file_bytes = 4U << 20;
  const auto end = place.run("fill", place.folder / "large");
  REQUIRE(id_of(end) == "job.process-died");
  CHECK(end.error().context_value("signal") == "XFSZ");
  CHECK(fs::file_size(place.folder / "large") <= 4U << 20);
}

TEST_CASE("a folder that grows too large ends the job") {
  Place place;
  place.limits.folder_bytes = 2U << 20;
  CHECK(id_of(place.run("fill", place.folder / "large")) == "job.output-too-large");
}

TEST_CASE("a job that leaves less of the disk than is reserved ends, also where no name shows what it took") {
  Place place;
  place.limits.reserve_bytes = 4U << 20;
  std::string ended = "not mounted";
  std::jthread([&] {
    if (test::mount_memory(place.folder, "size=32m"))
      ended = id_of(place.run("fill-without-a-name", place.folder / "large"));
  }).join();
  if (ended == "not mounted") {
    WARN("no right to mount: not tested here");
    return;
  }
  CHECK(ended == "job.disk-reserve");
}

TEST_CASE("no job begins where the disk has less than is reserved") {
  Place place;
  CHECK(place.answer("write", place.folder / "out") == "done\n");
  fs::remove(place.folder / "out");
  place.limits.reserve_bytes = UINT64_MAX;
  CHECK(id_of(place.run("write", place.folder / "out")) == "job.disk-reserve");
  CHECK_FALSE(fs::exists(place.folder / "out"));
}

TEST_CASE("CPU time has an end") {
  Place place;
  place.limits.cpu = 1s;
  CHECK(id_of(place.run("spin", "-")) == "job.process-died");
}

TEST_CASE("a process that hangs is killed at its deadline") {
  Place place;
  place.limits.wall = 200ms;
  CHECK(id_of(place.run("hang", "-")) == "job.out-of-time");
}

TEST_CASE("no process is left behind, also not one that wanted a group of its own") {
  Place place;
  place.limits.wall = 1s;
  REQUIRE(id_of(place.run("hang-with-child", "-")) == "job.out-of-time");
  const auto left = processes_named_in(place.folder);
  REQUIRE(left.size() == 2);
  for (const pid_t pid : left) CHECK_FALSE(runs(pid));
}

TEST_CASE("a stop ends the process within a second") {
  const Place place;
  std::stop_source stop;
  std::jthread stopper([&] {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (processes_named_in(place.folder).empty() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    stop.request_stop();
  });
  const auto end = place.run("hang", "-", stop.get_token());
  CHECK(id_of(end) == "job.cancelled");
  REQUIRE(processes_named_in(place.folder).size() == 1);
  CHECK_FALSE(runs(processes_named_in(place.folder).front()));
}

TEST_CASE("progress reaches the caller, the newest of what came together") {
  const Place place;
  JobProgress last;
  const auto end = place.run("tell-once", "{\"done\":1,\"due\":9}\n{\"done\":2,\"due\":9,\"text\":\"reading\"}\n", {},
                             [&](const JobProgress& progress) { last = progress; });
  REQUIRE(end);
  CHECK(last.done == 2);
  CHECK(last.text == "reading");
}

TEST_CASE("garbage on the progress pipe ends the job") {
  const Place place;
  CHECK(id_of(place.run("tell", "not JSON\n")) == "job.progress-malformed");
  CHECK(id_of(place.run("tell", "no line feed at all")) == "job.progress-malformed");
}

TEST_CASE("a flood of good progress neither fills memory nor keeps the deadline from passing") {
  Place place;
  place.limits.wall = 500ms;
  CHECK(id_of(place.run("tell", "{\"done\":1,\"due\":2}\n")) == "job.out-of-time");
}

TEST_CASE("standard output without end ends the job") {
  const Place place;
  CHECK(id_of(place.run("talk", "and on and on")) == "job.output-too-large");
}

TEST_CASE("the last lines of standard error are kept, and only those") {
  const Place place;
  const auto end = place.run("complain", "-");
  REQUIRE(end);
  CHECK(end->status == 7);
  CHECK(end->errors.find("line 9999") != std::string::npos);
  CHECK(end->errors.find("line 1\n") == std::string::npos);
  CHECK(end->errors.size() < 2 * kKeptErrors);
}

TEST_CASE("a process that crashes is an error of its job with the signal's name") {
  const Place place;
  const auto end = place.run("crash", "");
  REQUIRE(id_of(end) == "job.process-died");
  CHECK(end.error().context_value("signal") == "SEGV");
}

TEST_CASE("a link in the place of an input opens nothing") {
  if (!has_landlock()) return;
  Place place;
  fs::remove(place.input);
  fs::create_symlink(place.secret, place.input);
  CHECK(id_of(place.run("read", place.secret)).starts_with("io."));
}

TEST_CASE("no job is run where the station may not ask the kernel for Landlock") {
  const Place place;
  std::string refused;
  std::string without;
  std::jthread([&] {
    refused = answer_landlock_with(EPERM) ? id_of(place.run("read", place.input)) : "no filter";
  }).join();
  std::jthread([&] {
    without = answer_landlock_with(EOPNOTSUPP) ? place.answer("read", place.input) : "no filter";
  }).join();
  CHECK(refused == "job.process-unstartable");
  CHECK(without == "done\n");
}

TEST_CASE("what the station runs itself does not count against the processes of a job") {
  Place place;
  place.limits.processes = 10;
  const auto limit = [&] { return std::stoul(place.answer("process-limit", "-")); };
  const auto alone = limit();
  CHECK(alone >= 11);
  std::latch over(1);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 50; ++i) threads.emplace_back([&] { over.wait(); });
  CHECK(limit() >= 10 + 51);
  over.count_down();
}

TEST_CASE("a program that is not there is said with the step") {
  const Place place;
  const auto end = run_confined({.program = place.folder / "missing", .folder = place.folder}, {}, {});
  REQUIRE(id_of(end) == "job.process-unstartable");
  CHECK(end.error().context_value("what") == "exec");
}
