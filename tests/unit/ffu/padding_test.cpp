// SPDX-License-Identifier: GPL-3.0-or-later
// Where the headers end and the payload begins: on chunk boundaries and around them, and under each rule by which tools
// pad.
#include "ffu_probe.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

using namespace imprint;
using namespace imprint::ffu::test;

namespace {

// From 33 bytes below a chunk's boundary to 33 above it.
std::vector<int> around_a_boundary() {
  std::vector<int> out;
  for (int distance = -33; distance <= 33; ++distance) out.push_back(distance);
  return out;
}

// Writes before `at` count for nothing: reads what the file describes and holds it against the options.
void check_disks(const fixture::FileOptions& options, const fixture::Image& file) {
  const auto opened = must(open(file.file));
  REQUIRE(opened.image().hashed_offset == file.hashed_offset);
  REQUIRE(opened.image().payload_offset == file.payload_offset);
  must(verify(opened));
  for (std::size_t i = 0; i < options.stores.size(); ++i)
    REQUIRE((must(extract(opened, i, options.stores[i].disk_size)) == fixture::expected_disk(options.stores[i], 0)));
}

}  // namespace

TEST_CASE("catalog and table that end on a chunk's boundary, or up to 33 bytes around it, are read") {
  for (const auto& [name, sound] : fixture::all_forms(true)) {
    if (name == "V1 1 MiB blocks") continue;  // nothing about this is special to it, and it is slow
    fixture::FileOptions options = sound;
    const std::size_t table = core::load_le<std::uint32_t>(fixture::build_image(options).file.data() + 28);
    for (const int distance : around_a_boundary()) {
      INFO(name << ", " << distance);
      options.catalog_size =
          2 * std::size_t{options.chunk_kib} * 1024 - 32 - table + static_cast<std::size_t>(distance);
      const fixture::Image file = fixture::build_image(options);
      REQUIRE(file.hashed_offset == (distance <= 0 ? 2U : 3U) * options.chunk_kib * 1024);
      check_disks(options, file);
    }
  }
}

TEST_CASE("catalog and table that end on a chunk's boundary, or up to 33 bytes around it, are written and replaced") {
  for (const auto& [name, options] : fixture::all_forms(true)) {
    if (name == "V1 1 MiB blocks") continue;
    const auto original = must(open(fixture::build_image(options).file));
    auto request = request_for(original);
    const std::size_t table = must(open(must(write(request)))).image().hash_table.size();
    for (const int distance : around_a_boundary()) {
      INFO(name << ", " << distance);
      const std::size_t chunk = request.chunk_size;
      const std::size_t catalog = 2 * chunk - 32 - table + static_cast<std::size_t>(distance);
      request.make_catalog = [&](core::ByteView) -> core::Result<core::ByteBuffer> {
        return core::ByteBuffer(catalog, 7);
      };
      const auto written = must(open(must(write(request))));
      REQUIRE(written.image().hashed_offset == (distance <= 0 ? 2 : 3) * chunk);
      must(verify(written));
      const core::ByteBuffer wanted(catalog, 7);
      MemorySink replaced;
      const auto size = must(ffu::replace_catalog(*original.opened, *original.file, wanted, replaced));
      REQUIRE(size == replaced.bytes.size());
      const auto moved = must(open(replaced.bytes));
      REQUIRE((moved.image().catalog == wanted));
      must(verify(moved));
      REQUIRE((must(extract(moved, 0, options.stores[0].disk_size)) == fixture::expected_disk(options.stores[0], 0)));
    }
  }
}

TEST_CASE("an image header a chunk too late is named as that") {
  fixture::FileOptions options = fixture::all_forms(true)[0].options;
  const std::size_t chunk = std::size_t{options.chunk_kib} * 1024;
  const std::size_t table = core::load_le<std::uint32_t>(fixture::build_image(options).file.data() + 28);
  options.catalog_size = 2 * chunk - 32 - table;  // ends on the boundary
  fixture::Image late = fixture::build_image(options);
  late.file.insert(late.file.begin() + static_cast<std::ptrdiff_t>(2 * chunk), chunk, std::uint8_t{0});
  const auto opened_late = open(late.file);
  CHECK(id_of(opened_late) == "ffu.image-header");
  CHECK(offset_of(opened_late) == std::to_string(3 * chunk));
}

TEST_CASE("blocks of every size in chunks of every other are read under each rule of padding") {
  int read = 0;
  for (const std::uint32_t chunk_kib : {4U, 16U, 128U}) {
    for (std::uint32_t block = 4096; block <= (1U << 20); block *= 4) {
      for (const auto padding :
           {fixture::Padding::chunk, fixture::Padding::block, fixture::Padding::block_from_image_header}) {
        for (const std::size_t stores : {1U, 2U}) {
          fixture::FileOptions options;
          options.chunk_kib = chunk_kib;
          options.padding = padding;
          options.form = stores == 1 ? fixture::Form::v1 : fixture::Form::v2;
          options.stores.resize(stores);
          for (fixture::StoreOptions& store : options.stores) {
            store.block_size = block;
            store.disk_size = 3 * std::uint64_t{block} + 512;
            store.descriptors = {{{{0, 1}}, 1, 5}, {{{2, 0}}, 1, 6}};
          }
          INFO("chunk " << chunk_kib << " KiB, block " << block << ", rule " << static_cast<int>(padding) << ", stores "
                        << stores);
          check_disks(options, fixture::build_image(options));
          ++read;
        }
      }
    }
  }
  CHECK(read == 3 * 5 * 3 * 2);
}

TEST_CASE("an image whose blocks are stored at a boundary of their own is moved only where it can still be found") {
  fixture::FileOptions options;
  options.chunk_kib = 16;
  options.padding = fixture::Padding::block;
  options.stores[0].block_size = 65536;
  options.stores[0].descriptors = {{{{0, 1}}, 1, 5}};
  const auto file = must(open(fixture::build_image(options).file));
  for (std::size_t chunks = 0; chunks < 9; ++chunks) {
    INFO(chunks);
    MemorySink out;
    const auto size = ffu::replace_catalog(*file.opened, *file.file, core::ByteBuffer(100 + chunks * 16384), out);
    if (!size) {
      CHECK(chunks % 4 != 0);
      CHECK(id_of(size) == "ffu.unwritable");
      continue;
    }
    const auto moved = must(open(out.bytes));
    must(verify(moved));
    CHECK((must(extract(moved, 0, options.stores[0].disk_size)) == fixture::expected_disk(options.stores[0], 0)));
  }
}

TEST_CASE(
    "sectors of 512 and of 4096 bytes, and disks that are no multiple of the block, end where the manifest says") {
  for (const std::uint32_t sector : {512U, 4096U}) {
    for (const std::uint64_t rest : {0U, 1U, 7U}) {
      fixture::FileOptions options = fixture::all_forms()[0].options;
      options.stores[0].sector_size = sector;
      options.stores[0].disk_size = 32 * std::uint64_t{65536} + rest * sector;
      options.stores[0].block_size = 65536;
      const fixture::Image built = fixture::build_image(options);
      const auto image = must(ffu::parse_image(built.file, built.file.size()));
      CHECK(ffu::disk_bytes_for(image, 0, std::nullopt) == options.stores[0].disk_size);
      check_disks(options, built);
    }
  }
}

TEST_CASE("where two paddings fit the file, the one whose padding is zeros is taken, and none is guessed") {
  // 16 blocks of 4 KiB behind headers that end on a block: the file is padded to a chunk, so that both readings fit.
  fixture::ImageOptions options;
  options.block_size = 4096;
  for (std::uint32_t i = 0; i < 16; ++i) options.descriptors.push_back({{{0, i}}, 1, static_cast<std::uint8_t>(i + 1)});
  auto file = fixture::build_image(options);
  const std::size_t headers_end = file.payload_offset - 16384 + 4096;  // the store header and table fit one block
  core::ByteBuffer moved(file.file.begin(), file.file.begin() + static_cast<std::ptrdiff_t>(headers_end));
  moved.insert(moved.end(), file.file.begin() + static_cast<std::ptrdiff_t>(file.payload_offset), file.file.end());
  moved.resize(file.file.size());
  const auto image = ffu::parse_image(moved, moved.size());
  REQUIRE(image.has_value());
  CHECK(image->payload_offset == headers_end);
  std::fill(moved.begin() + static_cast<std::ptrdiff_t>(headers_end), moved.end(), std::uint8_t{0});
  CHECK(ffu::parse_image(moved, moved.size()).error().id() == "ffu.padding-ambiguous");
}

TEST_CASE("where padding begins in the middle of a stream, the format's own rule is taken") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const fixture::Image file = fixture::build_image(options);
    std::size_t have = 0;
    for (int round = 0; round < 200; ++round) {
      const auto wanted = must(ffu::header_bytes(core::ByteView(file.file).first(have)));
      if (wanted <= have) break;
      have = std::min<std::size_t>(wanted, file.file.size());
    }
    const auto image = must(ffu::parse_image(core::ByteView(file.file).first(have), std::nullopt));
    CHECK(image.payload_offset == file.payload_offset);
    CHECK(image.file_size == file.payload_end);
  }
}
