// SPDX-License-Identifier: GPL-3.0-or-later
// What a job's process writes to its progress pipe: taken or refused, in pieces as in one, and what is taken can be
// said again.
#include <cstdlib>

#include "station/jobs/progress_line.hpp"

using namespace imprint::station::jobs;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto progress = parse_progress_line(bytes)) {
    if (progress->due != 0 && progress->done > progress->due) std::abort();
    std::string again = progress_line(*progress);
    again.pop_back();
    if (!parse_progress_line(again)) std::abort();
  }
  ProgressReader whole;
  ProgressReader pieces;
  bool pieces_good = true;
  const bool whole_good = whole.feed(bytes).has_value();
  for (const char& byte : bytes) pieces_good = pieces.feed(std::string_view(&byte, 1)).has_value() && pieces_good;
  if (whole_good != pieces_good) std::abort();
  return 0;
}
