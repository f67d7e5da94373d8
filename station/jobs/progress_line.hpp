// SPDX-License-Identifier: GPL-3.0-or-later
// How far a job's process says that it is: one JSON object a line on a pipe. Whoever writes there has read a hostile
// image, so every byte of it is distrusted.
//
//   {"done": 1024, "due": 4096, "text": "reading"}      due 0: nobody knows; text may be left out
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "flash/core/result.hpp"

namespace imprint::station::jobs {

struct JobProgress {
  std::uint64_t done = 0;
  std::uint64_t due = 0;  // 0: nobody knows
  std::string text{};     // printable
};

inline constexpr std::size_t kMostProgressLine = 1024;  // bytes, without the line feed
inline constexpr std::size_t kMostProgressText = 200;   // bytes

// Of one line without its line feed. `job.progress-malformed` for anything but the object above.
[[nodiscard]] core::Result<JobProgress> parse_progress_line(std::string_view line);
// The line with its line feed, for the process that writes it.
[[nodiscard]] std::string progress_line(const JobProgress& progress);

// Lines out of pieces as a pipe gives them. Holds kMostProgressLine bytes at most. One thread.
class ProgressReader {
 public:
  // The newest progress in these bytes; nothing where no line ended. The first line that is too long or malformed is
  // `job.progress-malformed`, and so is everything after it.
  [[nodiscard]] core::Result<std::optional<JobProgress>> feed(std::string_view bytes);

 private:
  std::string rest_;
  bool broken_ = false;
};

}  // namespace imprint::station::jobs
