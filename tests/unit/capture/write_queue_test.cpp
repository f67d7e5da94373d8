// SPDX-License-Identifier: GPL-3.0-or-later
// A disk that is slow, hangs or is full, and nobody who waits for it.
#include "devices/capture/write_queue.hpp"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

#include "flash/core/errors.hpp"

using namespace imprint;
using capture::WriteQueue;

namespace {

core::Deadline soon() { return core::Deadline::after(std::chrono::milliseconds(30)); }
core::Deadline later() { return core::Deadline::after(std::chrono::seconds(30)); }

// Writes when it is let. Shared with the queue's thread, which may be there longer than the test.
struct Disk {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_open = true;
  core::ByteBuffer written;
  std::size_t fail_after = SIZE_MAX;  // bytes

  core::Status write(core::ByteView bytes) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return is_open; });
    if (written.size() + bytes.size() > fail_after) return core::fail("io.disk-full");
    written.insert(written.end(), bytes.begin(), bytes.end());
    return {};
  }
  void open(bool now) {
    const std::scoped_lock lock(mutex);
    is_open = now;
    changed.notify_all();
  }
};

std::unique_ptr<WriteQueue> queue_to(const std::shared_ptr<Disk>& disk, std::size_t most_bytes) {
  return WriteQueue::start([disk](core::ByteView bytes) { return disk->write(bytes); }, most_bytes).value();
}

core::ByteBuffer bytes(std::size_t count, std::uint8_t value) { return core::ByteBuffer(count, value); }

}  // namespace

TEST_CASE("what is pushed is written in its order, as one piece each") {
  const auto disk = std::make_shared<Disk>();
  const auto queue = queue_to(disk, 100);
  REQUIRE(queue->push({bytes(2, 1), bytes(0, 0), bytes(3, 2)}));
  REQUIRE(queue->push({bytes(1, 3)}));
  REQUIRE(queue->settle(later()));
  CHECK(disk->written == core::ByteBuffer{1, 1, 2, 2, 2, 3});
}

TEST_CASE("a disk that does not keep up ends the recording, and what was taken before is written") {
  const auto disk = std::make_shared<Disk>();
  disk->open(false);
  const auto queue = queue_to(disk, 100);
  REQUIRE(queue->push({bytes(60, 1)}));
  CHECK(queue->settle(soon()).error().id() == "capture.disk-too-slow");
  REQUIRE(queue->push({bytes(40, 2)}));
  CHECK(queue->push({bytes(1, 3)}).error().id() == "capture.disk-too-slow");
  CHECK(queue->push({bytes(0, 3)}).error().id() == "capture.disk-too-slow");
  disk->open(true);
  CHECK(queue->settle(later()).error().id() == "capture.disk-too-slow");
  CHECK(disk->written.size() == 100);
}

TEST_CASE("a write that fails is told at the next push, and nothing follows it") {
  const auto disk = std::make_shared<Disk>();
  disk->fail_after = 5;
  const auto queue = queue_to(disk, 100);
  REQUIRE(queue->push({bytes(5, 1)}));
  REQUIRE(queue->settle(later()));
  static_cast<void>(queue->push({bytes(1, 2)}));
  CHECK(queue->settle(later()).error().id() == "io.disk-full");
  CHECK(queue->push({bytes(1, 3)}).error().id() == "io.disk-full");
  CHECK(disk->written.size() == 5);
}

TEST_CASE("the end of a queue waits for what it was given") {
  const auto disk = std::make_shared<Disk>();
  {
    const auto queue = queue_to(disk, 100);
    for (std::uint8_t i = 0; i < 50; ++i) REQUIRE(queue->push({bytes(1, i)}));
  }
  CHECK(disk->written.size() == 50);
  CHECK(disk.use_count() == 1);
}
