// SPDX-License-Identifier: GPL-3.0-or-later
// Signals taken by a thread of their own.
#include "station/cli/stop_on_signal.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cstdio>

namespace imprint::station::cli {
namespace {

constexpr int kEnd = SIGUSR2;  // tells the watcher that the work is done

// Without those that this program was started to ignore, as nohup does: blocked, they would come all the same.
sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kEnd);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now{};
    if (sigaction(signal, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) sigaddset(&set, signal);
  }
  return set;
}

}  // namespace

StopOnSignal::StopOnSignal(Meaning meaning) : meaning_(meaning) {
  const sigset_t signals = watched_signals();
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
  watcher_ = std::jthread([this] { watch(); });
}

void StopOnSignal::watch() {
  const sigset_t signals = watched_signals();
  for (int signal = 0; sigwait(&signals, &signal) == 0 && signal != kEnd;) {
    if (signal_ != 0) _exit(128 + signal);
    signal_ = signal;
    stop_.request_stop();
  }
}

StopOnSignal::~StopOnSignal() {
  pthread_kill(watcher_.native_handle(), kEnd);
  watcher_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  if (signal_ == 0 || meaning_ == Meaning::usual_end) return;
  std::fflush(stdout);
  std::signal(signal_, SIG_DFL);
  std::raise(signal_);
}

}  // namespace imprint::station::cli
