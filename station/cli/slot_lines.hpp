// SPDX-License-Identifier: GPL-3.0-or-later
// One line for each slot: redrawn in place on a terminal; elsewhere a line at each change of phase, quarter and end.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "station/slot_status.hpp"

namespace imprint::station::cli {

// "Slot 3  write      ########........  48.0 of 96.3 MiB   41.2 MB/s   2 s left"
[[nodiscard]] std::string slot_line(const SlotStatus& status);

class SlotLines {
 public:
  SlotLines();
  void show(const std::vector<SlotStatus>& slots);
  // A line above the slots, or just a line.
  void say(const std::string& text, const std::vector<SlotStatus>& slots);

 private:
  void erase();
  bool terminal_;
  std::size_t drawn_ = 0;
  std::map<std::string, std::string> last_mark_;  // slot -> what was printed last, off a terminal
};

}  // namespace imprint::station::cli
