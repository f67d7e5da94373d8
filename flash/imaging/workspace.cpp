// SPDX-License-Identifier: GPL-3.0-or-later
// Opens a workspace: the fixed files first, then every package definition in the order of its path.
#include "flash/imaging/workspace.hpp"

#include <algorithm>

#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/errors.hpp"
#include "flash/imaging/errors.hpp"
#include "flash/imaging/package_reader.hpp"

namespace imprint::imaging {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kRecoveryPartition = "MMOS";

constexpr int kMaxDepth = 64;  // of folders below Packages

}  // namespace

core::Result<fs::path> Workspace::inside(const fs::path& path) const {
  std::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  if (error) return fail("workspace.file-missing").with("file", path.string());
  const fs::path relative = real.lexically_relative(folder_);
  if (relative.empty() || *relative.begin() == "..") {
    return fail("workspace.path-escapes").with("file", path.string());
  }
  return real;
}

// A file's place is a mistake in the workspace, not a failure of this machine, so that it gets the workspace's own id.
core::Result<fs::path> Workspace::fixed_file(std::string_view name) const {
  IMPRINT_TRY(fs::path real, inside(folder_ / name));
  std::error_code error;
  if (!fs::is_regular_file(real, error)) {
    return fail("workspace.file-missing").with("file", (folder_ / name).string());
  }
  return real;
}

core::Result<fs::path> Workspace::fixed_folder(std::string_view name) const {
  IMPRINT_TRY(fs::path real, inside(folder_ / name));
  std::error_code error;
  if (!fs::is_directory(real, error)) {
    return fail("workspace.file-missing").with("file", (folder_ / name).string());
  }
  return real;
}

core::Status Workspace::find_definitions(const fs::path& folder, int depth, std::vector<fs::path>& out) const {
  if (depth > kMaxDepth) {
    return disk::fail("workspace.value-invalid", "folders too deep").with("path", folder.string());
  }
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    // Its own error code: the next increment would clear the loop's.
    std::error_code unreadable;
    const fs::path& path = it->path();
    const std::string name = core::to_lower_ascii(path.filename().string());
    const bool linked = it->is_symlink(unreadable);
    if (it->is_directory(unreadable)) {
      if (linked) {
        return disk::fail("workspace.value-invalid", "a link to a folder; put the folder itself there")
            .with("path", path.string());
      }
      IMPRINT_CHECK(find_definitions(path, depth + 1, out));
    } else if (name.ends_with(".pkg.xml")) {
      return fail("workspace.element-unsupported", "a package definition of the old schema (*.pkg.xml)")
          .with("file", path.string());
    } else if (name.ends_with(".wm.xml")) {
      IMPRINT_CHECK(inside(path));
      out.push_back(path);
    }
  }
  if (error) return core::fail_errno(error.value(), "io.read-failed", folder.string());
  return {};
}

core::Status Workspace::open_recovery(const fs::path& layout_file) {
  const disk::LayoutPartition* partition = layout_.find(kRecoveryPartition);
  if (partition == nullptr) return {};
  if (partition->file_system == disk::LayoutFileSystem::none) {
    return disk::fail("workspace.value-invalid", "the recovery partition has no file system to hold its content")
        .with("file", layout_file.string())
        .with("partition", partition->name);
  }
  IMPRINT_TRY(recovery_.winpe_folder, fixed_folder("Recovery/WinPE"));
  IMPRINT_TRY(recovery_.start_script, fixed_file("Recovery/startrecovery.cmd"));
  IMPRINT_TRY(recovery_.version_file, fixed_file("Recovery/RecoveryImageVersion.txt"));
  return {};
}

core::Result<Workspace> Workspace::open(const fs::path& folder, const Variables& variables) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return fail("workspace.file-missing").with("file", folder.string());
  Workspace out;
  out.folder_ = fs::canonical(folder, error);
  if (error) return core::fail_errno(error.value(), "io.read-failed", folder.string());
  IMPRINT_TRY(const fs::path layout_file, out.fixed_file("DeviceLayout.xml"));
  IMPRINT_TRY(const fs::path platform_file, out.fixed_file("OEMDevicePlatform.xml"));
  IMPRINT_TRY(const fs::path packages, out.fixed_folder("Packages"));
  IMPRINT_TRY(out.layout_, disk::read_device_layout(layout_file));
  IMPRINT_TRY(out.platform_, disk::read_device_platform(platform_file));
  out.trees_.resize(out.layout_.partitions.size());

  std::vector<fs::path> definitions;
  IMPRINT_CHECK(out.find_definitions(packages, 0, definitions));
  // Folders list their files in any order; an image must not depend on it.
  std::sort(definitions.begin(), definitions.end());
  PackageReader reader(out, variables);
  for (const fs::path& definition : definitions) IMPRINT_CHECK(reader.read(definition));
  IMPRINT_CHECK(out.open_recovery(layout_file));
  return out;
}

}  // namespace imprint::imaging
