// SPDX-License-Identifier: GPL-3.0-or-later
// What a capture promises: extract gives back the disk byte for byte, and zeros that are meant are in the image.
#include "flash/imaging/capture.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <mutex>

#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/extract.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/writer.hpp"
#include "tests/unit/imaging/workspace_fixture.hpp"

namespace imprint::imaging {
namespace {

using test::TemporaryFolder;

// Grows with what is written. Takes writes from several threads.
class MemorySink final : public core::BlockSink {
 public:
  core::Status write_at(std::uint64_t offset, core::ByteView data) override {
    const std::scoped_lock lock(mutex_);
    if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
    std::ranges::copy(data, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  core::Status flush() override { return {}; }
  core::ByteBuffer bytes;

 private:
  std::mutex mutex_;
};

// Bytes of which only some ranges count as data, as in a sparse file; the rest are holes.
class SparseSource final : public core::BlockSource {
 public:
  SparseSource(core::ByteBuffer bytes, std::vector<core::Extent> data)
      : bytes_(std::move(bytes)), data_(std::move(data)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  [[nodiscard]] core::Result<std::optional<core::Extent>> next_data(std::uint64_t from) const override {
    for (const core::Extent& extent : data_) {
      const std::uint64_t start = std::max(from, extent.offset);
      if (start < extent.end()) return std::optional{core::Extent{start, extent.end() - start}};
    }
    return std::optional<core::Extent>{};
  }

 private:
  core::ByteBuffer bytes_;
  std::vector<core::Extent> data_;
};

class UnreadableSource final : public core::BlockSource {
 public:
  [[nodiscard]] std::uint64_t size() const override { return 1U << 20; }
  [[nodiscard]] core::Status read_at(std::uint64_t, core::ByteSpan) const override {
    return core::fail("io.read-failed");
  }
};

std::shared_ptr<const core::BlockSource> memory(core::ByteBuffer bytes) {
  return std::make_shared<core::MemorySource>(std::move(bytes));
}

// Bytes that are zero nowhere, so that a block that was forgotten shows.
void fill(core::ByteBuffer& bytes, std::uint64_t offset, std::uint64_t length, std::uint32_t seed = 1) {
  std::uint32_t state = seed;
  for (std::uint64_t i = 0; i < length; ++i) {
    state = state * 1664525U + 1013904223U;
    bytes.at(offset + i) = static_cast<std::uint8_t>(state >> 24U | 1U);
  }
}

CaptureRequest request_of(std::uint32_t block_size = 131072) {
  CaptureRequest request;
  request.platform_ids = {"Imprint.Virtual.Board.1"};
  request.block_size = block_size;
  request.description = "A test";
  return request;
}

core::ByteBuffer write(const Capture& capture, const core::BlockSource& disk,
                       ffu::Compression compression = ffu::Compression::none) {
  ffu::WriteRequest request;
  request.compression = compression;
  request.form = compression == ffu::Compression::none ? ffu::Form::v1 : ffu::Form::v1_compressed;
  request.manifest = capture.manifest;
  request.stores.push_back({capture.store, &disk});
  request.make_catalog = [](core::ByteView) { return core::ByteBuffer(100, 0x30); };
  MemorySink sink;
  const auto size = ffu::write_image(request, sink);
  INFO((size ? std::string() : size.error().message()));
  REQUIRE(size.has_value());
  return std::move(sink.bytes);
}

// The disk that the image describes, at the size that its manifest names.
core::ByteBuffer extract(const core::ByteBuffer& image) {
  const core::MemorySource file(image);
  const auto opened = ffu::open_image(file);
  INFO((opened ? std::string() : opened.error().message()));
  REQUIRE(opened.has_value());
  const auto size = ffu::disk_bytes_for(opened->image, 0, std::nullopt);
  REQUIRE(size.has_value());
  const auto map = ffu::DiskMap::build(opened->image.stores[0], *size);
  REQUIRE(map.has_value());
  MemorySink disk;
  disk.bytes.resize(*size);
  REQUIRE(ffu::extract_disk(*opened, file, *map, disk, 2, {}).has_value());
  return std::move(disk.bytes);
}

void expect_round_trip(const core::ByteBuffer& bytes, std::uint32_t block_size,
                       ffu::Compression compression = ffu::Compression::none) {
  const auto disk = memory(bytes);
  const auto capture = capture_disk(disk, request_of(block_size));
  INFO((capture ? std::string() : capture.error().message()));
  REQUIRE(capture.has_value());
  CHECK(extract(write(*capture, *disk, compression)) == bytes);
}

disk::PartitionTable gpt_of(std::uint32_t sector_size, std::vector<disk::Partition> partitions) {
  disk::PartitionTable table;
  table.sector_size = sector_size;
  table.disk_id = core::Guid::from_name("disk");
  for (disk::Partition& partition : partitions) {
    partition.type = core::Guid::from_name("type");
    partition.id = core::Guid::from_name(partition.name);
  }
  table.partitions = std::move(partitions);
  return table;
}

disk::Partition partition(std::string name, std::uint64_t first, std::uint64_t count) {
  disk::Partition out;
  out.name = std::move(name);
  out.first_sector = first;
  out.sector_count = count;
  return out;
}

core::ByteBuffer gpt_disk(const disk::PartitionTable& table, std::uint64_t bytes) {
  const auto gpt = disk::encode_gpt(table, bytes / table.sector_size);
  INFO((gpt ? std::string() : gpt.error().message()));
  REQUIRE(gpt.has_value());
  core::ByteBuffer out(bytes);
  std::ranges::copy(gpt->head, out.begin());
  std::ranges::copy(gpt->tail, out.end() - static_cast<std::ptrdiff_t>(gpt->tail.size()));
  return out;
}

bool describes(const Capture& capture, std::uint64_t offset, std::uint64_t length, std::uint64_t disk_bytes) {
  const auto map = ffu::DiskMap::build(capture.store, disk_bytes);
  REQUIRE(map.has_value());
  std::uint64_t described = 0;
  for (const ffu::MappedRun& run : map->within(offset, length)) described += run.length;
  return described == length;
}

}  // namespace

TEST_CASE("a disk without a partition table comes back byte for byte, whatever its size") {
  const std::uint32_t block = GENERATE(4096U, 131072U, 1048576U);
  const std::uint64_t extra =
      GENERATE(std::uint64_t{0}, std::uint64_t{512}, std::uint64_t{4096}, std::uint64_t{200704});
  core::ByteBuffer bytes(3 * 1048576ULL + extra);
  fill(bytes, 5000, 3);
  fill(bytes, 1500000, 70000);
  fill(bytes, bytes.size() - 1, 1);
  expect_round_trip(bytes, block);
}

TEST_CASE("a disk of data in every block comes back byte for byte") {
  core::ByteBuffer bytes(1048576 + 1536);
  fill(bytes, 0, bytes.size());
  expect_round_trip(bytes, 65536);
}

TEST_CASE("a disk of zeros comes back as it was") { expect_round_trip(core::ByteBuffer(700 * 512), 131072); }

TEST_CASE("a disk of exactly one block comes back byte for byte") {
  core::ByteBuffer bytes(131072);
  fill(bytes, 700, 9000);
  expect_round_trip(bytes, 131072);
}

TEST_CASE("a GPT disk comes back byte for byte, data between its partitions too") {
  const std::uint32_t sector = GENERATE(512U, 4096U);
  const std::uint64_t size = (8U << 20) + sector;  // no multiple of any block
  auto bytes = gpt_disk(
      gpt_of(sector, {partition("First", (1U << 20) / sector, 100), partition("Last", (4U << 20) / sector, 64)}), size);
  fill(bytes, (1U << 20) + 3 * sector, 2000);
  fill(bytes, (3U << 20) + 77, 5);  // in no partition
  fill(bytes, (4U << 20) + 64ULL * sector - 1, 1);
  fill(bytes, size - 40ULL * sector, 1);
  const auto compression = GENERATE(ffu::Compression::none, ffu::Compression::xpress_huffman);
  expect_round_trip(bytes, GENERATE(4096U, 131072U), compression);
}

TEST_CASE("the sector size is found by where the GPT lies, and stands in the manifest") {
  const std::uint32_t sector = GENERATE(512U, 4096U);
  const auto disk = memory(gpt_disk(gpt_of(sector, {partition("Data", (1U << 20) / sector, 10)}), 4U << 20));
  const auto capture = capture_disk(disk, request_of());
  REQUIRE(capture.has_value());
  CHECK(capture->sector_size == sector);
  const auto manifest = ffu::parse_manifest(capture->manifest);
  REQUIRE(manifest.has_value());
  CHECK(manifest->stores.at(0).sector_size == sector);
  CHECK(manifest->stores.at(0).min_disk_bytes() == 4U << 20);
}

TEST_CASE("an MBR disk with logical partitions comes back byte for byte") {
  disk::PartitionTable table;
  table.style = disk::TableStyle::mbr;
  table.mbr_signature = 0x12345678;
  auto primary = partition("", 2048, 2048);
  primary.number = 1;
  primary.mbr_type = 0x07;
  auto logical = partition("", 8192, 2048);
  logical.number = 5;
  logical.mbr_type = 0x0C;
  table.partitions = {primary, logical};
  const std::uint64_t size = 8U << 20;
  const auto sectors = disk::encode_mbr(table, size / 512);
  REQUIRE(sectors.has_value());
  core::ByteBuffer bytes(size);
  for (const disk::MbrSector& sector : *sectors)
    std::ranges::copy(sector.bytes, bytes.begin() + static_cast<std::ptrdiff_t>(sector.sector * 512));
  fill(bytes, 2048 * 512 + 100000, 3000);
  fill(bytes, 8192 * 512, 10);
  const auto capture = capture_disk(memory(bytes), request_of());
  REQUIRE(capture.has_value());
  REQUIRE(capture->table.has_value());
  CHECK(capture->table->partitions.size() == 2);
  expect_round_trip(bytes, 131072);
}

TEST_CASE("a disk whose GPT is damaged is taken as it is") {
  auto bytes = gpt_disk(gpt_of(512, {partition("Data", 2048, 100)}), 4U << 20);
  bytes[512 + 20] ^= 1;
  bytes[bytes.size() - 512 + 20] ^= 1;
  const auto capture = capture_disk(memory(bytes), request_of());
  REQUIRE(capture.has_value());
  CHECK_FALSE(capture->table.has_value());
  expect_round_trip(bytes, 131072);
}

TEST_CASE("the partition tables are the last that is written") {
  auto bytes = gpt_disk(gpt_of(512, {partition("Data", 2048, 4096)}), 4U << 20);
  fill(bytes, 2048 * 512, 4096 * 512);
  const auto capture = capture_disk(memory(bytes), request_of());
  REQUIRE(capture.has_value());
  const auto& store = capture->store;
  REQUIRE(store.descriptors.size() > 3);
  const auto block_of = [&](std::size_t from_last) {
    return store.locations_of(store.descriptors[store.descriptors.size() - 1 - from_last])[0].block_index;
  };
  CHECK(block_of(1) == 31);
  CHECK(block_of(0) == 0);
}

TEST_CASE("zeros of a partition of unknown contents are in the image unless they are a hole") {
  const std::uint64_t size = 16U << 20;
  auto bytes = gpt_disk(gpt_of(512, {partition("Unknown", 8192, 16384)}), size);  // from 4 MiB to 12 MiB
  const auto disk = std::make_shared<const SparseSource>(
      bytes, std::vector<core::Extent>{{0, 131072}, {6U << 20, 1U << 20}, {size - 131072, 131072}});
  const auto capture = capture_disk(disk, request_of());
  REQUIRE(capture.has_value());
  CHECK(describes(*capture, 6U << 20, 1U << 20, size));
  CHECK_FALSE(describes(*capture, 8U << 20, 131072, size));
  CHECK_FALSE(describes(*capture, 13U << 20, 131072, size));  // zeros in no partition
}

TEST_CASE("what FAT has allocated is in the image though it is zero, and what is free is not") {
  TemporaryFolder folder;
  const std::string volume = folder.file("volume");
  REQUIRE(test::run_tool({"mkfs.vfat", "--invariant", "-C", "-F", "16", volume, "16384"}));
  test::put_file(folder / "zeros", std::string(3U << 20, '\0'));
  REQUIRE(test::run_tool({"mcopy", "-i", volume, folder.file("zeros"), "::zeros"}));
  const std::string content = test::get_file(volume);
  const std::uint64_t size = 20U << 20;
  auto bytes = gpt_disk(gpt_of(512, {partition("Files", 2048, content.size() / 512)}), size);
  std::ranges::copy(core::as_bytes(content), bytes.begin() + (1 << 20));
  const auto disk = memory(bytes);
  const auto capture = capture_disk(disk, request_of());
  REQUIRE(capture.has_value());
  CHECK(describes(*capture, 2U << 20, 2U << 20, size));
  CHECK_FALSE(describes(*capture, 12U << 20, 131072, size));
  CHECK(extract(write(*capture, *disk)) == bytes);
  const auto manifest = ffu::parse_manifest(capture->manifest);
  REQUIRE(manifest.has_value());
  const auto& described = manifest->stores.at(0).partitions.at(0);
  CHECK(described.name == "Files");
  CHECK(described.file_system == "FAT");
  CHECK(described.total_sectors == content.size() / 512);
  CHECK(described.used_sectors > (3U << 20) / 512);
  CHECK(described.used_sectors < described.total_sectors);
}

TEST_CASE("a file in free space that was deleted comes back too") {
  TemporaryFolder folder;
  const std::string volume = folder.file("volume");
  REQUIRE(test::run_tool({"mkfs.vfat", "--invariant", "-C", "-F", "16", volume, "16384"}));
  test::put_file(folder / "file", std::string(1U << 20, 'x'));
  REQUIRE(test::run_tool({"mcopy", "-i", volume, folder.file("file"), "::file"}));
  REQUIRE(test::run_tool({"mdel", "-i", volume, "::file"}));
  const std::string content = test::get_file(volume);
  const auto view = core::as_bytes(content);
  expect_round_trip(core::ByteBuffer(view.begin(), view.end()), 131072);
}

TEST_CASE("the same disk gives the same image") {
  auto bytes = gpt_disk(gpt_of(512, {partition("Data", 2048, 4096)}), 4U << 20);
  fill(bytes, 2048 * 512 + 9, 100000);
  const auto disk = memory(bytes);
  const auto first = capture_disk(disk, request_of());
  const auto second = capture_disk(disk, request_of());
  REQUIRE((first && second));
  CHECK(write(*first, *disk) == write(*second, *disk));
}

TEST_CASE("the manifest names every platform id, and a partition's name cannot break its lines") {
  const auto disk = memory(gpt_disk(gpt_of(512, {partition("a\r\nVersion = 9", 2048, 10)}), 4U << 20));
  auto request = request_of();
  request.platform_ids = {"A.B.C", "D.E.F.1"};
  const auto capture = capture_disk(disk, request);
  REQUIRE(capture.has_value());
  const auto manifest = ffu::parse_manifest(capture->manifest);
  REQUIRE(manifest.has_value());
  CHECK(manifest->version == "2.0");
  CHECK(manifest->description == "A test");
  CHECK(manifest->platform_ids == request.platform_ids);
  CHECK(manifest->stores.at(0).partitions.at(0).name == "a??Version = 9");
  CHECK(capture->store.platform_ids == request.platform_ids);
}

TEST_CASE("what cannot be captured is refused by its id") {
  const auto expect_id = [](std::uint64_t size, const CaptureRequest& request, std::string_view id) {
    const auto capture = capture_disk(memory(core::ByteBuffer(size)), request);
    REQUIRE_FALSE(capture.has_value());
    CHECK(capture.error().id() == id);
  };
  expect_id(1048577, request_of(), "ffu.unwritable");           // no whole sectors
  expect_id(131072 - 512, request_of(), "ffu.unwritable");      // smaller than a block
  expect_id(0, request_of(), "ffu.unwritable");                 // nothing
  expect_id(1U << 20, request_of(2048), "ffu.block-size");      // too small
  expect_id(1U << 22, request_of(2U << 20), "ffu.block-size");  // too large
  expect_id(1U << 20, request_of(12288), "ffu.block-size");     // no power of two
  auto request = request_of();
  request.sector_size = 4096;
  expect_id((1U << 20) + 512, request, "ffu.unwritable");
  for (const std::vector<std::string>& ids :
       {std::vector<std::string>{}, {""}, {"A.B.C\nVersion = 9"}, {std::string(191, 'a')}}) {
    request = request_of();
    request.platform_ids = ids;
    expect_id(1U << 20, request, "ffu.platform-ids");
  }
}

TEST_CASE("a disk that cannot be read is not taken for one without a table") {
  const auto capture = capture_disk(std::make_shared<const UnreadableSource>(), request_of());
  REQUIRE_FALSE(capture.has_value());
  CHECK(capture.error().id() == "io.read-failed");
}

TEST_CASE("a capture stops when it is asked to") {
  core::ByteBuffer bytes(8U << 20);
  const auto disk = std::make_shared<const SparseSource>(bytes, std::vector<core::Extent>{{0, 4096}, {5U << 20, 4096}});
  std::stop_source stop;
  auto request = request_of();
  request.stop = stop.get_token();
  std::uint64_t seen = 0;
  request.progress = [&](std::uint64_t done, std::uint64_t) {
    seen = done;
    stop.request_stop();
  };
  const auto capture = capture_disk(disk, request);
  REQUIRE_FALSE(capture.has_value());
  CHECK(capture.error().id() == "job.cancelled");
  CHECK(seen == 1U << 20);
}

}  // namespace imprint::imaging
