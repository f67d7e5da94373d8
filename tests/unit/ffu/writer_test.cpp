// SPDX-License-Identifier: GPL-3.0-or-later
// Images that were written describe the disk that they were made from, and nothing of a device's old contents shows
// through where a file system is.
#include "flash/ffu/writer.hpp"

#include <catch2/catch.hpp>

#include <random>

#include "flash/ffu/chunk_verifier.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/extract.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;

namespace {

core::ByteBuffer random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  core::ByteBuffer out(size);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

core::Result<core::ByteBuffer> fixed_catalog(core::ByteView) { return core::ByteBuffer(300, 0xCC); }

struct Fixture {
  fixture::ScratchFolder folder;
  core::ByteBuffer disk_bytes;
  std::unique_ptr<core::MemorySource> disk;
  ffu::WriteRequest request;

  explicit Fixture(std::size_t size = 2U << 20) : disk_bytes(random_bytes(size, 7)) {
    disk = std::make_unique<core::MemorySource>(disk_bytes);
    request.disk = disk.get();
    request.manifest = "[Store]\r\nSectorSize = 512\r\nMinSectorCount = " + std::to_string(size / 512) + "\r\n";
    request.platform_ids = {"A.B.C.1"};
    request.block_size = 16384;
    request.chunk_size = 16384;
    request.make_catalog = fixed_catalog;
    request.allocated.add({0, 17408});
    request.allocated.add({100000, 5});
    request.allocated.add({900000, 70000});
    request.allocated.add({size - 16896, 16896});
    request.final_extents = {{0, 17408}, {size - 16896, 16896}};
  }

  ffu::OpenedImage write(const char* name = "image.ffu") {
    const auto status = ffu::write_ffu(request, folder / name);
    REQUIRE(status.has_value());
    const auto file = core::FileSource::open(folder / name);
    auto opened = ffu::open_image(**file);
    REQUIRE(opened.has_value());
    REQUIRE(ffu::verify_chunks(*opened, **file, 1, {}).has_value());
    return std::move(*opened);
  }
};

}  // namespace

TEST_CASE("what is allocated comes out as it went in, on whole and on odd disks") {
  for (const std::size_t size : {std::size_t{2} << 20, (std::size_t{2} << 20) + 512 * 7}) {
    Fixture fixture(size);
    const auto opened = fixture.write();
    auto map = ffu::DiskMap::build(opened.image.stores[0], size);
    REQUIRE(map.has_value());
    std::shared_ptr<const core::BlockSource> file = std::move(*core::FileSource::open(fixture.folder / "image.ffu"));
    const ffu::DescribedDisk disk(std::move(*map), file);
    for (const core::Extent& extent : fixture.request.allocated.extents()) {
      const auto bytes = disk.read(extent.offset, extent.length);
      REQUIRE(bytes.has_value());
      CHECK(std::equal(bytes->begin(), bytes->end(),
                       fixture.disk_bytes.begin() + static_cast<std::ptrdiff_t>(extent.offset)));
    }
  }
}

TEST_CASE("the tables are wiped by the first descriptor and written by the last ones") {
  Fixture fixture;
  const auto image = fixture.write().image;
  const ffu::Store& store = image.stores[0];
  const auto first = store.locations_of(store.descriptors.front());
  REQUIRE(first.size() == 2);
  CHECK(first[0] == ffu::DiskLocation{ffu::AccessMethod::disk_begin, 0});
  CHECK(first[1] == ffu::DiskLocation{ffu::AccessMethod::disk_end, 0});
  const std::size_t count = store.descriptors.size();
  CHECK(store.locations_of(store.descriptors[count - 4])[0] == ffu::DiskLocation{ffu::AccessMethod::disk_begin, 0});
  CHECK(store.locations_of(store.descriptors[count - 3])[0] == ffu::DiskLocation{ffu::AccessMethod::disk_begin, 1});
  CHECK(store.locations_of(store.descriptors[count - 2])[0] == ffu::DiskLocation{ffu::AccessMethod::disk_begin, 126});
  CHECK(store.locations_of(store.descriptors[count - 1])[0] == ffu::DiskLocation{ffu::AccessMethod::disk_begin, 127});
}

TEST_CASE("a block that is allocated and all zero is written") {
  Fixture fixture;
  std::fill(fixture.disk_bytes.begin() + 900000, fixture.disk_bytes.begin() + 970000, std::uint8_t{0});
  fixture.disk = std::make_unique<core::MemorySource>(fixture.disk_bytes);
  fixture.request.disk = fixture.disk.get();
  const auto image = fixture.write().image;
  const auto map = ffu::DiskMap::build(image.stores[0], fixture.disk->size());
  core::ExtentSet described;
  for (const ffu::MappedRun& run : map->runs()) described.add({run.disk_offset, run.length});
  CHECK(described.contains({900000, 70000}));
}

TEST_CASE("the same request gives the same bytes") {
  Fixture fixture;
  fixture.write("one.ffu");
  fixture.write("two.ffu");
  const auto one = core::FileSource::open(fixture.folder / "one.ffu");
  const auto two = core::FileSource::open(fixture.folder / "two.ffu");
  CHECK(*(*one)->read(0, (*one)->size()) == *(*two)->read(0, (*two)->size()));
}

TEST_CASE("a catalog that is replaced by a larger one moves the rest by whole chunks") {
  Fixture fixture;
  const auto opened = fixture.write();
  const auto file = core::FileSource::open(fixture.folder / "image.ffu");
  const core::ByteBuffer larger(40000, 0xDD);
  REQUIRE(ffu::replace_catalog(**file, opened.image, larger, fixture.folder / "image.ffu").has_value());
  const auto moved_file = core::FileSource::open(fixture.folder / "image.ffu");
  const auto moved = ffu::open_image(**moved_file);
  REQUIRE(moved.has_value());
  CHECK(moved->image.catalog == larger);
  CHECK(moved->image.hash_table == opened.image.hash_table);
  CHECK((moved->image.hashed_offset - opened.image.hashed_offset) % opened.image.chunk_size == 0);
  CHECK(ffu::verify_chunks(*moved, **moved_file, 1, {}).has_value());
}

TEST_CASE("a writer that fails leaves no file under the final name or beside it") {
  Fixture fixture;
  fixture.request.make_catalog = [](core::ByteView table) -> core::Result<core::ByteBuffer> {
    if (table[0] == 0) return core::ByteBuffer(300);
    return core::fail("io.read-failed", "the signer went away");
  };
  CHECK(ffu::write_ffu(fixture.request, fixture.folder / "image.ffu").error().id() == "io.read-failed");
  CHECK(fixture.folder.entries() == 0);
}

TEST_CASE("a request that no FFU can express is refused") {
  Fixture fixture;
  SECTION("a block size that is no power of two") {
    fixture.request.block_size = 20000;
    CHECK(ffu::write_ffu(fixture.request, fixture.folder / "x").error().id() == "ffu.block-size");
  }
  SECTION("no platform id") {
    fixture.request.platform_ids.clear();
    CHECK(ffu::write_ffu(fixture.request, fixture.folder / "x").error().id() == "ffu.platform-ids");
  }
  SECTION("a disk smaller than a block") {
    const core::MemorySource tiny(core::ByteBuffer(512));
    fixture.request.disk = &tiny;
    CHECK(ffu::write_ffu(fixture.request, fixture.folder / "x").error().id() == "ffu.unwritable");
  }
  SECTION("a catalog that is too large") {
    const auto opened = fixture.write();
    const auto file = core::FileSource::open(fixture.folder / "image.ffu");
    CHECK(ffu::replace_catalog(**file, opened.image, core::ByteBuffer(17U << 20), fixture.folder / "x").error().id() ==
          "ffu.catalog-size");
  }
}

TEST_CASE("a disk is extracted sparse and byte for byte") {
  Fixture fixture;
  const auto opened = fixture.write();
  auto map = ffu::DiskMap::build(opened.image.stores[0], fixture.disk->size());
  std::shared_ptr<const core::BlockSource> file = std::move(*core::FileSource::open(fixture.folder / "image.ffu"));
  const ffu::DescribedDisk disk(std::move(*map), file);
  REQUIRE(ffu::extract_disk(disk, fixture.folder / "disk.img", {}).has_value());
  const auto extracted = core::FileSource::open(fixture.folder / "disk.img");
  CHECK(*(*extracted)->read(0, disk.size()) == *disk.read(0, disk.size()));
  const auto hole = (*extracted)->next_data(300000);
  REQUIRE(hole.has_value());
  CHECK(hole->value().offset > 300000);
}
