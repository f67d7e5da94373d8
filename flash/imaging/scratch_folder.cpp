// SPDX-License-Identifier: GPL-3.0-or-later
// mkdtemp and remove_all.
#include "flash/imaging/scratch_folder.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "flash/core/errors.hpp"

namespace imprint::imaging {

namespace fs = std::filesystem;

core::Result<ScratchFolder> ScratchFolder::create(const fs::path& parent) {
  std::error_code error;
  const bool made = fs::create_directories(parent, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", parent.string());
  std::string pattern = (parent / "build-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    const int reason = errno;
    if (made) fs::remove(parent, error);
    return core::fail_errno(reason, "io.write-failed", parent.string());
  }
  return ScratchFolder(pattern, made ? parent : fs::path());
}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), made_parent_(std::exchange(other.made_parent_, {})) {}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (!made_parent_.empty()) fs::remove(made_parent_, ignored);  // only when it is empty: others may use it by now
}

core::Result<fs::path> ScratchFolder::make_folder(std::string_view name) const {
  fs::path out = path_ / name;
  std::error_code error;
  fs::create_directory(out, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", out.string());
  return out;
}

}  // namespace imprint::imaging
