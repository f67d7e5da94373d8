// SPDX-License-Identifier: GPL-3.0-or-later
// Ctrl-C during long work: the work is asked to stop, so that what it had begun to write is taken away again.
#pragma once

#include <csignal>
#include <stop_token>
#include <thread>

namespace imprint::station::cli {

// While it lives, SIGINT, SIGTERM and SIGHUP are blocked in this thread and those that it starts, and stop token()
// instead; a second one ends the program at once. When it goes, the program ends by the signal that came, so that a
// shell sees why; not where a signal is how the work is meant to end. One at a time in a process, made before other
// threads are.
class StopOnSignal {
 public:
  enum class Meaning { interruption, usual_end };
  explicit StopOnSignal(Meaning meaning = Meaning::interruption);
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }

 private:
  void watch();

  Meaning meaning_;
  std::stop_source stop_;
  sigset_t before_{};
  int signal_ = 0;  // the watcher's until it is joined
  std::jthread watcher_;
};

}  // namespace imprint::station::cli
