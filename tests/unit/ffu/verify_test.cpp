// SPDX-License-Identifier: GPL-3.0-or-later
// Chunks against the hash table.
#include <catch2/catch.hpp>

#include "flash/ffu/chunk_verifier.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"

using namespace imprint;

TEST_CASE("every chunk of a sound image has its hash, on one thread and on several") {
  const core::MemorySource source(fixture::small_image().file);
  const auto opened = ffu::open_image(source);
  REQUIRE(opened.has_value());
  for (const unsigned threads : {1U, 2U, 5U}) {
    std::uint64_t last = 0;
    CHECK(ffu::verify_chunks(*opened, source, threads, [&](std::uint64_t done, std::uint64_t total) {
            last = std::max(last, done * 1000 / total);
          }).has_value());
    CHECK(last == 1000);
  }
}

TEST_CASE("a changed byte in any chunk of the payload is found and the lowest chunk is named") {
  const auto sound = fixture::small_image();
  for (std::size_t offset = sound.payload_offset; offset < sound.file.size(); offset += 5000) {
    auto bytes = sound.file;
    bytes[offset] ^= 1;
    bytes.back() ^= 1;
    const core::MemorySource source(bytes);
    const auto opened = ffu::open_image(source);
    REQUIRE(opened.has_value());
    const auto status = ffu::verify_chunks(*opened, source, 2, {});
    REQUIRE_FALSE(status.has_value());
    REQUIRE(status.error().id() == "image.hash-mismatch");
    REQUIRE(status.error().context_value("chunk") == std::to_string((offset - sound.hashed_offset) / sound.chunk_size));
  }
}

TEST_CASE("a changed hash in the table is found") {
  auto file = fixture::small_image();
  const std::size_t last_hash = 32 + 100 + (file.file.size() - file.hashed_offset) / file.chunk_size * 32 - 1;
  file.file[last_hash] ^= 1;
  const core::MemorySource source(file.file);
  const auto opened = ffu::open_image(source);
  REQUIRE(opened.has_value());
  CHECK(ffu::verify_chunks(*opened, source, 1, {}).error().id() == "image.hash-mismatch");
}

TEST_CASE("a verification that is cancelled says so") {
  const core::MemorySource source(fixture::small_image().file);
  const auto opened = ffu::open_image(source);
  std::stop_source stop;
  stop.request_stop();
  CHECK(ffu::verify_chunks(*opened, source, 2, {}, stop.get_token()).error().id() == "job.cancelled");
}
