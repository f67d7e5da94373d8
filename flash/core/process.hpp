// SPDX-License-Identifier: GPL-3.0-or-later
// Other programs (mkntfs, mkfs.fat, mcopy ...), run without a shell, with a deadline, their output kept for the error.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::core {

struct ProcessRequest {
  std::vector<std::string> arguments;  // arguments[0] is looked up in PATH and the sbin folders
  std::vector<std::pair<std::string, std::string>> environment;  // added to this process's own
  std::chrono::milliseconds limit = std::chrono::minutes(5);
};

class ProcessRunner {
 public:
  ProcessRunner() = default;
  ProcessRunner(const ProcessRunner&) = delete;
  ProcessRunner& operator=(const ProcessRunner&) = delete;
  virtual ~ProcessRunner() = default;
  // Standard output and error together, at most the last 64 KiB. `process.not-found`, `process.failed` (with the status
  // and the output), `process.timed-out` (the process group is killed).
  [[nodiscard]] virtual Result<std::string> run(const ProcessRequest& request) = 0;
};

class SystemProcessRunner final : public ProcessRunner {
 public:
  [[nodiscard]] Result<std::string> run(const ProcessRequest& request) override;
};

}  // namespace imprint::core
