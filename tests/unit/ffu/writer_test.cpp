// SPDX-License-Identifier: GPL-3.0-or-later
// Images that were written say what was asked for, describe the disk that they were made from, and come out the same
// every time.
#include "flash/ffu/writer.hpp"

#include <random>

#include "ffu_probe.hpp"
#include "flash/ffu/write_order.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::ffu::test;

namespace {

core::ByteBuffer random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  core::ByteBuffer out(size);
  for (auto& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

// A disk of random bytes of which some are asked for.
struct Captured {
  core::ByteBuffer disk;
  core::ExtentSet content;
  std::unique_ptr<core::MemorySource> source;
  ffu::WriteRequest request;

  explicit Captured(std::size_t size = 2U << 20, std::uint32_t block = 16384, std::uint32_t chunk = 16384)
      : disk(random_bytes(size, 7)) {
    source = std::make_unique<core::MemorySource>(disk);
    content.add({0, 17408});
    content.add({100000, 5});
    content.add({900000, 70000});
    content.add({size - 16896, 16896});
    request.chunk_size = chunk;
    request.manifest = "[Store]\r\nSectorSize = 512\r\nMinSectorCount = " + std::to_string(size / 512) + "\r\n";
    request.make_catalog = fixed_catalog;
    request.stores.push_back(
        {ffu::order_writes(size, block, content, {{0, 17408}, {size - 16896, 16896}}), source.get()});
    request.stores[0].store.platform_ids = {"A.B.C.1"};
  }
};

void check_refused(const ffu::WriteRequest& request, std::string_view id) { CHECK(id_of(write(request)) == id); }

}  // namespace

TEST_CASE("what is captured comes out as it went in, on whole and on odd disks, with any blocks and chunks") {
  for (const std::size_t size : {std::size_t{2} << 20, (std::size_t{2} << 20) + 512 * 7}) {
    for (const std::uint32_t block : {4096U, 16384U, 1U << 20}) {
      for (const std::uint32_t chunk : {4096U, 131072U}) {
        INFO(size << ", block " << block << ", chunk " << chunk);
        const Captured captured(size, block, chunk);
        const auto file = must(open(must(write(captured.request))));
        must(verify(file));
        const auto disk = must(extract(file, 0, size));
        for (const core::Extent& extent : captured.content.extents()) {
          const auto start = static_cast<std::ptrdiff_t>(extent.offset);
          CHECK(std::equal(disk.begin() + start, disk.begin() + start + static_cast<std::ptrdiff_t>(extent.length),
                           captured.disk.begin() + start));
        }
      }
    }
  }
}

TEST_CASE("the tables are wiped by the first descriptors and written by the last ones") {
  const Captured captured;
  const auto file = must(open(must(write(captured.request))));
  const ffu::Store& store = file.image().stores[0];
  const auto first = store.locations_of(store.descriptors.front());
  REQUIRE(first.size() == 2);
  CHECK(first[0] == ffu::DiskLocation{ffu::AccessMethod::disk_begin, 0});
  CHECK(first[1] == ffu::DiskLocation{ffu::AccessMethod::disk_end, 0});
  const std::size_t count = store.descriptors.size();
  const std::uint32_t last_blocks[] = {126, 127, 0, 1};  // the disk counts as whole by its first sector
  for (std::size_t i = 0; i < 4; ++i) {
    const auto places = store.locations_of(store.descriptors[count - 4 + i]);
    CHECK(places[0] == ffu::DiskLocation{ffu::AccessMethod::disk_begin, last_blocks[i]});
  }
  CHECK(store.phases.initial_count == 8);
  CHECK(store.phases.final_index == 8);
}

TEST_CASE("a block that is asked for and all zero is written") {
  Captured captured;
  std::fill(captured.disk.begin() + 900000, captured.disk.begin() + 970000, std::uint8_t{0});
  const core::MemorySource zeroed(captured.disk);
  captured.request.stores[0].source = &zeroed;
  const auto file = must(open(must(write(captured.request))));
  const auto map = must(ffu::DiskMap::build(file.image().stores[0], captured.disk.size()));
  core::ExtentSet described;
  for (const ffu::MappedRun& run : map.runs()) described.add({run.disk_offset, run.length});
  CHECK(described.contains({900000, 70000}));
}

TEST_CASE("the same request gives the same bytes, in each form and compression") {
  for (const auto& [name, options] : fixture::all_forms()) {
    const auto original = must(open(fixture::build_image(options).file));
    auto request = request_for(original);
    for (const auto compression :
         {ffu::Compression::lznt1, ffu::Compression::xpress, ffu::Compression::xpress_huffman}) {
      INFO(name << ", " << ffu::to_string(compression));
      request.compression = compression;
      CHECK((must(write(request)) == must(write(request))));
    }
  }
}

TEST_CASE("an image that was written says everything that was asked for") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const auto original = must(open(fixture::build_image(options).file));
    auto request = request_for(original);
    request.compression = ffu::Compression::xpress;
    const auto written = must(open(must(write(request))));
    const ffu::Image& image = written.image();
    CHECK(image.form == request.form);
    CHECK(image.image_header_size == request.image_header_size);
    CHECK(image.targets == request.targets);
    CHECK(image.targets.size() == options.targets.size());
    CHECK(image.manifest_text == request.manifest);
    CHECK(image.catalog == core::ByteBuffer(300, 0xCC));
    REQUIRE(image.stores.size() == options.stores.size());
    for (std::size_t i = 0; i < image.stores.size(); ++i) {
      const ffu::Store& store = image.stores[i];
      const ffu::Store& wanted = request.stores[i].store;
      CHECK(store.update_type == wanted.update_type);
      CHECK(store.platform_ids == wanted.platform_ids);
      CHECK(store.block_size == wanted.block_size);
      CHECK(store.device_path == wanted.device_path);
      CHECK(store.phases == wanted.phases);
      CHECK(store.locations == wanted.locations);
      CHECK(store.validation_data == wanted.validation_data);
      REQUIRE(store.validation.size() == options.stores[i].validation.size());
      for (std::size_t k = 0; k < store.validation.size(); ++k) {
        CHECK(store.validation[k].sector_index == options.stores[i].validation[k].sector_index);
        CHECK(store.validation[k].sector_offset == options.stores[i].validation[k].sector_offset);
        CHECK(core::as_text(store.data_of(store.validation[k])) == options.stores[i].validation[k].data);
      }
      CHECK((must(extract(written, i, options.stores[i].disk_size)) == fixture::expected_disk(options.stores[i], 0)));
    }
  }
}

TEST_CASE("device paths of V2 stores come back, also with letters beyond ASCII and none at all") {
  Captured captured;
  captured.request.form = ffu::Form::v2;
  for (const char* path : {"VenHw(860845C1-BE09-4355-8BC1-30D64FF8E63A)", "\xC3\x84\xF0\x9F\x92\xBE", ""}) {
    captured.request.stores[0].store.device_path = path;
    CHECK(must(open(must(write(captured.request)))).image().stores[0].device_path == path);
  }
}

TEST_CASE("a catalog that is replaced by a larger or smaller one moves the rest by whole chunks, and back") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const fixture::Image built = fixture::build_image(options);
    const auto original = must(open(built.file));
    MemorySink larger;
    must(ffu::replace_catalog(*original.opened, *original.file, core::ByteBuffer(400000, 0xDD), larger));
    const auto moved = must(open(larger.bytes));
    CHECK(moved.image().catalog == core::ByteBuffer(400000, 0xDD));
    CHECK(moved.image().hash_table == original.image().hash_table);
    CHECK(moved.image().hashed_offset > original.image().hashed_offset);
    CHECK((moved.image().hashed_offset - original.image().hashed_offset) % original.image().chunk_size == 0);
    must(verify(moved));
    MemorySink back;
    must(ffu::replace_catalog(*moved.opened, *moved.file, original.image().catalog, back));
    CHECK((back.bytes == built.file));
  }
}

TEST_CASE("a catalog of no bytes, or of more than any reader takes, is refused") {
  const auto file = must(open(fixture::small_image().file));
  for (const std::size_t size : {std::size_t{0}, (std::size_t{16} << 20) + 1}) {
    MemorySink out;
    CHECK(id_of(ffu::replace_catalog(*file.opened, *file.file, core::ByteBuffer(size), out)) == "ffu.catalog-size");
    auto request = request_for(file);
    request.make_catalog = [&](core::ByteView) -> core::Result<core::ByteBuffer> { return core::ByteBuffer(size); };
    check_refused(request, "ffu.catalog-size");
  }
}

TEST_CASE("a catalog whose size varies around a chunk's boundary is made again until it fits, and not for ever") {
  const auto file = must(open(fixture::small_image().file));
  auto request = request_for(file);
  const std::size_t fits = 16384 - 32 - must(open(must(write(request)))).image().hash_table.size();
  int calls = 0;
  request.make_catalog = [&](core::ByteView) -> core::Result<core::ByteBuffer> {
    return core::ByteBuffer(++calls == 2 ? fits + 1 : fits);
  };
  must(verify(must(open(must(write(request))))));
  CHECK(calls == 3);
  request.make_catalog = [&](core::ByteView) -> core::Result<core::ByteBuffer> {
    return core::ByteBuffer(fits + ++calls * 16384U);
  };
  check_refused(request, "ffu.catalog-unstable");
}

TEST_CASE("a request that no FFU can express is refused") {
  Captured captured;
  ffu::WriteRequest& request = captured.request;
  ffu::Store& store = request.stores[0].store;
  SECTION("a block size that is no power of two") {
    store.block_size = 20000;
    check_refused(request, "ffu.block-size");
  }
  SECTION("a block size beyond 1 MiB") {
    store.block_size = 2U << 20;
    check_refused(request, "ffu.block-size");
  }
  SECTION("a chunk size that is no power of two") {
    request.chunk_size = 12288;
    check_refused(request, "ffu.chunk-size");
  }
  SECTION("no platform id") {
    store.platform_ids.clear();
    check_refused(request, "ffu.platform-ids");
  }
  SECTION("an empty platform id, which would end the list") {
    store.platform_ids = {"", "A.B.C.1"};
    check_refused(request, "ffu.platform-ids");
  }
  SECTION("platform ids of more than 191 bytes") {
    store.platform_ids = {std::string(95, 'A'), std::string(96, 'B')};
    check_refused(request, "ffu.platform-ids");
    store.platform_ids = {std::string(94, 'A'), std::string(95, 'B')};
    CHECK(must(open(must(write(request)))).image().stores[0].platform_ids == store.platform_ids);
  }
  SECTION("several stores without V2") {
    request.stores.push_back(request.stores[0]);
    check_refused(request, "ffu.unwritable");
  }
  SECTION("no store, and too many") {
    request.form = ffu::Form::v2;
    request.stores.resize(65, request.stores[0]);
    check_refused(request, "ffu.unwritable");
    request.stores.clear();
    check_refused(request, "ffu.unwritable");
  }
  SECTION("a device path without V2") {
    store.device_path = "VenHw()";
    check_refused(request, "ffu.unwritable");
  }
  SECTION("a device path that is no text") {
    request.form = ffu::Form::v2;
    store.device_path = "\xFF";
    check_refused(request, "ffu.unwritable");
  }
  SECTION("device targets in a header without them") {
    request.targets.resize(1);
    check_refused(request, "ffu.unwritable");
  }
  SECTION("too many device targets, or one that is too long") {
    request.image_header_size = 28;
    request.targets.resize(65);
    check_refused(request, "ffu.unwritable");
    request.targets.resize(1);
    request.targets[0].family = std::string(4097, 'x');
    check_refused(request, "ffu.unwritable");
  }
  SECTION("a manifest that is too long") {
    request.manifest = std::string((1U << 20) + 1, '\n');
    check_refused(request, "ffu.unwritable");
  }
  SECTION("runs in a compressed image") {
    request.form = ffu::Form::v1_compressed;
    store.descriptors.back().block_count = 2;
    check_refused(request, "ffu.unwritable");
  }
  SECTION("a run from the disk's end") {
    store.descriptors.back().block_count = 2;
    store.locations.back().method = ffu::AccessMethod::disk_end;
    check_refused(request, "ffu.unwritable");
  }
  SECTION("validation entries that are too long") {
    store.validation_data.resize(16U << 20);
    store.validation = {{0, 0, 0, 16U << 20}};
    check_refused(request, "ffu.unwritable");
  }
}

TEST_CASE("a disk is extracted sparse and byte for byte, on one thread and on two") {
  const fixture::ScratchFolder folder;
  for (const auto& [name, options] : fixture::all_forms()) {
    for (const unsigned threads : {1U, 2U}) {
      INFO(name << ", " << threads);
      const auto& store = options.stores[0];
      const auto file = must(open(fixture::build_image(options).file));
      const auto map = must(ffu::DiskMap::build(file.image().stores[0], store.disk_size));
      const auto sink = must(core::FileSink::create(folder / "disk.img", store.disk_size));
      must(ffu::extract_disk(*file.opened, *file.file, map, *sink, threads, {}));
      const auto disk = must(core::FileSource::open(folder / "disk.img"));
      REQUIRE(disk->size() == store.disk_size);
      CHECK((must(disk->read(0, disk->size())) == fixture::expected_disk(store, 0)));
      // Block 1 and blocks of zeros are in nothing that was written; a memory sink tells to the byte.
      MemorySink written(store.disk_size);
      must(ffu::extract_disk(*file.opened, *file.file, map, written, threads, {}));
      const auto expected = fixture::expected_disk(store, 0);
      for (const core::Extent& extent : written.written.extents()) {
        for (std::uint64_t at = extent.offset; at < extent.end(); at += 4096) {
          const auto start = expected.begin() + static_cast<std::ptrdiff_t>(at);
          const auto length = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(4096, extent.end() - at));
          REQUIRE(std::any_of(start, start + length, [](std::uint8_t byte) { return byte != 0; }));
        }
      }
    }
  }
}

TEST_CASE("nothing is written for an image that writes nothing") {
  fixture::FileOptions options;
  options.stores[0].descriptors = {{{}, 3, 5}, {{{0, 1}}, 0, 6}};
  const auto file = must(open(fixture::build_image(options).file));
  const auto map = must(ffu::DiskMap::build(file.image().stores[0], 1U << 20));
  MemorySink out;
  must(ffu::extract_disk(*file.opened, *file.file, map, out, 1, {}));
  CHECK(out.calls == 0);
}
