// SPDX-License-Identifier: GPL-3.0-or-later
// Windows image files, through wimlib: captured from folders and from NTFS volumes in plain files, and applied to such
// volumes. Neither needs root nor a mount.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "flash/core/guid.hpp"
#include "flash/core/result.hpp"

namespace imprint::imaging {

enum class WimSource { folder, ntfs_volume };
enum class WimCompression { fast, maximum };  // XPRESS and LZX

struct WimRequest {
  std::string image_name;
  WimCompression compression = WimCompression::maximum;
  bool bootable = false;  // the image is the one that a boot loader takes
  core::Guid id{};        // of the file; given, so that a build can be repeated
  std::int64_t time = 0;  // what the file says about when it was made, seconds since 1970, UTC
};

// One image in a new file with an integrity table. `image.wim-failed` with wimlib's words, `io.disk-full`.
[[nodiscard]] core::Status capture_wim(const std::filesystem::path& source, WimSource kind, const WimRequest& request,
                                       const std::filesystem::path& out);

// Puts a folder's content into the root of an NTFS volume in a plain file. `image.wim-failed`, `image.partition-full`.
[[nodiscard]] core::Status apply_folder_to_ntfs(const std::filesystem::path& folder,
                                                const std::filesystem::path& volume);

// Reads every resource of a WIM file and checks it. `image.wim-failed`.
[[nodiscard]] core::Status verify_wim(const std::filesystem::path& wim);

}  // namespace imprint::imaging
