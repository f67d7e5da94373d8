// SPDX-License-Identifier: GPL-3.0-or-later
// Proves an image that was just built: it is opened again as a device would see it, before it gets its final name.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"
#include "flash/disk/partition_table.hpp"
#include "flash/imaging/file_tree.hpp"

namespace imprint::imaging {

// What a partition with a file system has to hold; the sources of its files are read again.
struct ExpectedVolume {
  std::string partition;
  FileTree tree;
};

struct ProofRequest {
  std::filesystem::path image;                    // the .ffu
  std::shared_ptr<const core::BlockSource> disk;  // from which it was written
  core::ExtentSet allocated;                      // bytes of `disk` that have to be in it
  disk::PartitionTable table;                     // as planned
  bool has_boot_store = false;                    // EFI\Microsoft\Boot\BCD has to be on EFIESP
  std::vector<ExpectedVolume> volumes{};
};

// Every chunk against the hash table; every allocated byte against `disk`, and that none is left out; both GPT copies;
// every file system of the plan opens and holds the files of its tree, byte by byte; the boot store opens.
// `image.self-check-failed` with what was wrong as its cause, or with the path of the file.
[[nodiscard]] core::Status prove_image(const ProofRequest& request);

}  // namespace imprint::imaging
