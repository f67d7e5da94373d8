// SPDX-License-Identifier: GPL-3.0-or-later
// The shared cache: nothing unchecked leaves it, a bad disk hurts only who needs the bad place, and memory is bounded.
#include "flash/engine/verified_image.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include "flash/ffu/disk_map.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

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

TEST_CASE("an image of any form comes out as its file, and as the disk that it describes") {
  for (const auto& form : fixture::all_forms()) {
    CAPTURE(form.name);
    const auto file = fixture::build_image(form.options);
    const auto image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file.file)).value();
    core::ByteBuffer whole(file.file.size());
    REQUIRE(image->read(0, whole).has_value());
    CHECK(whole == file.file);
    for (std::size_t store = 0; store < form.options.stores.size(); ++store) {
      const auto& options = form.options.stores[store];
      const ffu::DescribedDisk disk(ffu::DiskMap::build(image->image().stores.at(store), options.disk_size).value(),
                                    image->as_plain_source());
      CHECK(disk.read(0, disk.size()).value() == fixture::expected_disk(options, 0));
    }
  }
}

TEST_CASE("a compressed block with a changed byte is neither sent nor read, and the others are") {
  fixture::FileOptions options;
  options.form = fixture::Form::v1_compressed;
  options.algorithm = 3;
  options.stores[0].descriptors = fixture::simple_descriptors(4);
  for (auto& descriptor : options.stores[0].descriptors) descriptor.packing = fixture::Packing::xpress;
  auto file = fixture::build_image(options);
  const std::size_t second = file.payload_blocks[1];
  file.file[second + 4] ^= 0xFF;  // a literal: the decoder does not mind
  const auto image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file.file)).value();
  core::ByteBuffer one(1);
  CHECK(image->read(second, one).error().id() == "image.hash-mismatch");
  CHECK(image->read_plain(image->image().stores[0].descriptors[1].plain_offset, one).error().id() ==
        "image.hash-mismatch");
  CHECK(image->read(second - 1, one).has_value());
  CHECK(image->read(file.payload_blocks[2], one).has_value());
}
