// SPDX-License-Identifier: GPL-3.0-or-later
// The same work on several threads at once. Private to this folder.
#pragma once

#include <algorithm>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

namespace imprint::ffu {

// Cores that this process may use, at least one.
[[nodiscard]] inline unsigned usable_cores() { return std::max(1U, std::thread::hardware_concurrency()); }

// Runs `work` on this thread and on up to threads - 1 others, and returns when all are done. `work` shares its tasks
// out by itself and throws nothing. Where the system refuses a thread, those that are there do it all.
inline void run_on_threads(unsigned threads, const std::function<void()>& work) {
  std::vector<std::jthread> others;
  const auto start_another = [&] {
    try {
      others.emplace_back(work);
      return true;
    } catch (const std::system_error&) {  // a limit of processes or memory
      return false;
    }
  };
  others.reserve(threads);
  for (unsigned i = 1; i < threads && start_another(); ++i) continue;
  work();
}

}  // namespace imprint::ffu
