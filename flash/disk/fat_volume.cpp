// SPDX-License-Identifier: GPL-3.0-or-later
// Follows FAT cluster chains with bounds: every chain has a length that it may not exceed, so a loop ends as damage.
#include "flash/disk/fat_volume.hpp"

#include <algorithm>

#include "flash/core/text.hpp"
#include "flash/disk/errors.hpp"
#include "flash/disk/path_parts.hpp"

namespace imprint::disk {
namespace {

constexpr std::uint64_t kWindowBytes = 3 * 64 * 1024;     // a multiple of 3: 12-bit entries never straddle two windows
constexpr std::uint64_t kMaxDirectoryBytes = 65536 * 32;  // what the specification allows
constexpr std::size_t kMaxDepth = 512;

core::Failure damaged(std::string detail) { return fail("volume.damaged", std::move(detail)); }

unsigned entry_bits(FileSystem kind) { return kind == FileSystem::fat32 ? 32 : kind == FileSystem::fat16 ? 16 : 12; }

bool is_end(FileSystem kind, std::uint32_t entry) {
  return entry >= (kind == FileSystem::fat32 ? 0x0FFFFFF8U : kind == FileSystem::fat16 ? 0xFFF8U : 0xFF8U);
}

// A file: its runs on the partition, in order.
class FatFileSource final : public core::BlockSource {
 public:
  FatFileSource(std::shared_ptr<const core::BlockSource> partition, const std::vector<core::Extent>& runs,
                std::uint64_t size)
      : partition_(std::move(partition)), size_(size) {
    std::uint64_t at = 0;
    for (const core::Extent& run : runs) {
      runs_.push_back({at, run.offset});
      at += run.length;
    }
    runs_.push_back({at, 0});
  }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    while (!out.empty()) {
      const auto next = std::ranges::upper_bound(runs_, offset, {}, &Run::start);
      const Run& run = *std::prev(next);
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), next->start - offset));
      IMPRINT_CHECK(partition_->read_at(run.place + (offset - run.start), out.first(count)));
      out = out.subspan(count);
      offset += count;
    }
    return {};
  }

 private:
  struct Run {
    std::uint64_t start;  // in the file
    std::uint64_t place;  // on the partition
  };
  std::shared_ptr<const core::BlockSource> partition_;
  std::uint64_t size_;
  std::vector<Run> runs_;  // the last one only says where the file ends
};

FileEntry to_file_entry(const FatDirectoryEntry& entry) { return {entry.name, entry.is_directory, entry.size}; }

}  // namespace

FatVolume::FatVolume(std::shared_ptr<const core::BlockSource> partition, FatGeometry geometry)
    : partition_(std::move(partition)), geometry_(std::move(geometry)) {
  info_.kind = geometry_.kind;
  info_.serial = geometry_.serial;
  info_.sector_size = geometry_.sector_size;
  info_.cluster_size = geometry_.cluster_size;
  info_.size = geometry_.size;
}

core::Result<std::shared_ptr<FatVolume>> FatVolume::open(std::shared_ptr<const core::BlockSource> partition) {
  if (partition->size() < kFatBootBytes) return fail("volume.unknown-file-system", "shorter than a boot sector");
  IMPRINT_TRY(const core::ByteBuffer sector, partition->read(0, kFatBootBytes));
  IMPRINT_TRY(FatGeometry geometry, parse_fat_boot_sector(sector, partition->size()));
  std::shared_ptr<FatVolume> volume(new FatVolume(std::move(partition), std::move(geometry)));
  IMPRINT_TRY(const FatDirectory root, volume->read_root());
  volume->info_.label = root.label.empty() ? volume->geometry_.boot_label : root.label;
  std::uint64_t used = 0;
  IMPRINT_CHECK(volume->for_each_used_run([&](std::uint32_t, std::uint32_t count) { used += count; }));
  volume->info_.free = (volume->geometry_.cluster_count - used) * volume->geometry_.cluster_size;
  return volume;
}

core::Result<std::uint32_t> FatVolume::entry_of(std::uint32_t cluster) {
  const std::uint64_t bit = std::uint64_t{cluster} * entry_bits(geometry_.kind);
  const std::uint64_t first = bit / 8;
  const std::size_t length = geometry_.kind == FileSystem::fat32 ? 4 : 2;
  if (first < window_offset_ || first + length > window_offset_ + window_.size()) {
    const std::uint64_t start = first / kWindowBytes * kWindowBytes;
    const std::uint64_t count = std::min(kWindowBytes, geometry_.fat_length - start);
    IMPRINT_TRY(window_, partition_->read(geometry_.fat_offset + start, count));
    window_offset_ = start;
  }
  const std::uint8_t* bytes = window_.data() + (first - window_offset_);
  if (geometry_.kind == FileSystem::fat32) return core::load_le<std::uint32_t>(bytes) & 0x0FFFFFFFU;
  const std::uint32_t value = core::load_le<std::uint16_t>(bytes);
  if (geometry_.kind == FileSystem::fat16) return value;
  return bit % 8 == 0 ? value & 0xFFFU : value >> 4U;
}

core::Result<std::vector<core::Extent>> FatVolume::chain(std::uint32_t first, std::uint64_t clusters) {
  const std::uint64_t limit =
      clusters != 0 ? clusters : std::max<std::uint64_t>(1, kMaxDirectoryBytes / geometry_.cluster_size);
  std::vector<core::Extent> runs;
  std::uint32_t cluster = first;
  for (std::uint64_t count = 1;; ++count) {
    if (!geometry_.is_cluster(cluster)) {
      return damaged("a cluster chain leaves the volume").with("first_cluster", first).with("cluster", cluster);
    }
    if (count > limit) {
      return damaged("a cluster chain is longer than its size allows")
          .with("first_cluster", first)
          .with("expected", limit);
    }
    const std::uint64_t place = geometry_.cluster_offset(cluster);
    if (!runs.empty() && runs.back().end() == place) {
      runs.back().length += geometry_.cluster_size;
    } else {
      runs.push_back({place, geometry_.cluster_size});
    }
    IMPRINT_TRY(cluster, entry_of(cluster));
    if (!is_end(geometry_.kind, cluster)) continue;
    if (clusters != 0 && count != clusters) {
      return damaged("a cluster chain is shorter than its file")
          .with("first_cluster", first)
          .with("expected", clusters)
          .with("actual", count);
    }
    return runs;
  }
}

core::Result<FatDirectory> FatVolume::read_root() {
  if (geometry_.kind == FileSystem::fat32) return read_directory(geometry_.root_cluster);
  IMPRINT_TRY(const core::ByteBuffer bytes, partition_->read(geometry_.root_offset, geometry_.root_length));
  return parse_fat_directory(bytes, false, geometry_.root_offset);
}

core::Result<FatDirectory> FatVolume::read_directory(std::uint32_t first_cluster) {
  IMPRINT_TRY(const std::vector<core::Extent> runs, chain(first_cluster, 0));
  core::ByteBuffer bytes;
  for (const core::Extent& run : runs) {
    IMPRINT_TRY(const core::ByteBuffer part, partition_->read(run.offset, run.length));
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  return parse_fat_directory(bytes, geometry_.kind == FileSystem::fat32, runs.front().offset);
}

core::Result<FatDirectory> FatVolume::read(const FatDirectoryEntry& directory) {
  return directory.first_cluster == 0 && directory.name.empty() ? read_root() : read_directory(directory.first_cluster);
}

core::Result<FatDirectoryEntry> FatVolume::locate(std::string_view path) {
  FatDirectoryEntry here;
  here.is_directory = true;
  const auto parts = path_parts(path);
  // Directories of a damaged volume can hold each other.
  if (parts.size() > kMaxDepth) return fail("volume.file-not-found").with("path", core::printable(path.substr(0, 256)));
  for (const std::string_view part : parts) {
    if (!here.is_directory) return fail("volume.not-a-directory").with("path", core::printable(path));
    IMPRINT_TRY(FatDirectory directory, read(here));
    const auto found = std::ranges::find_if(directory.entries, [&](const FatDirectoryEntry& entry) {
      return core::equals_ignoring_case(entry.name, part) || core::equals_ignoring_case(entry.short_name, part);
    });
    if (found == directory.entries.end()) return fail("volume.file-not-found").with("path", core::printable(path));
    here = std::move(*found);
  }
  return here;
}

core::Result<std::vector<FileEntry>> FatVolume::list(std::string_view path) {
  IMPRINT_TRY(const FatDirectoryEntry directory, locate(path));
  if (!directory.is_directory) return fail("volume.not-a-directory").with("path", core::printable(path));
  IMPRINT_TRY(const FatDirectory content, read(directory));
  std::vector<FileEntry> out;
  out.reserve(content.entries.size());
  std::ranges::transform(content.entries, std::back_inserter(out), to_file_entry);
  return out;
}

core::Result<FileEntry> FatVolume::find(std::string_view path) {
  IMPRINT_TRY(const FatDirectoryEntry entry, locate(path));
  return to_file_entry(entry);
}

core::Result<std::shared_ptr<const core::BlockSource>> FatVolume::open_file(std::string_view path) {
  IMPRINT_TRY(const FatDirectoryEntry entry, locate(path));
  if (entry.is_directory) return fail("volume.not-a-directory", "a folder").with("path", core::printable(path));
  std::vector<core::Extent> runs;
  if (entry.size != 0) {
    const std::uint64_t clusters = core::round_up(entry.size, geometry_.cluster_size) / geometry_.cluster_size;
    auto found = chain(entry.first_cluster, clusters);
    if (!found) {
      found.error().add_context("path", core::printable(path));
      return std::unexpected(std::move(found).error());
    }
    runs = std::move(*found);
  }
  return std::shared_ptr<const core::BlockSource>(
      std::make_shared<FatFileSource>(partition_, std::move(runs), entry.size));
}

template <class Visit>
core::Status FatVolume::for_each_used_run(Visit visit) {
  std::uint32_t start = 0;  // of the run that is open, 0 for none: clusters count from 2
  const std::uint32_t end = geometry_.cluster_count + 2;
  for (std::uint32_t cluster = 2; cluster < end; ++cluster) {
    IMPRINT_TRY(const std::uint32_t entry, entry_of(cluster));
    if (entry != 0 && start == 0) start = cluster;
    if (entry == 0 && start != 0) {
      visit(start, cluster - start);
      start = 0;
    }
  }
  if (start != 0) visit(start, end - start);
  return {};
}

core::Result<core::ExtentSet> FatVolume::allocated() {
  core::ExtentSet out;
  out.add({0, geometry_.data_offset});
  IMPRINT_CHECK(for_each_used_run([&](std::uint32_t first, std::uint32_t count) {
    out.add({geometry_.cluster_offset(first), std::uint64_t{count} * geometry_.cluster_size});
  }));
  return out;
}

}  // namespace imprint::disk
