// SPDX-License-Identifier: GPL-3.0-or-later
// Allocation maps first, then a look through everything that no map vouches for.
#include "flash/imaging/capture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "flash/core/errors.hpp"
#include "flash/disk/volume.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"
#include "flash/ffu/manifest.hpp"
#include "flash/ffu/write_order.hpp"

namespace imprint::imaging {
namespace {

constexpr std::uint64_t kPieceBytes = 1U << 20;  // of a look through the disk; a multiple of every block

bool is_zero(core::ByteView bytes) {
  return bytes.empty() || (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// What is on the disk does not make sense as this structure, while the disk itself can be read.
bool is_about_contents(const core::Error& error) {
  return error.id().starts_with("layout.") || error.id().starts_with("volume.") || error.id() == "io.out-of-range" ||
         error.id() == "format.truncated";
}

core::Result<std::optional<disk::PartitionTable>> read_table(const core::BlockSource& disk, std::uint32_t sector_size) {
  auto table = disk::read_partition_table(disk, sector_size);
  if (table) return std::optional(std::move(*table));
  if (is_about_contents(table.error())) return std::optional<disk::PartitionTable>{};
  return std::unexpected(std::move(table).error());
}

// Zeros that are not a hole may be meant.
core::Result<core::ExtentSet> data_of(const core::BlockSource& source) {
  core::ExtentSet out;
  for (std::uint64_t from = 0;;) {
    IMPRINT_TRY(const auto found, source.next_data(from));
    if (!found) return out;
    out.add(*found);
    from = found->end();
  }
}

// Manifests know one name for the two small kinds.
std::string_view manifest_name(disk::FileSystem kind) {
  return kind == disk::FileSystem::fat12 || kind == disk::FileSystem::fat16 ? "FAT" : disk::to_string(kind);
}

struct Contents {
  std::string_view file_system;  // "" where it is unknown
  core::ExtentSet needed;        // from the partition's start
};

core::Result<Contents> contents_of(const std::shared_ptr<const core::BlockSource>& partition) {
  auto volume = disk::open_volume(partition);
  core::Result<core::ExtentSet> allocated = core::ExtentSet{};
  if (volume) allocated = (*volume)->allocated();
  if (volume && allocated) return Contents{manifest_name((*volume)->info().kind), std::move(*allocated)};
  auto& error = volume ? allocated.error() : volume.error();
  if (!is_about_contents(error)) return std::unexpected(std::move(error));
  IMPRINT_TRY(auto data, data_of(*partition));
  return Contents{"", std::move(data)};
}

// One capture, from the disk's size to its descriptors.
class Run {
 public:
  Run(const std::shared_ptr<const core::BlockSource>& disk, const CaptureRequest& request)
      : disk_(disk), request_(request) {}

  core::Result<Capture> capture();

 private:
  [[nodiscard]] core::Status check_request() const;
  [[nodiscard]] core::Status check_size() const;
  [[nodiscard]] core::Status take_partitions();
  [[nodiscard]] core::Status look_through();
  [[nodiscard]] core::Status look_at(core::Extent piece);
  void describe_partition(const disk::Partition& partition, const Contents& contents);
  [[nodiscard]] std::string manifest() const;

  const std::shared_ptr<const core::BlockSource>& disk_;
  const CaptureRequest& request_;
  Capture out_;
  std::vector<ffu::ManifestSection> partitions_;
  core::ByteBuffer buffer_;
};

core::Status Run::check_request() const {
  const std::uint32_t block = request_.block_size;
  if (!std::has_single_bit(block) || block < ffu::format::kMinBlockBytes || block > ffu::format::kMaxBlockBytes)
    return ffu::fail("ffu.block-size").with("actual", block);
  return ffu::check_platform_ids(request_.platform_ids);
}

core::Status Run::check_size() const {
  const std::uint64_t size = disk_->size();
  if (size % out_.sector_size != 0) {
    return ffu::fail("ffu.unwritable", "the disk's size is no multiple of its sector size")
        .with("size", size)
        .with("sector_size", out_.sector_size);
  }
  if (size < request_.block_size) {
    return ffu::fail("ffu.unwritable", "the disk is smaller than one block; a smaller block size may do")
        .with("size", size)
        .with("block_size", request_.block_size);
  }
  if (size / request_.block_size > UINT32_MAX) {
    return ffu::fail("ffu.unwritable", "the disk has more blocks than the format can count; use larger ones")
        .with("size", size)
        .with("block_size", request_.block_size);
  }
  return {};
}

std::string printable_name(const disk::Partition& partition) {
  std::string name;
  for (const char c : partition.name) name += c >= ' ' && c <= '~' ? c : '?';  // manifests are ASCII, a line a value
  return name.empty() ? fmt::format("Partition{}", partition.number) : name;
}

void Run::describe_partition(const disk::Partition& partition, const Contents& contents) {
  ffu::ManifestSection section{.name = "Partition", .values = {}};
  const bool is_gpt = out_.table->style == disk::TableStyle::gpt;
  const std::uint64_t used = core::round_up(contents.needed.total(), out_.sector_size) / out_.sector_size;
  section.values.emplace_back("Name", printable_name(partition));
  section.values.emplace_back("Type", is_gpt ? partition.type.braced() : fmt::format("0x{:02X}", partition.mbr_type));
  if (is_gpt) section.values.emplace_back("Id", partition.id.braced());
  section.values.emplace_back("Primary", printable_name(partition));
  if (!contents.file_system.empty()) section.values.emplace_back("FileSystem", std::string(contents.file_system));
  section.values.emplace_back("TotalSectors", std::to_string(partition.sector_count));
  section.values.emplace_back("UsedSectors", std::to_string(std::min(used, partition.sector_count)));
  partitions_.push_back(std::move(section));
}

core::Status Run::take_partitions() {
  if (!out_.table) {
    IMPRINT_TRY(const auto contents, contents_of(disk_));
    out_.content.add_all(contents.needed);
    return {};
  }
  for (const disk::Partition& partition : out_.table->partitions) {
    IMPRINT_TRY(const auto source, disk::open_partition(disk_, *out_.table, partition));
    auto contents = contents_of(source);
    if (!contents) {
      contents.error().add_context("partition", std::to_string(partition.number));
      return std::unexpected(std::move(contents).error());
    }
    out_.content.add_all(contents->needed, partition.first_sector * out_.sector_size);
    describe_partition(partition, *contents);
  }
  return {};
}

core::Status Run::look_at(core::Extent piece) {
  if (request_.stop.stop_requested()) return core::fail("job.cancelled");
  buffer_.resize(piece.length);
  IMPRINT_CHECK(disk_->read_at(piece.offset, buffer_));
  for (std::uint64_t at = 0; at < piece.length; at += request_.block_size) {
    const auto block =
        core::ByteView(buffer_).subspan(at, std::min<std::uint64_t>(request_.block_size, piece.length - at));
    if (!is_zero(block)) out_.content.add({piece.offset + at, block.size()});
  }
  if (request_.progress) request_.progress(piece.offset + piece.length, disk_->size());
  return {};
}

core::Status Run::look_through() {
  const std::uint64_t size = disk_->size();
  for (std::uint64_t from = 0; from < size;) {
    IMPRINT_TRY(const auto data, disk_->next_data(from));
    if (!data) break;
    // Whole pieces, which are whole blocks: they are read that way again when the image is written.
    const std::uint64_t start = std::max(from, data->offset / kPieceBytes * kPieceBytes);
    const std::uint64_t end = std::min(size, start / kPieceBytes * kPieceBytes + kPieceBytes);
    if (!out_.content.contains({start, end - start})) IMPRINT_CHECK(look_at({start, end - start}));
    from = end;
  }
  return {};
}

std::string Run::manifest() const {
  std::vector<ffu::ManifestSection> sections;
  ffu::ManifestSection head{.name = "FullFlash", .values = {}};
  head.values.emplace_back("Version", "2.0");
  head.values.emplace_back("Description", request_.description);
  for (std::size_t i = 0; i < request_.platform_ids.size(); ++i)
    head.values.emplace_back(fmt::format("DevicePlatformId{}", i), request_.platform_ids[i]);
  sections.push_back(std::move(head));
  sections.push_back({.name = "Store",
                      .values = {{"SectorSize", std::to_string(out_.sector_size)},
                                 {"MinSectorCount", std::to_string(disk_->size() / out_.sector_size)}}});
  sections.insert(sections.end(), partitions_.begin(), partitions_.end());
  return ffu::format_manifest(sections);
}

core::Result<Capture> Run::capture() {
  IMPRINT_CHECK(check_request());
  std::optional<std::uint32_t> sector_size = request_.sector_size;
  if (!sector_size) {
    IMPRINT_TRY(sector_size, find_sector_size(*disk_));
  }
  out_.sector_size = sector_size.value_or(512);
  IMPRINT_CHECK(check_size());
  IMPRINT_TRY(out_.table, read_table(*disk_, out_.sector_size));
  core::ExtentSet tables;
  if (out_.table) tables = disk::table_extents(*out_.table, disk_->size());
  out_.content = tables;
  IMPRINT_CHECK(take_partitions());
  IMPRINT_CHECK(look_through());
  const std::uint64_t blocks = out_.content.aligned(request_.block_size).total() / request_.block_size;
  if (blocks > ffu::format::kMaxDescriptors) {
    return ffu::fail("ffu.unwritable", "the image would have more writes than any reader takes; use larger blocks")
        .with("actual", blocks)
        .with("block_size", request_.block_size);
  }
  out_.store = ffu::order_writes(disk_->size(), request_.block_size, out_.content, tables.extents());
  out_.store.platform_ids = request_.platform_ids;
  out_.manifest = manifest();
  return std::move(out_);
}

}  // namespace

core::Result<std::optional<std::uint32_t>> find_sector_size(const core::BlockSource& disk) {
  for (const std::uint32_t size : {512U, 4096U}) {
    IMPRINT_TRY(const auto table, read_table(disk, size));
    if (table) return std::optional(size);
  }
  return std::optional<std::uint32_t>{};
}

core::Result<Capture> capture_disk(const std::shared_ptr<const core::BlockSource>& disk,
                                   const CaptureRequest& request) {
  return Run(disk, request).capture();
}

}  // namespace imprint::imaging
