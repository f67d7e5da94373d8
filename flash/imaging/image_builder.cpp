// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of a build, in order: workspace, plan, boot store, volumes, recovery, disk, image, proof.
#include "flash/imaging/image_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "flash/bcd/boot_configuration.hpp"
#include "flash/bcd/store.hpp"
#include "flash/core/atomic_file.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/errors.hpp"
#include "flash/disk/volume.hpp"
#include "flash/ffu/manifest.hpp"
#include "flash/ffu/write_order.hpp"
#include "flash/imaging/errors.hpp"
#include "flash/imaging/image_proof.hpp"
#include "flash/imaging/recovery_content.hpp"
#include "flash/imaging/scratch_folder.hpp"
#include "flash/imaging/volume_builder.hpp"

namespace imprint::imaging {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kBlockSize = 131072;  // of the payload; every reader of the format expects this one
constexpr std::string_view kBootStorePath = "EFI/Microsoft/Boot/BCD";

bool is_recovery(const disk::LayoutPartition& partition) { return core::equals_ignoring_case(partition.name, "MMOS"); }
bool is_system(const disk::LayoutPartition& partition) { return core::equals_ignoring_case(partition.name, "EFIESP"); }

// One build, from its workspace to the proved image.
class Build {
 public:
  Build(const BuildRequest& request, core::ProcessRunner& runner, Workspace workspace, ScratchFolder scratch)
      : request_(request),
        workspace_(std::move(workspace)),
        scratch_(std::move(scratch)),
        volumes_(runner, scratch_.path(), request.time) {}

  [[nodiscard]] core::Result<BuildSummary> run();

 private:
  [[nodiscard]] core::Status plan();
  [[nodiscard]] core::Result<std::vector<std::uint64_t>> estimate_content() const;
  [[nodiscard]] core::Status make_boot_store();
  [[nodiscard]] core::Status make_volumes();
  [[nodiscard]] core::Status make_volume(std::size_t index, FileTree tree);
  [[nodiscard]] core::Status compose();
  [[nodiscard]] core::Status write_image();
  [[nodiscard]] std::string manifest() const;
  [[nodiscard]] ffu::ManifestSection manifest_partition(std::size_t index) const;
  void report(std::string_view stage, std::uint64_t done, std::uint64_t total) const {
    if (request_.progress) request_.progress(stage, done, total);
  }
  [[nodiscard]] const disk::DeviceLayout& layout() const { return workspace_.layout(); }

  const BuildRequest& request_;
  Workspace workspace_;
  ScratchFolder scratch_;
  VolumeBuilder volumes_;
  disk::PartitionTable table_;
  std::uint64_t disk_sectors_ = 0;
  std::optional<fs::path> boot_store_;
  std::vector<std::optional<FinishedVolume>> finished_;  // by the layout's index
  std::vector<std::uint64_t> used_bytes_;                // by the layout's index
  std::vector<ExpectedVolume> expected_;                 // in the order in which they were made
  std::shared_ptr<core::CompositeSource> disk_;
  core::ExtentSet allocated_;
  BuildSummary summary_;
};

core::Result<std::vector<std::uint64_t>> Build::estimate_content() const {
  std::vector<std::uint64_t> out;
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < layout().partitions.size(); ++i) {
    const disk::LayoutPartition& partition = layout().partitions[i];
    const std::uint64_t files =
        workspace_.tree(i).allocated_bytes(partition.cluster_size != 0 ? partition.cluster_size : 4096);
    all += files;
    out.push_back(files);
  }
  for (std::size_t i = 0; i < layout().partitions.size(); ++i) {
    const disk::LayoutPartition& partition = layout().partitions[i];
    if (partition.min_free_sectors == 0) continue;
    if (is_recovery(partition)) {
      // Captured volumes do not grow by being captured.
      FileTree winpe;
      IMPRINT_CHECK(winpe.add_folder("", workspace_.recovery().winpe_folder));
      out[i] += all + winpe.allocated_bytes(4096) + (1U << 20);
    }
    const std::uint64_t free = disk::guaranteed_free_sectors(partition, workspace_.platform());
    out[i] += file_system_overhead(partition.file_system, out[i] + free * layout().sector_size);
  }
  return out;
}

core::Status Build::plan() {
  if (layout().style() != disk::TableStyle::gpt) {
    return disk::fail("layout.schema-unsupported", "images with an MBR are not built yet")
        .with("file", (workspace_.folder() / "DeviceLayout.xml").string());
  }
  IMPRINT_TRY(const auto content, estimate_content());
  auto planned = disk::plan_partitions(layout(), workspace_.platform(), content);
  if (!planned) {
    planned.error().add_context("file", (workspace_.folder() / "DeviceLayout.xml").string());
    return std::unexpected(std::move(planned).error());
  }
  table_ = std::move(*planned);
  disk_sectors_ = workspace_.platform().min_sector_count * 512 / layout().sector_size;
  finished_.resize(layout().partitions.size());
  used_bytes_.resize(layout().partitions.size());
  return {};
}

core::Status Build::make_boot_store() {
  if (workspace_.boot_configurations().empty()) return {};
  const bcd::PartitionResolver resolve = [this](std::string_view name) -> std::optional<bcd::Device> {
    const disk::Partition* partition = table_.find(name);
    if (partition == nullptr) return std::nullopt;
    return bcd::Device{.options = {}, .kind = bcd::GptPartition{.disk = table_.disk_id, .partition = partition->id}};
  };
  bcd::Store store;
  for (const BootConfigurationFile& file : workspace_.boot_configurations()) {
    IMPRINT_CHECK(bcd::merge_boot_configuration(store, file.text, file.name, resolve));
  }
  IMPRINT_TRY(const auto hive, store.to_hive());
  const fs::path path = scratch_.path() / "BCD";
  IMPRINT_CHECK(core::write_file(path, hive));
  boot_store_ = path;
  return {};
}

core::Status Build::make_volume(std::size_t index, FileTree tree) {
  const disk::LayoutPartition& wanted = layout().partitions[index];
  const disk::Partition& planned = table_.partitions[index];
  const VolumeRequest request{
      .name = wanted.name,
      .file_system = wanted.file_system,
      .size = planned.sector_count * layout().sector_size,
      .sector_size = layout().sector_size,
      .cluster_size = wanted.cluster_size,
      .first_sector = planned.first_sector,
      .partition_id = planned.id,
      .min_free = disk::guaranteed_free_sectors(wanted, workspace_.platform()) * layout().sector_size};
  IMPRINT_TRY(const fs::path file, volumes_.build(request, tree));
  finished_[index] = FinishedVolume{.partition = wanted.name, .file_system = wanted.file_system, .file = file};
  IMPRINT_TRY(std::shared_ptr<const core::BlockSource> source, core::FileSource::open(file));
  IMPRINT_TRY(const auto volume, disk::open_volume(std::move(source)));
  const disk::VolumeInfo& info = volume->info();
  used_bytes_[index] = request.size - std::min(info.free, request.size);
  expected_.push_back({.partition = wanted.name, .tree = std::move(tree)});
  return {};
}

core::Status Build::make_volumes() {
  const std::size_t count = layout().partitions.size();
  std::size_t done = 0;
  // The recovery partition last: it holds what the others became.
  for (const bool recovery : {false, true}) {
    for (std::size_t i = 0; i < count; ++i) {
      const disk::LayoutPartition& partition = layout().partitions[i];
      if (is_recovery(partition) != recovery) continue;
      report("partition " + partition.name, done++, count);
      if (partition.file_system == disk::LayoutFileSystem::none) continue;
      FileTree tree = workspace_.tree(i);
      if (is_system(partition) && boot_store_) IMPRINT_CHECK(tree.add(kBootStorePath, *boot_store_));
      if (recovery) {
        std::vector<FinishedVolume> ready;
        for (const auto& volume : finished_) {
          if (volume) ready.push_back(*volume);
        }
        RecoveryContent content(scratch_.path(), request_.time);
        IMPRINT_CHECK(content.add_to(tree, workspace_.recovery(), ready));
      }
      IMPRINT_CHECK(make_volume(i, std::move(tree)));
    }
  }
  return {};
}

core::Status Build::compose() {
  IMPRINT_TRY(auto gpt, disk::encode_gpt(table_, disk_sectors_));
  const std::uint64_t disk_bytes = disk_sectors_ * layout().sector_size;
  disk_ = std::make_shared<core::CompositeSource>(disk_bytes);
  const std::uint64_t tail_offset = disk_bytes - gpt.tail.size();
  IMPRINT_CHECK(disk_->add(0, std::make_shared<core::MemorySource>(std::move(gpt.head))));
  IMPRINT_CHECK(disk_->add(tail_offset, std::make_shared<core::MemorySource>(std::move(gpt.tail))));
  for (std::size_t i = 0; i < finished_.size(); ++i) {
    if (!finished_[i]) continue;
    IMPRINT_TRY(auto file, core::FileSource::open(finished_[i]->file));
    IMPRINT_CHECK(disk_->add(table_.partitions[i].first_sector * layout().sector_size, std::move(file)));
  }
  IMPRINT_TRY(allocated_, disk::allocated_extents(disk_, table_));
  return {};
}

ffu::ManifestSection Build::manifest_partition(std::size_t index) const {
  const disk::LayoutPartition& partition = layout().partitions[index];
  const disk::Partition& planned = table_.partitions[index];
  ffu::ManifestSection section{.name = "Partition", .values = {}};
  const auto add = [&section](std::string key, std::string value) {
    section.values.emplace_back(std::move(key), std::move(value));
  };
  add("Name", partition.name);
  add("Type", partition.type);
  add("Id", planned.id.braced());
  add("Primary", partition.primary_partition.empty() ? partition.name : partition.primary_partition);
  switch (partition.file_system) {
    case disk::LayoutFileSystem::none:
      break;
    case disk::LayoutFileSystem::fat:
      add("FileSystem", "FAT");
      break;
    case disk::LayoutFileSystem::fat32:
      add("FileSystem", "FAT32");
      break;
    case disk::LayoutFileSystem::ntfs:
      add("FileSystem", "NTFS");
      break;
  }
  // Microsoft's tools write these only where they are true.
  if (partition.read_only) add("ReadOnly", "true");
  if (partition.hidden) add("Hidden", "true");
  if (partition.attach_drive_letter) add("AttachDriveLetter", "true");
  if (partition.bootable) add("Bootable", "true");
  if (partition.required_to_flash) add("RequiredToFlash", "true");
  if (partition.use_all_space) {
    add("UseAllSpace", "true");
  } else {
    const std::uint64_t used = finished_[index] ? used_bytes_[index] / layout().sector_size : planned.sector_count;
    add("TotalSectors", std::to_string(planned.sector_count));
    add("UsedSectors", std::to_string(used));
  }
  if (partition.byte_alignment != 0) add("ByteAlignment", std::to_string(partition.byte_alignment));
  if (partition.cluster_size != 0) add("ClusterSize", std::to_string(partition.cluster_size));
  return section;
}

std::string Build::manifest() const {
  std::vector<ffu::ManifestSection> sections;
  ffu::ManifestSection head{.name = "FullFlash", .values = {}};
  head.values.emplace_back("OSVersion", request_.os_version);
  head.values.emplace_back("AntiTheftVersion", "1.1");
  head.values.emplace_back("Description", "Built by Imprint");
  head.values.emplace_back("Version", "2.0");
  for (std::size_t i = 0; i < workspace_.platform().platform_ids.size(); ++i) {
    head.values.emplace_back(fmt::format("DevicePlatformId{}", i), workspace_.platform().platform_ids[i]);
  }
  sections.push_back(std::move(head));
  sections.push_back({.name = "Store",
                      .values = {{"SectorSize", std::to_string(layout().sector_size)},
                                 {"MinSectorCount", std::to_string(disk_sectors_)}}});
  for (std::size_t i = 0; i < layout().partitions.size(); ++i) sections.push_back(manifest_partition(i));
  return ffu::format_manifest(sections);
}

core::Status Build::write_image() {
  // Written and proved under another name first: the final name never stands for an image that has not proved right.
  core::AtomicFile output(request_.output);
  IMPRINT_CHECK(output.check_target());
  ffu::Store store =
      ffu::order_writes(disk_->size(), kBlockSize, allocated_, disk::table_extents(table_, disk_->size()).extents());
  store.platform_ids = workspace_.platform().platform_ids;
  ffu::WriteRequest write{
      .chunk_size = layout().chunk_size,
      .manifest = manifest(),
      .make_catalog = request_.make_catalog,
      .progress = [this](std::uint64_t done, std::uint64_t total) { report("image", done, total); }};
  write.stores.push_back({std::move(store), disk_.get()});
  IMPRINT_TRY(const auto sink, core::FileSink::create(output.temporary_path(), 0));
  IMPRINT_TRY(summary_.image_bytes, ffu::write_image(write, *sink));
  report("proof", 0, 1);
  IMPRINT_CHECK(prove_image({.image = output.temporary_path(),
                             .disk = disk_,
                             .allocated = allocated_,
                             .table = table_,
                             .has_boot_store = !workspace_.boot_configurations().empty(),
                             .volumes = std::move(expected_)}));
  IMPRINT_CHECK(output.commit());
  report("proof", 1, 1);
  return {};
}

core::Result<BuildSummary> Build::run() {
  IMPRINT_CHECK(plan());
  IMPRINT_CHECK(make_boot_store());
  IMPRINT_CHECK(make_volumes());
  IMPRINT_CHECK(compose());
  IMPRINT_CHECK(write_image());
  summary_.table = table_;
  summary_.packages = workspace_.packages();
  summary_.disk_bytes = disk_->size();
  summary_.allocated_bytes = allocated_.total();
  return std::move(summary_);
}

}  // namespace

core::Result<BuildSummary> build_image(const BuildRequest& request, core::ProcessRunner& runner) {
  if (request.progress) request.progress("workspace", 0, 1);
  IMPRINT_TRY(Workspace workspace, Workspace::open(request.workspace, request.variables));
  IMPRINT_TRY(ScratchFolder scratch, ScratchFolder::create(request.scratch));
  return Build(request, runner, std::move(workspace), std::move(scratch)).run();
}

}  // namespace imprint::imaging
