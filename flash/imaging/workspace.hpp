// SPDX-License-Identifier: GPL-3.0-or-later
// An OEM workspace: the folder from which an image is built. It is read and checked as a whole, before anything is
// made.
//
//   DeviceLayout.xml, OEMDevicePlatform.xml    the disk and the board
//   Packages/.../<any>.wm.xml                   package definitions, however deep; all of them are in the image
//   Recovery/WinPE/...                          the tree of winpe.wim       } needed when the layout
//   Recovery/startrecovery.cmd                  put on the MMOS partition   } has a MMOS partition
//   Recovery/RecoveryImageVersion.txt           put on the MMOS partition   }
//
// Package definitions: windows-iotcore-docs, "Package schema" (namespace urn:Microsoft.CompPlat/ManifestSchema.v1.00).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"
#include "flash/disk/device_layout.hpp"
#include "flash/imaging/file_tree.hpp"

namespace imprint::imaging {

// Values of $(NAME) beside the ones that a partition defines; names compare without case.
using Variables = std::map<std::string, std::string>;

struct BootConfigurationFile {
  std::string name;  // for errors
  std::string text;
};

struct RecoverySources {
  std::filesystem::path winpe_folder;
  std::filesystem::path start_script;
  std::filesystem::path version_file;
};

class Workspace {
 public:
  // Errors carry file and line: `workspace.file-missing`, `workspace.xml-malformed`, `workspace.value-invalid`,
  // `workspace.macro-unknown`, `workspace.partition-unknown`, `workspace.path-escapes`,
  // `workspace.element-unsupported`, `workspace.destination-taken`, and those of device layouts.
  [[nodiscard]] static core::Result<Workspace> open(const std::filesystem::path& folder,
                                                    const Variables& variables = {});

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const disk::DeviceLayout& layout() const { return layout_; }
  [[nodiscard]] const disk::DevicePlatform& platform() const { return platform_; }
  // "<owner>.<namespace>.<name>", in the order in which they were read.
  [[nodiscard]] const std::vector<std::string>& packages() const { return packages_; }
  // The files of partition `index` of the layout.
  [[nodiscard]] const FileTree& tree(std::size_t index) const { return trees_.at(index); }
  [[nodiscard]] const std::vector<BootConfigurationFile>& boot_configurations() const { return boot_configurations_; }
  // Meaningful only when the layout has a MMOS partition.
  [[nodiscard]] const RecoverySources& recovery() const { return recovery_; }

 private:
  friend class PackageReader;
  Workspace() = default;
  // The path with all links followed. `workspace.path-escapes` when it then lies outside of the workspace.
  [[nodiscard]] core::Result<std::filesystem::path> inside(const std::filesystem::path& path) const;
  [[nodiscard]] core::Result<std::filesystem::path> fixed_file(std::string_view name) const;
  [[nodiscard]] core::Result<std::filesystem::path> fixed_folder(std::string_view name) const;
  [[nodiscard]] core::Status find_definitions(const std::filesystem::path& folder, int depth,
                                              std::vector<std::filesystem::path>& out) const;
  [[nodiscard]] core::Status open_recovery(const std::filesystem::path& layout_file);
  std::filesystem::path folder_;  // canonical
  disk::DeviceLayout layout_;
  disk::DevicePlatform platform_;
  std::vector<std::string> packages_;
  std::vector<FileTree> trees_;
  std::vector<BootConfigurationFile> boot_configurations_;
  RecoverySources recovery_;
};

// $(name) replaced: the partition's own folders (runtime.root, runtime.bootDrive, runtime.windows, runtime.system32)
// and `variables`. `workspace.macro-unknown`.
[[nodiscard]] core::Result<std::string> expand_macros(std::string_view text, const Variables& variables);

}  // namespace imprint::imaging
