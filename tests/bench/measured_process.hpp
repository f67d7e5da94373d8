// SPDX-License-Identifier: GPL-3.0-or-later
// Another program, timed and watched while it runs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace imprint::bench {

struct MeasuredProcess {
  std::vector<std::string>
      arguments;  // arguments[0] is looked up in PATH; output goes nowhere, errors to ours if it fails
  std::vector<std::pair<std::string, std::string>> environment{};  // added to this process's own
  std::optional<unsigned> core{};                                  // the only one that it may run on
  bool watch_memory = false;                                       // wakes up every millisecond to look
};

struct Measurement {
  double seconds = 0;             // from before the fork until the end
  double peak_resident_MiB = 0;   // VmHWM as it was last seen; ru_maxrss would count this process, forked, too
  double peak_anonymous_MiB = 0;  // the most of RssAnon that was seen: without pages of files
};

// Nothing where it could not be run or did not end with status 0; then standard error says which it was.
[[nodiscard]] std::optional<Measurement> run_measured(const MeasuredProcess& process);

}  // namespace imprint::bench
