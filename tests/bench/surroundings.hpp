// SPDX-License-Identifier: GPL-3.0-or-later
// What each benchmark needs of the machine, and how it ends where that is not there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::bench {

struct Stopped {
  std::string why;
};
// Caught by run_as_program(), so that the folder with the images is removed on the way.
[[noreturn]] void stop(std::string why);
// Stops after SIGINT or SIGTERM.
void stop_if_interrupted();

template <class T>
T must(core::Result<T> result) {
  if (!result) stop(result.error().message());
  return std::move(*result);
}
void must(const core::Status& status);

// Each of them answers with a figure. They take turns, so that what else the machine does meets all.
[[nodiscard]] std::vector<double> medians_of(int rounds, const std::vector<std::function<double()>>& contenders);
[[nodiscard]] double median(std::vector<double> values);

// What /proc/cpuinfo says about the first processor.
[[nodiscard]] std::string cpu_says(std::string_view name);
[[nodiscard]] std::uint64_t free_bytes(const std::filesystem::path& folder);
// /dev/shm, or the folder for temporary files where that has not as much room; stops where neither has.
[[nodiscard]] std::filesystem::path folder_with(std::uint64_t bytes);
[[nodiscard]] std::filesystem::path this_program();

// Runs it and answers with the exit status: 0, or 4 where it stopped, and then standard error says why.
[[nodiscard]] int run_as_program(const std::function<void()>& benchmark);

}  // namespace imprint::bench
