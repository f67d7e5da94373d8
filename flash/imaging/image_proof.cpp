// SPDX-License-Identifier: GPL-3.0-or-later
// Reads the new image through the same code that reads any image.
#include "flash/imaging/image_proof.hpp"

#include <algorithm>
#include <set>

#include "flash/bcd/store.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/volume.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/verify.hpp"
#include "flash/imaging/errors.hpp"

namespace imprint::imaging {
namespace {

constexpr std::uint64_t kPiece = 1ULL << 20;  // bytes compared at a time

core::Failure wrong(std::string what) { return fail("image.self-check-failed", std::move(what)); }

core::Status compare_bytes(const ProofRequest& request, const ffu::DescribedDisk& built) {
  core::ExtentSet described;
  for (const ffu::MappedRun& run : built.map().runs()) described.add({run.disk_offset, run.length});
  for (const core::Extent& extent : request.allocated.extents()) {
    if (!described.contains(extent)) return wrong("allocated bytes are left out").with("offset", extent.offset);
    for (std::uint64_t offset = extent.offset; offset < extent.end(); offset += kPiece) {
      const std::uint64_t length = std::min(kPiece, extent.end() - offset);
      IMPRINT_TRY(const auto expected, request.disk->read(offset, length));
      IMPRINT_TRY(const auto actual, built.read(offset, length));
      if (expected != actual) return wrong("bytes differ from the volumes").with("offset", offset);
    }
  }
  return {};
}

core::Status check_table(const ProofRequest& request, const core::BlockSource& built) {
  IMPRINT_TRY(const auto copies, disk::read_gpt_copies(built, request.table.sector_size));
  if (!copies.primary) return wrong("primary GPT").caused_by(copies.primary.error());
  if (!copies.backup) return wrong("backup GPT").caused_by(copies.backup.error());
  if (!copies.agree || !copies.protective_mbr) return wrong("the copies of the GPT do not agree");
  if (copies.primary->partitions.size() != request.table.partitions.size()) return wrong("partitions are missing");
  return {};
}

core::Status check_volumes(const ProofRequest& request, const std::shared_ptr<const core::BlockSource>& built) {
  for (const disk::Partition& partition : request.table.partitions) {
    IMPRINT_TRY(auto planned, disk::open_partition(request.disk, request.table, partition));
    IMPRINT_TRY(const auto kind, disk::detect_file_system(*planned));
    if (kind == disk::FileSystem::raw) continue;
    IMPRINT_TRY(auto slice, disk::open_partition(built, request.table, partition));
    auto volume = disk::open_volume(std::move(slice));
    if (!volume) return wrong("partition " + partition.name).caused_by(std::move(volume).error());
    auto root = (*volume)->list("");
    if (!root) return wrong("partition " + partition.name).caused_by(std::move(root).error());
  }
  return {};
}

core::Result<std::shared_ptr<disk::Volume>> volume_of(const ProofRequest& request,
                                                      const std::shared_ptr<const core::BlockSource>& built,
                                                      std::string_view name) {
  const disk::Partition* partition = request.table.find(name);
  if (partition == nullptr) return wrong("a partition is missing").with("partition", core::printable(name));
  IMPRINT_TRY(auto slice, disk::open_partition(built, request.table, *partition));
  return disk::open_volume(std::move(slice));
}

core::Status check_boot_store(const ProofRequest& request, const std::shared_ptr<const core::BlockSource>& built) {
  if (!request.has_boot_store) return {};
  IMPRINT_TRY(const auto volume, volume_of(request, built, "EFIESP"));
  IMPRINT_TRY(const auto file, volume->open_file("EFI/Microsoft/Boot/BCD"));
  IMPRINT_TRY(const auto hive, file->read(0, file->size()));
  IMPRINT_TRY(const auto store, bcd::Store::read(hive));
  if (store.find(bcd::objects::boot_manager()) == nullptr) return wrong("the boot store has no boot manager");
  return {};
}

// Adds the paths in a folder as the volume spells them: looking up takes no notice of case, and a name in the wrong
// characters may still be found by its short form.
core::Status list_folder(disk::Volume& volume, const std::string& folder, std::set<std::string>& stored) {
  IMPRINT_TRY(const auto entries, volume.list(folder));
  for (const disk::FileEntry& entry : entries) stored.insert(folder.empty() ? entry.name : folder + "/" + entry.name);
  return {};
}

core::Failure differs(std::string_view partition, std::string_view path, core::Error cause) {
  return wrong("the partition does not hold what it should")
      .with("partition", partition)
      .with("path", path)
      .caused_by(std::move(cause));
}

core::Status compare_file(disk::Volume& volume, const TreeFile& wanted) {
  IMPRINT_TRY(const auto source, core::FileSource::open(wanted.source));
  IMPRINT_TRY(const auto stored, volume.open_file(wanted.path));
  if (source->size() != wanted.size || stored->size() != wanted.size) {
    return wrong("the size differs").with("expected", wanted.size).with("actual", stored->size());
  }
  for (std::uint64_t offset = 0; offset < wanted.size; offset += kPiece) {
    const std::uint64_t length = std::min(kPiece, wanted.size - offset);
    IMPRINT_TRY(const auto expected, source->read(offset, length));
    IMPRINT_TRY(const auto actual, stored->read(offset, length));
    if (expected != actual) return wrong("the content differs").with("offset", offset);
  }
  return {};
}

core::Status check_files(const ProofRequest& request, const std::shared_ptr<const core::BlockSource>& built) {
  for (const ExpectedVolume& expected : request.volumes) {
    IMPRINT_TRY(const auto volume, volume_of(request, built, expected.partition));
    std::set<std::string> stored;
    IMPRINT_CHECK(list_folder(*volume, "", stored));
    // Parents come before what is in them.
    for (const std::string& folder : expected.tree.directories()) {
      auto listed = stored.contains(folder) ? list_folder(*volume, folder, stored)
                                            : core::Status(wrong("this path is not there"));
      if (!listed) return differs(expected.partition, folder, std::move(listed).error());
    }
    for (const TreeFile& file : expected.tree.files()) {
      auto same =
          stored.contains(file.path) ? compare_file(*volume, file) : core::Status(wrong("this path is not there"));
      if (!same) return differs(expected.partition, file.path, std::move(same).error());
    }
  }
  return {};
}

core::Status prove(const ProofRequest& request) {
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> file, core::FileSource::open(request.image));
  IMPRINT_TRY(const auto opened, ffu::open_image(*file));
  IMPRINT_CHECK(ffu::verify_units(opened, *file, 0, {}));
  if (opened.image.form != ffu::Form::v1) return wrong("the image is not a V1 image");
  IMPRINT_TRY(auto map, ffu::DiskMap::build(opened.image.stores.front(), request.disk->size()));
  // Straight from the file, whose every chunk was just hashed: it is not compressed, so its bytes are the plain ones.
  const auto built = std::make_shared<ffu::DescribedDisk>(std::move(map), file);
  IMPRINT_CHECK(compare_bytes(request, *built));
  IMPRINT_CHECK(check_table(request, *built));
  IMPRINT_CHECK(check_volumes(request, built));
  IMPRINT_CHECK(check_boot_store(request, built));
  return check_files(request, built);
}

}  // namespace

core::Status prove_image(const ProofRequest& request) {
  auto proved = prove(request);
  if (proved || proved.error().id() == "image.self-check-failed") return proved;
  return fail("image.self-check-failed").with("file", request.image.string()).caused_by(std::move(proved).error());
}

}  // namespace imprint::imaging
