// SPDX-License-Identifier: GPL-3.0-or-later
// A folder of its own for what a command needs in between, gone with the object.
#pragma once

#include <filesystem>

#include "flash/core/result.hpp"

namespace imprint::station::cli {

class Scratch {
 public:
  // `io.*`.
  [[nodiscard]] static core::Result<Scratch> make();
  Scratch(Scratch&& other) noexcept;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit Scratch(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace imprint::station::cli
