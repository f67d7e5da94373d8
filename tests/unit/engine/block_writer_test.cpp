// SPDX-License-Identifier: GPL-3.0-or-later
// The host applies an image to a disk: what lands where, in which order, and what an interrupted disk looks like.
#include "flash/engine/block_writer.hpp"

#include <catch2/catch.hpp>

#include "flash/core/errors.hpp"
#include "flash/engine/flash_device.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

using namespace imprint;

namespace {

struct Event {
  bool is_flush = false;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool is_zero = false;
};

// A disk in memory that keeps a list of what happened to it, and can fail at one of these.
class RecordedDisk final : public core::BlockSink {
 public:
  explicit RecordedDisk(core::ByteBuffer content) : bytes(std::move(content)) {}
  core::Status write_at(std::uint64_t offset, core::ByteView data) override {
    REQUIRE(offset % 512 == 0);
    REQUIRE(data.size() % 512 == 0);
    REQUIRE(offset + data.size() <= bytes.size());
    if (events.size() + 1 == fail_at) return core::fail("io.write-failed");
    std::ranges::copy(data, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    events.push_back({false, offset, data.size(), core::is_zero(data)});
    return {};
  }
  core::Status flush() override {
    if (events.size() + 1 == fail_at) return core::fail("io.write-failed");
    events.push_back({.is_flush = true});
    return {};
  }
  core::ByteBuffer bytes;
  std::vector<Event> events;
  std::size_t fail_at = 0;
};

class Counter final : public engine::TransferObserver {
 public:
  void on_bytes(std::uint64_t bytes) override {
    CHECK(bytes > done);
    done = bytes;
    if (stop_after != 0 && done >= stop_after) source.request_stop();
  }
  void on_device_log(std::string_view) override {}
  std::uint64_t done = 0;
  std::uint64_t stop_after = 0;
  std::stop_source source;
};

struct Line {
  fixture::FileOptions options;
  std::shared_ptr<engine::VerifiedImage> image;
  ffu::DiskMap map;

  explicit Line(fixture::FileOptions wanted) : options(std::move(wanted)) {
    const fixture::Image file = fixture::build_image(options);
    image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file.file)).value();
    map = ffu::DiskMap::build(image->image().stores[0], options.stores[0].disk_size).value();
  }
  [[nodiscard]] RecordedDisk disk(std::uint8_t content) const {
    return RecordedDisk(core::ByteBuffer(options.stores[0].disk_size, content));
  }
};

core::Status write(const Line& line, RecordedDisk& disk, Counter& counter, const std::stop_token& stop = {}) {
  const engine::WritePlan plan(line.map, {}, {});
  const auto queue = engine::one_by_one(disk.bytes.size(), &disk, nullptr);
  engine::PhaseMeter meter;
  engine::WriteOutcome outcome;
  auto done = engine::write_blocks(*line.image, plan, {}, *queue, counter, meter, stop, outcome);
  CHECK(meter.view().done == counter.done);
  return done;
}

// A table at both ends of a disk of 4 MiB, and something between.
fixture::FileOptions with_tables() {
  fixture::FileOptions options;
  options.stores[0].disk_size = 4U << 20;
  options.stores[0].block_size = 16384;
  options.stores[0].descriptors = {{{{0, 0}, {2, 0}}, 1, 1}, {{{0, 40}}, 8, 2}, {{{0, 100}}, 1, 3}};
  return options;
}

}  // namespace

TEST_CASE("every form of image is applied to a disk, and reads back") {
  for (const auto& [name, options] : fixture::all_forms()) {
    if (options.stores.size() != 1) continue;
    INFO(name);
    const Line line(options);
    RecordedDisk disk = line.disk(0);
    Counter counter;
    REQUIRE(write(line, disk, counter));
    CHECK((disk.bytes == fixture::expected_disk(options.stores[0], 0)));
    CHECK(counter.done == line.map.described_bytes());
    CHECK(engine::read_back(*line.image, core::MemorySource(disk.bytes), {}, {}));
  }
}

TEST_CASE("what the image leaves out stays as it was, but for old partition tables") {
  const Line line(with_tables());
  RecordedDisk disk = line.disk(0xA5);
  Counter counter;
  REQUIRE(write(line, disk, counter));
  CHECK(disk.bytes[engine::kTableBytes] == 0xA5);
  CHECK(disk.bytes[engine::kTableBytes - 1] == 0);
  CHECK(disk.bytes[disk.bytes.size() - engine::kTableBytes - 1] == 0xA5);
  CHECK(disk.bytes[disk.bytes.size() - engine::kTableBytes] == 0);
}

TEST_CASE("tables are wiped before anything and written after everything, each on stable storage before the next") {
  const Line line(with_tables());
  RecordedDisk disk = line.disk(0xA5);
  Counter counter;
  REQUIRE(write(line, disk, counter));
  const auto& events = disk.events;
  REQUIRE(events.size() == 12);
  CHECK((events[0].is_zero && events[0].offset == 0 && events[0].length == engine::kTableBytes));
  CHECK((events[1].is_zero && events[1].offset == disk.bytes.size() - engine::kTableBytes));
  CHECK(events[2].is_flush);
  CHECK((events[3].offset == 40 * 16384 && events[3].length == 8 * 16384));
  CHECK(events[4].offset == 100 * 16384);
  CHECK(events[5].is_flush);
  CHECK(events[6].offset == disk.bytes.size() - 16384);
  CHECK(events[7].is_flush);
  CHECK((events[8].offset == 4096 && events[8].length == 16384 - 4096));
  CHECK(events[9].is_flush);
  CHECK((events[10].offset == 0 && events[10].length == 4096));
  CHECK(events[11].is_flush);
}

TEST_CASE("a disk whose writing was interrupted anywhere has no first sector, and never counts as written") {
  const Line line(with_tables());
  for (std::size_t n = 1;; ++n) {
    RecordedDisk disk = line.disk(0xA5);
    disk.fail_at = n;
    Counter counter;
    const auto done = write(line, disk, counter);
    if (done) {
      CHECK(n == 13);
      break;
    }
    INFO("event " << n);
    CHECK(done.error().id() == "io.write-failed");
    const bool untouched = n == 1;
    const bool table_written = n == 12;  // only its flush failed
    if (!untouched && !table_written) CHECK(core::is_zero(core::ByteView(disk.bytes).first(512)));
  }
}

TEST_CASE("writing stops where it is told to") {
  const Line line(with_tables());
  RecordedDisk disk = line.disk(0xA5);
  Counter counter;
  counter.stop_after = 1;
  const auto done = write(line, disk, counter, counter.source.get_token());
  CHECK(done.error().id() == "job.cancelled");
  CHECK(core::is_zero(core::ByteView(disk.bytes).first(512)));
}

TEST_CASE("a smaller disk than both tables is written whole") {
  fixture::FileOptions options;
  options.stores[0].disk_size = 200 * 512;
  options.stores[0].block_size = 4096;
  options.stores[0].descriptors = {{{{0, 3}}, 1, 1}, {{{2, 0}}, 1, 2}};
  const Line line(options);
  RecordedDisk disk = line.disk(0xA5);
  Counter counter;
  REQUIRE(write(line, disk, counter));
  CHECK((disk.bytes == fixture::expected_disk(options.stores[0], 0)));
}
