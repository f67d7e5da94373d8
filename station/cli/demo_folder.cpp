// SPDX-License-Identifier: GPL-3.0-or-later
// Marker, lock, clearing, and the way out on a signal.
#include "station/cli/demo_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "flash/core/errors.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = ".imprint-demo";
constexpr const char* kResults[] = {"image.ffu",      "trust",     "station.db", "station.db-wal",
                                    "station.db-shm", "yield.csv", "findings"};

core::Status take_away(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", path.native());
  return {};
}

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR2);  // ends the watcher itself
  return signals;
}

}  // namespace

DemoFolder::DemoFolder(fs::path folder, int lock)
    : folder_(std::move(folder)), scratch_(folder_ / "scratch"), lock_(lock) {}

core::Result<std::unique_ptr<DemoFolder>> DemoFolder::take(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", folder.native());
  const fs::path marker = folder / kMarker;
  const bool empty = fs::is_empty(folder, error);
  if (error) return core::fail_errno(error.value(), "io.read-failed", folder.native());
  if (!empty && !fs::is_regular_file(fs::symlink_status(marker, error))) {
    return fail("demo.folder-in-use").with("folder", folder.native());
  }
  const int lock = ::open(marker.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (lock < 0) return core::fail_errno(errno, "io.write-failed", marker.native());
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return fail("demo.folder-in-use", "a demonstration is running in it").with("folder", folder.native());
  }
  std::unique_ptr<DemoFolder> taken(new DemoFolder(folder, lock));
  IMPRINT_CHECK(taken->clear());
  taken->watch_signals();
  return taken;
}

DemoFolder::~DemoFolder() {
  if (watcher_.joinable()) {
    pthread_kill(watcher_.native_handle(), SIGUSR2);
    watcher_.join();
  }
  remove_unfinished();
  ::close(lock_);
}

core::Status DemoFolder::clear() const {
  remove_unfinished();
  for (const char* name : kResults) IMPRINT_CHECK(take_away(folder_ / name));
  std::error_code error;
  for (const auto& path : {scratch_, folder_ / "trust", folder_ / "findings"}) {
    fs::create_directories(path, error);
    if (error) return core::fail_errno(error.value(), "io.write-failed", path.native());
  }
  return {};
}

// The work may be going on, in threads and other programs: under another name they do not find the folder again, and
// what they put into it while it is emptied takes another turn.
void DemoFolder::remove_unfinished() const {
  constexpr int kMostTurns = 100;
  std::error_code ignored;
  const fs::path aside = folder_ / "scratch.going";
  for (int turn = 0; turn < kMostTurns && (fs::exists(scratch_, ignored) || fs::exists(aside, ignored)); ++turn) {
    fs::remove_all(aside, ignored);
    fs::rename(scratch_, aside, ignored);
    fs::remove_all(aside, ignored);
  }
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    if (entry.path().filename().native().find(".partial-") != std::string::npos) fs::remove(entry.path(), ignored);
  }
}

// In a thread of its own, so that what is taken away may take its time; the signals are blocked everywhere else.
void DemoFolder::watch_signals() {
  const sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  watcher_ = std::jthread([this, signals] {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0 || signal == SIGUSR2) return;
    std::fputs("\nimprint: stopped; the unfinished files are taken away\n", stderr);
    remove_unfinished();
    _exit(128 + signal);
  });
}

core::Result<fs::path> DemoFolder::make_scratch(std::string_view name) const {
  fs::path path = scratch_ / name;
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", path.native());
  return path;
}

}  // namespace imprint::station::cli
