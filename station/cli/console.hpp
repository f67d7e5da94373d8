// SPDX-License-Identifier: GPL-3.0-or-later
// How every command talks: results to standard output, errors to standard error in one form, progress that fits what it
// is shown on, and exit statuses as the contract has them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "flash/core/result.hpp"

namespace imprint::station::cli {

enum class ExitStatus : int {
  good = 0,
  not_good = 1,     // done, and the answer is not good
  usage = 2,        // wrong usage
  nothing = 3,      // nothing to do
  environment = 4,  // permission, file not there, full disk
};

// By the error's id and fault class.
[[nodiscard]] ExitStatus exit_status(const core::Error& error);

// What is said of an error shows no PIN that stands in it (pin-value of a pkcs11 URI): neither here nor in error_json.
// "imprint: <id>: <text>" and what to do; with `json` one object with id, message, remedy and context.
ExitStatus report_error(const core::Error& error, bool json);

[[nodiscard]] std::string error_json(const core::Error& error);

// Writes to standard output; whether that worked, finish_output() says.
void print(std::string_view text);
// `status`, unless standard output could not be written: then that is reported, and it is the environment's status. A
// reader that closed its pipe is no error.
[[nodiscard]] ExitStatus finish_output(ExitStatus status);
void print_line(std::string_view text);

// For who runs this program as a job: how far it is, as lines of JSON on a descriptor (station/jobs/progress_line.hpp).
// A descriptor of the whole process, as standard error is; before there are threads. Negative: none.
void set_progress_pipe(int fd);
// One line of it, for work without numbers.
void tell_progress(std::string_view text, std::uint64_t done = 0, std::uint64_t due = 0);

// A bar that is redrawn on a terminal, and a line at every tenth elsewhere. Writes to standard error. Any thread, one
// at a time. Nothing is shown when `quiet`.
// It is written to a pipe besides, where set_progress_pipe() has named one.
class Progress {
 public:
  Progress(std::string label, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(std::uint64_t done, std::uint64_t total);

 private:
  void draw(std::uint64_t done, std::uint64_t total);
  std::string label_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  unsigned last_tenth_ = 0;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_draw_;
  std::chrono::steady_clock::time_point last_told_;
};

}  // namespace imprint::station::cli
