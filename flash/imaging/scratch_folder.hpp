// SPDX-License-Identifier: GPL-3.0-or-later
// The place where a build keeps its volumes and trees; it is gone when the build ends, however it ends.
#pragma once

#include <filesystem>
#include <string_view>

#include "flash/core/result.hpp"

namespace imprint::imaging {

class ScratchFolder {
 public:
  // A new folder of its own in `parent`, which is made when it is not there and then removed again, too.
  [[nodiscard]] static core::Result<ScratchFolder> create(const std::filesystem::path& parent);
  ~ScratchFolder();
  ScratchFolder(ScratchFolder&& other) noexcept;
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // A new, empty folder in it.
  [[nodiscard]] core::Result<std::filesystem::path> make_folder(std::string_view name) const;

 private:
  ScratchFolder(std::filesystem::path path, std::filesystem::path made_parent)
      : path_(std::move(path)), made_parent_(std::move(made_parent)) {}
  std::filesystem::path path_;
  std::filesystem::path made_parent_;  // empty: it was there before
};

}  // namespace imprint::imaging
