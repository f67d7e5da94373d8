// SPDX-License-Identifier: GPL-3.0-or-later
// Runs the formatters and fills what they made.
#include "flash/imaging/volume_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "flash/core/block_io.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/volume.hpp"
#include "flash/imaging/errors.hpp"
#include "flash/imaging/wim.hpp"

namespace imprint::imaging {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kFatFileLimit = 1ULL << 32;  // a FAT entry's size field has 32 bits
constexpr std::uint64_t kMaxFat16Bytes = 512ULL << 20;
constexpr std::size_t kFoldersPerCall = 100;

std::uint64_t serial_of(const core::Guid& partition_id) {
  const core::Sha256 hash = core::sha256(partition_id.mixed_endian());
  return core::load_le<std::uint64_t>(hash.data());
}

std::string fat_label(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 11)) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    out += plain ? c : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : '_';
  }
  return out;
}

// mkntfs -T gives every volume the same serial number; Windows tells volumes apart by it.
core::Status patch_ntfs_serial(const fs::path& volume, std::uint64_t serial, std::uint32_t sector_size) {
  IMPRINT_TRY(const auto source, core::FileSource::open(volume));
  IMPRINT_TRY(const auto boot, source->read(0, 512));
  const std::uint64_t backup = core::load_le<std::uint64_t>(boot.data() + 0x28) * sector_size;
  std::fstream file(volume, std::ios::in | std::ios::out | std::ios::binary);
  std::array<std::uint8_t, 8> raw{};
  core::store_le(raw.data(), serial);
  for (const std::uint64_t sector : {std::uint64_t{0}, backup}) {
    IMPRINT_TRY(const auto copy, source->read(sector, 512));
    if (core::as_text(core::ByteView(copy).subspan(3, 4)) != "NTFS") {
      return fail("image.self-check-failed", "the formatter left no boot sector").with("offset", sector);
    }
    file.seekp(static_cast<std::streamoff>(sector + 0x48));
    file.write(reinterpret_cast<const char*>(raw.data()), raw.size());  // char and uint8_t may alias
  }
  file.close();
  if (!file) return core::fail_errno(errno, "io.write-failed", volume.string());
  return {};
}

core::Status make_sparse_file(const fs::path& path, std::uint64_t size) {
  IMPRINT_TRY(const auto sink, core::FileSink::create(path, size));
  return {};
}

core::Result<disk::VolumeInfo> measure(const fs::path& volume) {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> source, core::FileSource::open(volume));
  IMPRINT_TRY(const auto opened, disk::open_volume(std::move(source)));
  return opened->info();
}

core::Failure partition_full(const VolumeRequest& request, std::uint64_t needed, std::uint64_t free) {
  return fail("image.partition-full", "partition " + request.name)
      .with("partition", request.name)
      .with("needed_bytes", needed)
      .with("free_bytes", free);
}

core::Status check_fits(const VolumeRequest& request, const FileTree& tree, const fs::path& volume) {
  IMPRINT_TRY(const auto info, measure(volume));
  const std::uint64_t cluster = std::max<std::uint64_t>(info.cluster_size, 512);
  // NTFS keeps small files in their records, so that only what is larger counts there for sure.
  std::uint64_t needed = 0;
  for (const TreeFile& file : tree.files()) {
    if (info.kind != disk::FileSystem::ntfs || file.size > 1024) needed += core::round_up(file.size, cluster);
  }
  if (needed > info.free) return partition_full(request, needed, info.free);
  return {};
}

}  // namespace

std::uint64_t file_system_overhead(disk::LayoutFileSystem kind, std::uint64_t volume_bytes) {
  constexpr std::uint64_t kMiB = 1ULL << 20;
  if (kind == disk::LayoutFileSystem::none) return 0;
  // NTFS: the journal is half a percent of a volume and never over 64 MiB; then bitmap and first records.
  if (kind == disk::LayoutFileSystem::ntfs)
    return 8 * kMiB + std::min(volume_bytes / 100, 80 * kMiB) + volume_bytes / 4096 / 8;
  return kMiB + volume_bytes / 100;
}

core::Status VolumeBuilder::run(std::vector<std::string> arguments, const VolumeRequest& request) {
  const core::ProcessRequest process{
      .arguments = std::move(arguments),
      // mtools reads a user's own settings otherwise, writes local time into FAT entries, and takes every byte of a
      // name that is not ASCII for a character of its own.
      .environment = {{"SOURCE_DATE_EPOCH", std::to_string(time_)},
                      {"TZ", "UTC"},
                      {"MTOOLSRC", "/dev/null"},
                      {"LC_ALL", "C.UTF-8"}}};
  auto output = runner_.run(process);
  if (output) return {};
  core::Error error = std::move(output).error();
  if (error.detail().find("No space left on device") != std::string::npos) {
    return core::fail("io.disk-full").with("file", scratch_.string()).caused_by(std::move(error));
  }
  if (error.detail().find("Disk full") != std::string::npos) {  // mtools' word for a full volume
    return fail("image.partition-full", "partition " + request.name)
        .with("partition", request.name)
        .caused_by(std::move(error));
  }
  error.add_context("partition", request.name);
  return core::Failure(std::move(error));
}

core::Status VolumeBuilder::format_fat(const VolumeRequest& request, const fs::path& volume) {
  std::vector<std::string> arguments{
      "mkfs.fat", "--invariant",
      "-i",       fmt::format("{:08x}", static_cast<std::uint32_t>(serial_of(request.partition_id))),
      "-n",       fat_label(request.name),
      "-S",       std::to_string(request.sector_size),
      "-h",       std::to_string(std::min<std::uint64_t>(request.first_sector, 0xFFFFFFFF))};
  if (request.file_system == disk::LayoutFileSystem::fat32) {
    arguments.insert(arguments.end(), {"-F", "32"});
  } else if (request.size >= kMaxFat16Bytes) {
    arguments.insert(arguments.end(), {"-F", "16"});  // left alone, mkfs.fat would take FAT32 from here on
  }
  if (request.cluster_size != 0) {
    arguments.insert(arguments.end(), {"-s", std::to_string(request.cluster_size / request.sector_size)});
  }
  arguments.push_back(volume.string());
  return run(std::move(arguments), request);
}

core::Status VolumeBuilder::format_ntfs(const VolumeRequest& request, const fs::path& volume) {
  std::vector<std::string> arguments{"mkntfs",
                                     "-T",
                                     "-F",
                                     "-Q",
                                     "-q",
                                     "-L",
                                     request.name,
                                     "-H",
                                     "255",
                                     "-S",
                                     "63",
                                     "-s",
                                     std::to_string(request.sector_size),
                                     "-p",
                                     std::to_string(std::min<std::uint64_t>(request.first_sector, 0xFFFFFFFF))};
  if (request.cluster_size != 0) arguments.insert(arguments.end(), {"-c", std::to_string(request.cluster_size)});
  arguments.push_back(volume.string());
  IMPRINT_CHECK(run(std::move(arguments), request));
  return patch_ntfs_serial(volume, serial_of(request.partition_id), request.sector_size);
}

core::Status VolumeBuilder::fill_fat(const VolumeRequest& request, const FileTree& tree, const fs::path& volume) {
  const auto folders = tree.directories();
  for (std::size_t first = 0; first < folders.size(); first += kFoldersPerCall) {
    std::vector<std::string> arguments{"mmd", "-i", volume.string()};
    for (std::size_t i = first; i < std::min(first + kFoldersPerCall, folders.size()); ++i)
      arguments.push_back("::/" + folders[i]);
    IMPRINT_CHECK(run(std::move(arguments), request));
  }
  // One by one and by name: a recursive copy would follow the order in which a folder happens to list its files.
  for (const TreeFile& file : tree.files()) {
    IMPRINT_CHECK(
        run({"mcopy", "-i", volume.string(), fs::absolute(file.source).string(), "::/" + file.path}, request));
  }
  return {};
}

core::Status VolumeBuilder::fill_ntfs(const VolumeRequest& request, const FileTree& tree, const fs::path& volume) {
  if (tree.empty()) return {};
  const fs::path staged = volume.string() + ".tree";
  std::error_code error;
  fs::create_directory(staged, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", staged.string());
  IMPRINT_CHECK(tree.write_to(staged, time_));
  auto applied = apply_folder_to_ntfs(staged, volume);
  fs::remove_all(staged, error);
  if (!applied) {
    applied.error().add_context("partition", request.name);
    return applied;
  }
  return {};
}

core::Result<fs::path> VolumeBuilder::build(const VolumeRequest& request, const FileTree& tree) {
  const bool ntfs = request.file_system == disk::LayoutFileSystem::ntfs;
  for (const TreeFile& file : tree.files()) {
    if (ntfs || file.size < kFatFileLimit) continue;
    return fail("image.file-too-large-for-fat32")
        .with("partition", request.name)
        .with("path", file.path)
        .with("actual", file.size);
  }
  fs::path volume = scratch_ / fmt::format("{}.volume", request.partition_id.to_string());
  IMPRINT_CHECK(make_sparse_file(volume, request.size));
  IMPRINT_CHECK(ntfs ? format_ntfs(request, volume) : format_fat(request, volume));
  IMPRINT_CHECK(check_fits(request, tree, volume));
  IMPRINT_CHECK(ntfs ? fill_ntfs(request, tree, volume) : fill_fat(request, tree, volume));
  IMPRINT_TRY(const auto info, measure(volume));
  if (info.free < request.min_free) return partition_full(request, request.min_free, info.free);
  return volume;
}

}  // namespace imprint::imaging
