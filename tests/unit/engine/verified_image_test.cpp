// SPDX-License-Identifier: GPL-3.0-or-later
// The shared cache: nothing unchecked leaves it, a bad disk hurts only who needs the bad place, and memory is bounded.
#include "flash/engine/verified_image.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include "tests/unit/fixtures/ffu_fixture.hpp"

using namespace imprint;

namespace {

// A file that can go bad under its reader.
class ChangingSource final : public core::BlockSource {
 public:
  explicit ChangingSource(core::ByteBuffer bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    ++reads;
    if (offset < fail_end && offset + out.size() > fail_start) return core::fail("io.read-failed");
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  void flip(std::size_t offset) { bytes_[offset] ^= 1; }
  mutable std::atomic<int> reads{0};
  std::uint64_t fail_start = 0;
  std::uint64_t fail_end = 0;

 private:
  core::ByteBuffer bytes_;
};

}  // namespace

TEST_CASE("every byte of the image comes out as it is in the file, at any offset and length") {
  const auto file = fixture::small_image();
  const auto image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file.file));
  REQUIRE(image.has_value());
  for (std::size_t offset = 0; offset < file.file.size(); offset += 7919) {
    core::ByteBuffer out(std::min<std::size_t>(40001, file.file.size() - offset));
    REQUIRE((*image)->read(offset, out).has_value());
    REQUIRE(std::equal(out.begin(), out.end(), file.file.begin() + static_cast<std::ptrdiff_t>(offset)));
  }
  core::ByteBuffer one(1);
  CHECK((*image)->read(file.file.size(), one).error().id() == "io.out-of-range");
}

TEST_CASE("a chunk is read and hashed once for many readers that start together") {
  const auto file = fixture::small_image();
  const auto source = std::make_shared<ChangingSource>(file.file);
  const auto image = engine::VerifiedImage::open(source);
  REQUIRE(image.has_value());
  {
    std::vector<std::jthread> readers;
    std::atomic<int> good{0};
    for (int i = 0; i < 8; ++i) {
      readers.emplace_back([&] {
        core::ByteBuffer out(file.file.size());
        if ((*image)->read(0, out) && out == file.file) ++good;
      });
    }
    readers.clear();
    CHECK(good == 8);
  }
  const std::uint64_t chunks = (file.file.size() - file.hashed_offset + file.chunk_size - 1) / file.chunk_size;
  CHECK((*image)->statistics().units_loaded == chunks);
}

TEST_CASE("a file that changes after it was opened never gets past its hash, not even after an eviction") {
  const auto file = fixture::small_image();
  const auto source = std::make_shared<ChangingSource>(file.file);
  const auto image = engine::VerifiedImage::open(source, 2 * std::uint64_t{file.chunk_size});
  REQUIRE(image.has_value());
  core::ByteBuffer all(file.file.size());
  REQUIRE((*image)->read(0, all).has_value());
  source->flip(file.payload_offset + 5);
  core::ByteBuffer first(16);
  const auto status = (*image)->read(file.payload_offset, first);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().id() == "image.hash-mismatch");
  core::ByteBuffer elsewhere(16);
  CHECK((*image)->read(file.payload_offset + 3 * file.chunk_size, elsewhere).has_value());
}

TEST_CASE("a place that cannot be read fails who needs it, and reads again once the disk is well") {
  const auto file = fixture::small_image();
  const auto source = std::make_shared<ChangingSource>(file.file);
  const auto image = engine::VerifiedImage::open(source);
  REQUIRE(image.has_value());
  source->fail_start = file.payload_offset;
  source->fail_end = file.payload_offset + 1;
  core::ByteBuffer out(16);
  const auto status = (*image)->read(file.payload_offset, out);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().id() == "image.read-failed");
  CHECK((*image)->read(file.payload_offset + 2 * file.chunk_size, out).has_value());
  source->fail_end = 0;
  CHECK((*image)->read(file.payload_offset, out).has_value());
}

TEST_CASE("an image whose header chunks do not have their hashes is not opened") {
  auto file = fixture::small_image();
  file.file[file.hashed_offset + 30] ^= 1;
  const auto image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file.file));
  CHECK(image.error().id() == "image.hash-mismatch");
}

TEST_CASE("a value that depends on the image alone is computed once") {
  const auto image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(fixture::small_image().file));
  int computed = 0;
  for (int i = 0; i < 5; ++i) {
    CHECK((*image)->shared_value(1, 3, [&] { return static_cast<std::uint32_t>(41 + ++computed); }) == 42);
  }
  CHECK((*image)->shared_value(2, 3, [] { return 7U; }) == 7);
  CHECK(computed == 1);
}
