// SPDX-License-Identifier: GPL-3.0-or-later
// Files, slices, memory and compositions as sources: what is read, what is refused, and where the holes are.
#include "flash/core/block_io.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <numeric>
#include <random>

#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint::core;
using imprint::fixture::ScratchFolder;

namespace {

ByteBuffer counting_bytes(std::size_t count, std::uint8_t first = 0) {
  ByteBuffer bytes(count);
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}

std::shared_ptr<MemorySource> memory(std::size_t count, std::uint8_t first = 0) {
  return std::make_shared<MemorySource>(counting_bytes(count, first));
}

// A source of zeros but for the ranges that it is told of, to see how holes pass through slices and compositions.
class HoleySource final : public BlockSource {
 public:
  HoleySource(std::uint64_t size, std::vector<Extent> data) : size_(size), data_(std::move(data)) {}
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] Status read_at(std::uint64_t offset, ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    std::ranges::fill(out, std::uint8_t{0});
    return {};
  }
  [[nodiscard]] Result<std::optional<Extent>> next_data(std::uint64_t from) const override {
    for (const Extent& extent : data_) {
      if (extent.end() <= from) continue;
      const std::uint64_t start = std::max(from, extent.offset);
      return std::optional<Extent>{Extent{start, extent.end() - start}};
    }
    return std::optional<Extent>{};
  }

 private:
  std::uint64_t size_;
  std::vector<Extent> data_;
};

// Every run of data of a source, as the writers of images walk it.
std::vector<Extent> all_data(const BlockSource& source) {
  std::vector<Extent> out;
  for (std::uint64_t from = 0;;) {
    const auto next = source.next_data(from);
    REQUIRE(next);
    if (!*next) return out;
    REQUIRE((*next)->offset >= from);
    REQUIRE((*next)->length > 0);
    out.push_back(**next);
    from = (*next)->end();
  }
}

void check_out_of_range(const BlockSource& source, std::uint64_t offset, std::uint64_t length) {
  CAPTURE(offset, length);
  const auto read = source.read(offset, length);
  REQUIRE_FALSE(read);
  CHECK(read.error().id() == "io.out-of-range");
  CHECK(read.error().context_value("offset") == std::to_string(offset));
}

void check_bounds(const BlockSource& source) {
  const std::uint64_t size = source.size();
  CHECK(source.read(0, size));
  CHECK(source.read(size, 0));
  check_out_of_range(source, 0, size + 1);
  check_out_of_range(source, size, 1);
  check_out_of_range(source, size + 1, 0);
  check_out_of_range(source, 1, UINT64_MAX);
  check_out_of_range(source, UINT64_MAX, 1);
  check_out_of_range(source, UINT64_MAX, UINT64_MAX);
}

}  // namespace

TEST_CASE("a source in memory reads what it holds and refuses the rest") {
  const auto source = memory(16);
  CHECK(source->read(3, 4) == ByteBuffer{3, 4, 5, 6});
  check_bounds(*source);
  CHECK(all_data(*source) == std::vector<Extent>{{0, 16}});
}

TEST_CASE("an empty source has no data") {
  const MemorySource source({});
  CHECK(source.read(0, 0)->empty());
  CHECK(all_data(source).empty());
  check_out_of_range(source, 0, 1);
}

TEST_CASE("a slice reads its own range only") {
  const auto slice = SliceSource::make(memory(32), 8, 10);
  REQUIRE(slice);
  CHECK((*slice)->read(0, 10) == counting_bytes(10, 8));
  CHECK((*slice)->read(9, 1) == ByteBuffer{17});
  check_bounds(**slice);
}

TEST_CASE("a slice outside of its parent is refused") {
  const auto parent = memory(32);
  CHECK(SliceSource::make(parent, 32, 0));
  for (const auto& [offset, length] :
       std::vector<Extent>{{0, 33}, {32, 1}, {33, 0}, {1, UINT64_MAX}, {UINT64_MAX, 2}}) {
    const auto slice = SliceSource::make(parent, offset, length);
    REQUIRE_FALSE(slice);
    CHECK(slice.error().id() == "io.out-of-range");
  }
}

TEST_CASE("a slice shows its parent's data moved and cut to its own range") {
  const auto parent = std::make_shared<HoleySource>(100, std::vector<Extent>{{0, 10}, {20, 10}, {45, 20}, {90, 10}});
  const auto slice = SliceSource::make(parent, 25, 30);
  REQUIRE(slice);
  CHECK(all_data(**slice) == std::vector<Extent>{{0, 5}, {20, 10}});
  const auto hole = SliceSource::make(parent, 30, 15);
  REQUIRE(hole);
  CHECK(all_data(**hole).empty());
}

TEST_CASE("a composition shows its pieces over zeros") {
  CompositeSource disk(20);
  REQUIRE(disk.add(12, memory(4, 100)));
  REQUIRE(disk.add(2, memory(3, 50)));
  CHECK(disk.read(0, 20) == ByteBuffer{0, 0, 50, 51, 52, 0, 0, 0, 0, 0, 0, 0, 100, 101, 102, 103, 0, 0, 0, 0});
  CHECK(disk.read(3, 10) == ByteBuffer{51, 52, 0, 0, 0, 0, 0, 0, 0, 100});
  check_bounds(disk);
}

TEST_CASE("pieces that overlap or lie outside are refused and leave no trace") {
  CompositeSource disk(100);
  REQUIRE(disk.add(40, memory(20, 1)));
  const auto before = disk.read(0, 100).value();
  for (const auto& [offset, length] :
       std::vector<Extent>{{40, 20}, {39, 2}, {59, 1}, {45, 1}, {30, 50}, {90, 11}, {100, 1}}) {
    CAPTURE(offset, length);
    const auto added = disk.add(offset, memory(length, 200));
    REQUIRE_FALSE(added);
    CHECK(added.error().id() == "io.out-of-range");
  }
  CHECK(disk.add(UINT64_MAX, memory(2)).error().id() == "io.out-of-range");
  CHECK(disk.read(0, 100) == before);
  CHECK(disk.add(39, memory(1)));
  CHECK(disk.add(60, memory(40)));
}

TEST_CASE("an empty piece takes no place") {
  CompositeSource disk(10);
  REQUIRE(disk.add(5, memory(0)));
  CHECK(disk.add(0, memory(10)));
  CHECK(disk.add(5, memory(0)));
}

TEST_CASE("a composition's data is its pieces' data, holes and all") {
  CompositeSource disk(1000);
  REQUIRE(disk.add(500, std::make_shared<HoleySource>(100, std::vector<Extent>{{10, 5}, {90, 10}})));
  REQUIRE(disk.add(100, std::make_shared<HoleySource>(50, std::vector<Extent>{})));
  REQUIRE(disk.add(0, memory(10)));
  CHECK(all_data(disk) == std::vector<Extent>{{0, 10}, {510, 5}, {590, 10}});
}

TEST_CASE("a composition of random pieces reads like the bytes it was made of") {
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    CompositeSource disk(200);
    ByteBuffer expected(200);
    for (int step = 0; step < 12; ++step) {
      const std::uint64_t offset = random() % 200;
      const auto piece = counting_bytes(random() % 30, static_cast<std::uint8_t>(random()));
      if (disk.add(offset, std::make_shared<MemorySource>(piece))) {
        std::ranges::copy(piece, expected.begin() + static_cast<std::ptrdiff_t>(offset));
      }
    }
    const std::uint64_t from = random() % 200;
    const std::uint64_t length = random() % (200 - from);
    REQUIRE(disk.read(0, 200) == expected);
    const auto part = disk.read(from, length);
    REQUIRE(part);
    REQUIRE(std::ranges::equal(*part, ByteView(expected).subspan(from, length)));
  }
}

TEST_CASE("a file reads back what was written, with its holes told") {
  const ScratchFolder folder;
  const auto path = folder / "disk.img";
  constexpr std::uint64_t kSize = 64U << 20;
  {
    auto sink = FileSink::create(path, kSize);
    REQUIRE(sink);
    REQUIRE((*sink)->write_at(16U << 20, counting_bytes(65536)));
    REQUIRE((*sink)->write_at(kSize - 3, ByteBuffer{7, 8, 9}));
    REQUIRE((*sink)->flush());
  }
  const auto source = FileSource::open(path);
  REQUIRE(source);
  CHECK((*source)->size() == kSize);
  CHECK((*source)->read(16U << 20, 65536) == counting_bytes(65536));
  CHECK((*source)->read(kSize - 4, 4) == ByteBuffer{0, 7, 8, 9});
  check_out_of_range(**source, kSize, 1);
  check_out_of_range(**source, UINT64_MAX, 1);

  // The file system may say more than was written, in its own block size, but never less, and not everything here.
  ExtentSet told;
  for (const Extent& extent : all_data(**source)) told.add(extent);
  CHECK(told.contains({16U << 20, 65536}));
  CHECK(told.contains({kSize - 3, 3}));
  CHECK(told.total() < kSize / 2);
}

TEST_CASE("an empty file has no data and reads nothing") {
  const ScratchFolder folder;
  REQUIRE(FileSink::create(folder / "empty", 0));
  const auto source = FileSource::open(folder / "empty");
  REQUIRE(source);
  CHECK((*source)->size() == 0);
  CHECK(all_data(**source).empty());
  check_out_of_range(**source, 0, 1);
}

TEST_CASE("creating a file over a longer one leaves nothing of it") {
  const ScratchFolder folder;
  std::ofstream(folder / "old") << "something that was there before";
  REQUIRE(FileSink::create(folder / "old", 4));
  const auto source = FileSource::open(folder / "old");
  REQUIRE(source);
  CHECK((*source)->read(0, (*source)->size()) == ByteBuffer(4));
}

TEST_CASE("a file that became shorter is a read error with the offset") {
  const ScratchFolder folder;
  REQUIRE(FileSink::create(folder / "shrinking", 4096));
  const auto source = FileSource::open(folder / "shrinking");
  REQUIRE(source);
  std::filesystem::resize_file(folder / "shrinking", 1000);
  const auto read = (*source)->read(0, 4096);
  REQUIRE_FALSE(read);
  CHECK(read.error().id() == "io.read-failed");
  CHECK(read.error().context_value("offset") == "1000");
}

TEST_CASE("a file that grew keeps the size with which it was opened") {
  const ScratchFolder folder;
  REQUIRE(FileSink::create(folder / "growing", 8U << 20));
  const auto source = FileSource::open(folder / "growing");
  REQUIRE(source);
  std::ofstream(folder / "growing", std::ios::app) << "more";
  CHECK((*source)->size() == 8U << 20);
  CHECK(all_data(**source).empty());
}

TEST_CASE("what is not there is told apart from what is no file") {
  const ScratchFolder folder;
  CHECK(FileSource::open(folder / "missing").error().id() == "io.not-found");
  CHECK(FileSource::open(folder / "missing").error().context_value("file") == (folder / "missing").native());
  CHECK(FileSource::open(folder.path()).error().id() == "io.open-failed");
  CHECK(FileSource::open("/dev/null").error().id() == "io.open-failed");
  CHECK(FileSink::create(folder / "missing/file", 1).error().id() == "io.not-found");
}

TEST_CASE("opening a pipe that nobody writes to does not wait") {
  const ScratchFolder folder;
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(FileSource::open(folder / "pipe").error().id() == "io.open-failed");
}

TEST_CASE("a file may be opened only by who may read it") {
  if (geteuid() == 0) {
    WARN("skipped: root may read everything");
    return;
  }
  const ScratchFolder folder;
  std::ofstream(folder / "secret") << "x";
  std::filesystem::permissions(folder / "secret", std::filesystem::perms::none);
  CHECK(FileSource::open(folder / "secret").error().id() == "io.permission");
}

TEST_CASE("a size that no file can have is refused") {
  const ScratchFolder folder;
  const auto sink = FileSink::create(folder / "huge", UINT64_MAX);
  REQUIRE_FALSE(sink);
  CHECK(sink.error().id() == "io.write-failed");
}
