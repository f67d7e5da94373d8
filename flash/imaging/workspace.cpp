// SPDX-License-Identifier: GPL-3.0-or-later
// Opens a workspace: the fixed files first, then every package definition in the order of its path.
#include "flash/imaging/workspace.hpp"

#include <algorithm>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/imaging/errors.hpp"
#include "flash/imaging/package_reader.hpp"

namespace imprint::imaging {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kRecoveryPartition = "MMOS";

// A file's place is a mistake in the workspace, not a failure of this machine, so that it gets the workspace's own id.
core::Status require(const fs::path& path, bool folder) {
  std::error_code error;
  const bool there = folder ? fs::is_directory(path, error) : fs::is_regular_file(path, error);
  if (!there) return fail("workspace.file-missing").with("file", path.string());
  return {};
}

core::Result<std::vector<fs::path>> find_definitions(const fs::path& packages) {
  std::vector<fs::path> out;
  std::error_code error;
  for (auto folder = fs::directory_iterator(packages, error); !error && folder != fs::directory_iterator();
       folder.increment(error)) {
    if (!folder->is_directory(error)) continue;
    for (auto file = fs::directory_iterator(folder->path(), error); !error && file != fs::directory_iterator();
         file.increment(error)) {
      if (core::to_lower_ascii(file->path().filename().string()).ends_with(".wm.xml")) out.push_back(file->path());
    }
  }
  if (error) return core::fail_errno(error.value(), "io.read-failed", packages.string());
  std::sort(out.begin(), out.end());  // folders list their files in any order; an image must not depend on it
  return out;
}

}  // namespace

core::Result<Workspace> Workspace::open(const fs::path& folder, const Variables& variables) {
  IMPRINT_CHECK(require(folder, true));
  Workspace out;
  std::error_code error;
  out.folder_ = fs::canonical(folder, error);
  if (error) return core::fail_errno(error.value(), "io.read-failed", folder.string());
  const fs::path layout_file = out.folder_ / "DeviceLayout.xml";
  const fs::path platform_file = out.folder_ / "OEMDevicePlatform.xml";
  const fs::path packages = out.folder_ / "Packages";
  IMPRINT_CHECK(require(layout_file, false));
  IMPRINT_CHECK(require(platform_file, false));
  IMPRINT_CHECK(require(packages, true));
  IMPRINT_TRY(out.layout_, disk::read_device_layout(layout_file));
  IMPRINT_TRY(out.platform_, disk::read_device_platform(platform_file));
  out.trees_.resize(out.layout_.partitions.size());

  IMPRINT_TRY(const auto definitions, find_definitions(packages));
  PackageReader reader(out, variables);
  for (const fs::path& definition : definitions) IMPRINT_CHECK(reader.read(definition));

  if (out.layout_.find(kRecoveryPartition) != nullptr) {
    const fs::path recovery = out.folder_ / "Recovery";
    out.recovery_ = {.winpe_folder = recovery / "WinPE",
                     .start_script = recovery / "startrecovery.cmd",
                     .version_file = recovery / "RecoveryImageVersion.txt"};
    IMPRINT_CHECK(require(out.recovery_.winpe_folder, true));
    IMPRINT_CHECK(require(out.recovery_.start_script, false));
    IMPRINT_CHECK(require(out.recovery_.version_file, false));
  }
  return out;
}

}  // namespace imprint::imaging
