// SPDX-License-Identifier: GPL-3.0-or-later
// Files that somebody changes while they are flashed; what is loaded ahead, and for whom.
#include "flash/engine/image_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "flash/engine/verified_image.hpp"
#include "tests/unit/engine/queue_fixture.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, const core::ByteBuffer& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void touch(const fs::path& path, std::int64_t seconds) {
  const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 0}, {.tv_sec = seconds, .tv_nsec = 0}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

class CountingSource final : public core::BlockSource {
 public:
  explicit CountingSource(core::ByteBuffer bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    if (offset <= bad && bad < offset + out.size()) return core::fail("io.read-failed");
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  std::uint64_t bad = UINT64_MAX;

 private:
  core::ByteBuffer bytes_;
};

}  // namespace

TEST_CASE("a file that is changed, cut or given other times is told as changed, not as a bad image") {
  const fixture::ScratchFolder folder;
  const fs::path path = folder / "image.ffu";
  const auto file = fixture::small_image();
  put(path, file.file);
  touch(path, 1'000'000'000);
  const auto image = engine::VerifiedImage::open_watched(engine::ImageFile::open(path).value()).value();
  core::ByteBuffer out(file.file.size() - file.payload_offset);
  SECTION("unchanged") {
    CHECK(image->read(file.payload_offset, out));
    CHECK(image->check_unchanged());
  }
  SECTION("written to") {
    std::fstream(path, std::ios::in | std::ios::out).seekp(static_cast<std::streamoff>(file.payload_offset)).put('x');
    CHECK(image->read(file.payload_offset, out).error().id() == "image.changed");
    CHECK(image->check_unchanged().error().id() == "image.changed");
  }
  SECTION("written to, and its time set back") {
    std::fstream(path, std::ios::in | std::ios::out).seekp(static_cast<std::streamoff>(file.payload_offset)).put('x');
    touch(path, 1'000'000'000);
    CHECK(image->read(file.payload_offset, out).error().id() == "image.changed");
  }
  SECTION("cut off") {
    fs::resize_file(path, file.file.size() / 2);
    CHECK(image->read(file.payload_offset, out).error().id() == "image.changed");
  }
  SECTION("grown") {
    fs::resize_file(path, file.file.size() * 2);
    CHECK(image->read(file.payload_offset, out).error().id() == "image.changed");
  }
}

TEST_CASE("a file that was unlinked, replaced by another or given one more name is still the one that was opened") {
  const fixture::ScratchFolder folder;
  const fs::path path = folder / "image.ffu";
  const auto file = fixture::small_image();
  put(path, file.file);
  const auto image = engine::VerifiedImage::open_watched(engine::ImageFile::open(path).value()).value();
  SECTION("unlinked") { fs::remove(path); }
  SECTION("replaced") {
    put(folder / "other", core::ByteBuffer(100));
    fs::rename(folder / "other", path);
  }
  bool is_there = false;
  SECTION("linked") {
    fs::create_hard_link(path, folder / "again");
    is_there = true;
  }
  core::ByteBuffer out(file.file.size());
  REQUIRE(image->read(0, out));
  CHECK((out == file.file));
  CHECK(image->check_unchanged());
  CHECK(image->has_name() == is_there);
}

TEST_CASE("what cannot be opened as an image says why") {
  const fixture::ScratchFolder folder;
  CHECK(engine::ImageFile::open(folder / "none").error().id() == "io.not-found");
  CHECK(engine::ImageFile::open(folder.path()).error().id() == "io.open-failed");
  CHECK(engine::ImageFile::open("/dev/null").error().id() == "io.open-failed");
  put(folder / "short", core::ByteBuffer(10));
  const auto file = engine::ImageFile::open(folder / "short").value();
  fs::resize_file(folder / "short", 5);
  core::ByteBuffer out(10);
  CHECK(file->read_at(0, out).error().id() == "io.read-failed");
}

TEST_CASE("units that are expected are loaded once for all, whoever comes first") {
  const auto content = fixture::noise(8U << 20, 5);
  std::vector<std::uint32_t> blocks;
  for (std::uint32_t i = 0; i < 64; ++i) blocks.push_back(i);
  const auto image = fixture::image_of(content, blocks, 16384);
  image->start_reading_ahead();
  image->start_reading_ahead();
  const std::uint64_t payload = image->image().payload_offset;
  {
    std::vector<std::jthread> readers;
    std::atomic<int> wrong{0};
    for (int i = 0; i < 6; ++i) {
      readers.emplace_back([&] {
        core::ByteBuffer out(100'000);
        for (std::uint64_t at = 0; at + out.size() <= content.size(); at += out.size()) {
          image->expect(payload + at, 1U << 20);
          engine::Starvation waited;
          if (!image->read_plain(payload + at, out, &waited)) ++wrong;
          if (!std::equal(out.begin(), out.end(), content.begin() + static_cast<std::ptrdiff_t>(at))) ++wrong;
        }
      });
    }
    readers.clear();
    CHECK(wrong == 0);
  }
  // All fits into the cache: whatever was loaded was loaded once.
  CHECK(image->statistics().units_loaded <= image->image().hash_table.size() / 32);
  CHECK(image->statistics().units_loaded >= content.size() / 16384 - 8);
}

TEST_CASE("a place that cannot be read fails for who needs it, also when it is expected, and not for others") {
  const auto content = fixture::noise(2U << 20, 5);
  std::vector<std::uint32_t> blocks;
  for (std::uint32_t i = 0; i < 16; ++i) blocks.push_back(i);
  const auto good = fixture::image_of(content, blocks, 16384);
  core::ByteBuffer file(good->size());
  REQUIRE(good->read(0, file));
  const auto source = std::make_shared<CountingSource>(file);
  const auto image = engine::VerifiedImage::open(source).value();
  const std::uint64_t payload = image->image().payload_offset;
  source->bad = payload + 20 * 16384 + 7;
  image->start_reading_ahead();
  image->expect(payload, content.size());
  core::ByteBuffer out(16384);
  for (std::uint64_t unit = 0; unit < 128; ++unit) {
    const auto done = image->read_plain(payload + unit * 16384, out);
    CHECK(done.has_value() == (unit != 20));
    if (!done) CHECK(done.error().id() == "image.read-failed");
  }
  source->bad = UINT64_MAX;
  CHECK(image->read_plain(payload + 20 * 16384, out));
}

TEST_CASE("with a cache of two units whatever is expected is still right") {
  const auto content = fixture::noise(2U << 20, 9);
  std::vector<std::uint32_t> blocks;
  for (std::uint32_t i = 0; i < 16; ++i) blocks.push_back(i);
  const auto good = fixture::image_of(content, blocks);
  core::ByteBuffer file(good->size());
  REQUIRE(good->read(0, file));
  const auto image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file), 1).value();
  image->start_reading_ahead();
  const std::uint64_t payload = image->image().payload_offset;
  image->expect(0, UINT64_MAX / 2);
  core::ByteBuffer out(content.size());
  REQUIRE(image->read_plain(payload, out));
  CHECK((out == content));
}
