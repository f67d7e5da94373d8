// SPDX-License-Identifier: GPL-3.0-or-later
// Below the system's folder for temporary files, for this user alone.
#include "station/cli/scratch.hpp"

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "flash/core/errors.hpp"

namespace imprint::station::cli {

namespace fs = std::filesystem;

core::Result<Scratch> Scratch::make() {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  if (error) return core::fail_errno(error.value(), "io.not-found", "the folder for temporary files");
  std::string path = (folder / "imprint-XXXXXX").native();
  if (::mkdtemp(path.data()) == nullptr) return core::fail_errno(errno, "io.write-failed", path);
  return Scratch(path);
}

Scratch::Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}

Scratch::~Scratch() {
  std::error_code error;
  if (!path_.empty()) fs::remove_all(path_, error);
}

}  // namespace imprint::station::cli
