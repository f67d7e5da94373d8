// SPDX-License-Identifier: GPL-3.0-or-later
// Captures volumes into WIM files: NTFS as it is, FAT through an exported tree.
#include "flash/imaging/recovery_content.hpp"

#include <algorithm>
#include <array>

#include "flash/core/block_io.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/volume.hpp"
#include "flash/imaging/errors.hpp"

namespace imprint::imaging {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kCopyPiece = 1ULL << 20;  // bytes in memory at a time
constexpr int kMaxDepth = 64;

struct CapturedVolume {
  std::string_view partition;
  const char* file_name;
  const char* image_name;
  WimCompression compression;
};
// File names, image names and compression as the recovery scripts of the add-on kit expect them.
constexpr std::array<CapturedVolume, 3> kCaptured{{{"EFIESP", "efiesp.wim", "EFIESP", WimCompression::fast},
                                                   {"MainOS", "mainos.wim", "MainOS", WimCompression::maximum},
                                                   {"Data", "data.wim", "DATA", WimCompression::maximum}}};

core::Status export_file(disk::Volume& volume, const std::string& path, const fs::path& target) {
  IMPRINT_TRY(const auto source, volume.open_file(path));
  IMPRINT_TRY(const auto sink, core::FileSink::create(target, source->size()));
  for (std::uint64_t offset = 0; offset < source->size(); offset += kCopyPiece) {
    IMPRINT_TRY(const auto piece, source->read(offset, std::min(kCopyPiece, source->size() - offset)));
    IMPRINT_CHECK(sink->write_at(offset, piece));
  }
  return {};
}

core::Status export_files(disk::Volume& volume, const std::string& path, const fs::path& scratch, FileTree& tree,
                          std::size_t& count, int depth) {
  if (depth > kMaxDepth) return fail("image.self-check-failed", "folders too deep").with("path", path);
  IMPRINT_TRY(const auto entries, volume.list(path));
  for (const disk::FileEntry& entry : entries) {
    const std::string inner = path + "/" + entry.name;
    if (entry.is_directory) {
      IMPRINT_CHECK(tree.add_directory(inner));
      IMPRINT_CHECK(export_files(volume, inner, scratch, tree, count, depth + 1));
      continue;
    }
    const fs::path aside = scratch / std::to_string(count++);
    IMPRINT_CHECK(export_file(volume, inner, aside));
    IMPRINT_CHECK(tree.add(inner, aside));
  }
  return {};
}

}  // namespace

core::Status export_volume(const fs::path& volume, const fs::path& folder, std::int64_t time) {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> source, core::FileSource::open(volume));
  IMPRINT_TRY(const auto opened, disk::open_volume(std::move(source)));
  const fs::path aside = folder.string() + ".files";
  std::error_code error;
  fs::create_directory(aside, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", aside.string());
  FileTree tree;
  std::size_t count = 0;
  auto exported = export_files(*opened, "", aside, tree, count, 0);
  if (exported) exported = tree.write_to(folder, time);
  fs::remove_all(aside, error);
  return exported;
}

core::Result<fs::path> RecoveryContent::make_winpe(const RecoverySources& sources) {
  const fs::path staged = scratch_ / "winpe.tree";
  fs::path out = scratch_ / "winpe.wim";
  std::error_code error;
  fs::create_directory(staged, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", staged.string());
  FileTree tree;
  IMPRINT_CHECK(tree.add_folder("", sources.winpe_folder));
  IMPRINT_CHECK(tree.write_to(staged, time_));
  IMPRINT_CHECK(capture_wim(staged, WimSource::folder,
                            {.image_name = "Recovery environment",
                             .compression = WimCompression::maximum,
                             .bootable = true,
                             .id = core::Guid::from_name("imprint/wim/winpe.wim"),
                             .time = time_},
                            out));
  fs::remove_all(staged, error);
  return out;
}

core::Result<fs::path> RecoveryContent::capture(const FinishedVolume& volume, const std::string& file_name,
                                                const WimRequest& request) {
  fs::path out = scratch_ / file_name;
  if (volume.file_system == disk::LayoutFileSystem::ntfs) {
    IMPRINT_CHECK(capture_wim(volume.file, WimSource::ntfs_volume, request, out));
    return out;
  }
  const fs::path staged = scratch_ / (file_name + ".tree");
  std::error_code error;
  fs::create_directory(staged, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", staged.string());
  IMPRINT_CHECK(export_volume(volume.file, staged, time_));
  IMPRINT_CHECK(capture_wim(staged, WimSource::folder, request, out));
  fs::remove_all(staged, error);
  return out;
}

core::Status RecoveryContent::add_to(FileTree& tree, const RecoverySources& sources,
                                     const std::vector<FinishedVolume>& volumes) {
  IMPRINT_TRY(const fs::path winpe, make_winpe(sources));
  IMPRINT_CHECK(tree.add("winpe.wim", winpe));
  IMPRINT_CHECK(tree.add("startrecovery.cmd", sources.start_script));
  IMPRINT_CHECK(tree.add("RecoveryImageVersion.txt", sources.version_file));
  for (const CapturedVolume& known : kCaptured) {
    for (const FinishedVolume& volume : volumes) {
      if (!core::equals_ignoring_case(volume.partition, known.partition)) continue;
      const WimRequest request{.image_name = known.image_name,
                               .compression = known.compression,
                               .id = core::Guid::from_name(std::string("imprint/wim/") + known.file_name),
                               .time = time_};
      IMPRINT_TRY(const fs::path wim, capture(volume, known.file_name, request));
      IMPRINT_CHECK(tree.add(known.file_name, wim));
    }
  }
  return {};
}

}  // namespace imprint::imaging
