// SPDX-License-Identifier: GPL-3.0-or-later
// Units against the hash table: on any number of threads the same answer, for each form the same care.
#include <random>

#include "ffu_probe.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

using namespace imprint;
using namespace imprint::ffu::test;

TEST_CASE("every unit of a sound image has its hash, on one thread and on several, in each form") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const auto file = must(open(fixture::build_image(options).file));
    for (const unsigned threads : {0U, 1U, 2U, 5U, 40U}) {
      std::uint64_t last = 0;
      std::uint64_t whole = 0;
      must(ffu::verify_units(*file.opened, *file.file, threads, [&](std::uint64_t done, std::uint64_t total) {
        CHECK(done > last);
        last = done;
        whole = total;
      }));
      CHECK(last == whole);
      CHECK(whole == (file.image().is_compressed() ? file.image().payload_end : file.image().file_size) -
                         file.image().hashed_offset);
    }
  }
}

TEST_CASE("a changed byte in any chunk of the payload is found and the lowest chunk is named") {
  fixture::ImageOptions options;
  options.chunk_kib = 4;
  options.block_size = 4096;
  for (std::uint32_t i = 0; i < 150; ++i) options.descriptors.push_back({{{0, i}}, 1, static_cast<std::uint8_t>(i)});
  const auto sound = fixture::build_image(options);
  std::mt19937 random(20261121);
  for (int round = 0; round < 60; ++round) {
    auto bytes = sound.file;
    std::size_t lowest = bytes.size();
    for (int i = 0; i < 4; ++i) {
      const std::size_t at = sound.payload_offset + random() % (bytes.size() - sound.payload_offset);
      bytes[at] = static_cast<std::uint8_t>(~sound.file[at]);
      lowest = std::min(lowest, at);
    }
    const std::size_t chunk = (lowest - sound.hashed_offset) / sound.chunk_size;
    const auto file = must(open(std::move(bytes)));
    for (const unsigned threads : {1U, 2U, 3U, 4U}) {
      const auto status = verify(file, threads);
      REQUIRE(id_of(status) == "image.hash-mismatch");
      REQUIRE(status.error().context_value("unit") == std::to_string(chunk));
      REQUIRE(offset_of(status) == std::to_string(sound.hashed_offset + chunk * sound.chunk_size));
    }
  }
}

TEST_CASE("a byte that cannot be read and one that is wrong: the lower unit is named, whichever it is") {
  for (const auto& [name, options] : fixture::all_forms()) {
    if (name == "V1 1 MiB blocks") continue;
    INFO(name);
    const fixture::Image sound = fixture::build_image(options);
    const std::size_t low = sound.payload_blocks[1] + 5;
    const std::size_t high = sound.payload_blocks[5] + 5;
    for (const bool unreadable_first : {false, true}) {
      core::ByteBuffer bytes = sound.file;
      bytes[unreadable_first ? high : low] ^= 1;
      FailingSource file(bytes);
      const auto opened = must(ffu::open_image(file));
      file.bad_byte = unreadable_first ? low : high;
      for (const unsigned threads : {1U, 2U}) {
        const auto status = ffu::verify_units(opened, file, threads, {});
        CHECK(id_of(status) == (unreadable_first ? "image.read-failed" : "image.hash-mismatch"));
        const auto unit = ffu::hashed_unit(opened.image, ffu::unit_at_stored(opened.image, low));
        CHECK(offset_of(status) == std::to_string(unit.stored.offset));
      }
    }
  }
}

TEST_CASE("a changed hash in the table is found") {
  for (const auto& [name, options] : fixture::all_forms(true)) {
    INFO(name);
    auto file = fixture::build_image(options);
    const std::size_t table = core::load_le<std::uint32_t>(file.file.data() + 28);
    for (const std::size_t at : {std::size_t{0}, table / 2, table - 1}) {
      file.file[32 + options.catalog_size + at] ^= 1;
      CHECK(id_of(check_bytes(file.file)) == "image.hash-mismatch");
      file.file[32 + options.catalog_size + at] ^= 1;
    }
    CHECK(check_bytes(file.file).has_value());
  }
}

TEST_CASE("a verification and an extraction that are cancelled say so") {
  const auto file = must(open(fixture::small_image().file));
  std::stop_source stop;
  stop.request_stop();
  CHECK(id_of(ffu::verify_units(*file.opened, *file.file, 2, {}, stop.get_token())) == "job.cancelled");
  MemorySink out(4U << 20);
  const auto map = must(ffu::DiskMap::build(file.image().stores[0], 4U << 20));
  CHECK(id_of(ffu::extract_disk(*file.opened, *file.file, map, out, 2, {}, stop.get_token())) == "job.cancelled");
}

TEST_CASE("a verification that is cancelled while it runs stops") {
  const auto file = must(open(fixture::small_image().file));
  for (const unsigned threads : {1U, 2U}) {
    std::stop_source stop;
    const auto status = ffu::verify_units(
        *file.opened, *file.file, threads, [&](std::uint64_t, std::uint64_t) { stop.request_stop(); },
        stop.get_token());
    CHECK(id_of(status) == "job.cancelled");
  }
}

TEST_CASE("what a partial update asks of the disk is checked byte by byte") {
  fixture::FileOptions options = fixture::all_forms().back().options;
  const auto file = must(open(fixture::build_image(options).file));
  const ffu::Store& store = file.image().stores[0];
  REQUIRE(file.image().is_partial_update());
  REQUIRE(store.validation.size() == 3);
  CHECK(core::as_text(store.data_of(store.validation[2])) == "across a sector");
  for (const std::uint32_t sector : {512U, 4096U}) {
    core::ByteBuffer disk(16 * std::size_t{sector});
    for (const fixture::Validation& entry : options.stores[0].validation) {
      std::ranges::copy(entry.data,
                        disk.begin() + static_cast<std::ptrdiff_t>(entry.sector_index * sector + entry.sector_offset));
    }
    CHECK(ffu::check_validation(store, ViewSource(disk), sector).has_value());
    disk[7 * sector + 514] ^= 1;
    const auto status = ffu::check_validation(store, ViewSource(disk), sector);
    CHECK(id_of(status) == "ffu.validation-failed");
    CHECK(status.error().context_value("sector") == "7");
    CHECK(status.error().context_value("disk_offset") == std::to_string(7 * sector + 500));
    disk.resize(7 * sector + 514);
    CHECK(id_of(ffu::check_validation(store, ViewSource(disk), sector)) == "ffu.validation-failed");
    FailingSource broken(disk);
    broken.fail_from = 1;
    CHECK(id_of(ffu::check_validation(store, broken, sector)) == "io.read-failed");
  }
}

TEST_CASE("a full image asks nothing of the disk") {
  const auto file = must(open(fixture::small_image().file));
  CHECK(ffu::check_validation(file.image().stores[0], ViewSource({}), 512).has_value());
}
