// SPDX-License-Identifier: GPL-3.0-or-later
// Disks to write to: loop devices over files. Needs root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace imprint::bench {

// Attached for as long as it lives.
class LoopDisks {
 public:
  // Files of `bytes` in `folder`, every byte written once, so that no contender pays for allocation. Stops where the
  // system gives no loop devices.
  LoopDisks(std::filesystem::path folder, unsigned count, std::uint64_t bytes);
  ~LoopDisks();
  LoopDisks(const LoopDisks&) = delete;
  LoopDisks& operator=(const LoopDisks&) = delete;

  [[nodiscard]] const std::vector<std::string>& nodes() const { return nodes_; }  // "/dev/loop0"
  // The files are read and written around the page cache.
  [[nodiscard]] bool is_direct() const { return is_direct_; }

 private:
  void detach();
  std::filesystem::path folder_;
  std::vector<std::string> nodes_;
  bool is_direct_ = true;
};

}  // namespace imprint::bench
