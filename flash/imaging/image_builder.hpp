// SPDX-License-Identifier: GPL-3.0-or-later
// The embedded imaging engine: an OEM workspace in, a full flash update image out. No root, no mounts, no loop devices.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/process.hpp"
#include "flash/core/result.hpp"
#include "flash/disk/partition_table.hpp"
#include "flash/ffu/writer.hpp"
#include "flash/imaging/workspace.hpp"

namespace imprint::imaging {

// Files of an image carry this time unless the request says otherwise, so that the same workspace gives the same
// volumes.
inline constexpr std::int64_t kDefaultImageTime = 1767225600;  // 2026-01-01T00:00:00Z

struct BuildRequest {
  std::filesystem::path workspace;
  std::filesystem::path output;   // the .ffu; appears whole and proved, or not at all
  std::filesystem::path scratch;  // for volumes and trees, sparse; everything made there is removed again
  Variables variables;
  ffu::CatalogMaker make_catalog;
  // What is being done, and how much of it is done. From the calling thread.
  std::function<void(std::string_view stage, std::uint64_t done, std::uint64_t total)> progress;
  std::string os_version = "10.0.0.0";    // for the manifest
  std::int64_t time = kDefaultImageTime;  // seconds since 1970, UTC
};

struct BuildSummary {
  disk::PartitionTable table;
  std::vector<std::string> packages;
  std::uint64_t disk_bytes = 0;       // of the disk that the image describes
  std::uint64_t allocated_bytes = 0;  // of it, what must be on a device
  std::uint64_t image_bytes = 0;      // of the .ffu
};

// One thread; some hundred MiB of scratch space for a small image. Errors of the workspace (see workspace.hpp), of
// device layouts, `bcd.*` for boot configurations, `image.*`, `process.*`, `io.disk-full` and what else the machine
// answers.
[[nodiscard]] core::Result<BuildSummary> build_image(const BuildRequest& request, core::ProcessRunner& runner);

}  // namespace imprint::imaging
