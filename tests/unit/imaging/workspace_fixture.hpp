// SPDX-License-Identifier: GPL-3.0-or-later
// Workspaces made by code: a small one that is right, of which each test spoils what it is about.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "flash/core/process.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::imaging::test {

using TemporaryFolder = fixture::ScratchFolder;

void put_file(const std::filesystem::path& path, std::string_view content);
[[nodiscard]] std::string get_file(const std::filesystem::path& path);

// A layout of `partitions` (XML of Partition elements) with 512-byte sectors.
[[nodiscard]] std::string layout_xml(std::string_view partitions);
[[nodiscard]] std::string partition_xml(std::string_view name, std::string_view file_system,
                                        std::string_view size_elements);
[[nodiscard]] std::string platform_xml(std::uint64_t min_sector_count);
// A package with these elements in it.
[[nodiscard]] std::string package_xml(std::string_view name, std::string_view partition, std::string_view elements);

// EFIESP 16 MiB FAT, MainOS NTFS with 4 MiB free, MMOS FAT32 40 MiB, Data NTFS over the rest of 128 MiB; boot
// configuration, recovery sources and a few files, one of them 300,000 zeros.
void make_small_workspace(const std::filesystem::path& folder);

// Runs a judge of the system; the output goes to `output` where given. False when it fails.
[[nodiscard]] bool run_tool(std::vector<std::string> arguments, std::string* output = nullptr);
[[nodiscard]] bool has_tool(const std::string& name);

}  // namespace imprint::imaging::test
