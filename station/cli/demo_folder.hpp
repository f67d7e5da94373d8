// SPDX-License-Identifier: GPL-3.0-or-later
// The folder for a demonstration's results. Only a folder that is new, empty or marked by a former demonstration is
// taken: a wrong --out must not cost anybody's records or trust.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>
#include <thread>

#include "flash/core/result.hpp"

namespace imprint::station::cli {

// Holds the folder for as long as it lives. While it does, SIGINT and SIGTERM take the scratch files away before they
// end the program. One at a time in a process.
class DemoFolder {
 public:
  // Takes away what a former demonstration left. `demo.folder-in-use` for a folder that holds other things, or in which
  // a demonstration is running.
  [[nodiscard]] static core::Result<std::unique_ptr<DemoFolder>> take(const std::filesystem::path& folder);
  ~DemoFolder();
  DemoFolder(const DemoFolder&) = delete;
  DemoFolder& operator=(const DemoFolder&) = delete;

  // For everything that is not a result; gone with this object.
  [[nodiscard]] const std::filesystem::path& scratch() const { return scratch_; }
  [[nodiscard]] core::Result<std::filesystem::path> make_scratch(std::string_view name) const;

 private:
  DemoFolder(std::filesystem::path folder, int lock);
  [[nodiscard]] core::Status clear() const;
  void remove_unfinished() const;
  void watch_signals();

  std::filesystem::path folder_;
  std::filesystem::path scratch_;
  int lock_;  // of the marker file
  std::jthread watcher_;
};

}  // namespace imprint::station::cli
