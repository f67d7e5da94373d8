// SPDX-License-Identifier: GPL-3.0-or-later
// A disk with several transfers in flight: over a ring of our own, any of whose transfers may fail, fall short or hang,
// and over the kernel's.
#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <thread>

#include "devices/protocol/direct_disk.hpp"
#include "devices/protocol/errors.hpp"
#include "flash/engine/flash_device.hpp"
#include "tests/unit/devices/disk_fixture.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"

using namespace imprint;
using devices::DirectDisk;
using devices::DiskAccess;
using fixture::DiskFault;
using fixture::FakeDisk;
using Request = engine::QueuedDisk::Request;

namespace {

constexpr std::chrono::milliseconds kLong = std::chrono::minutes(1);
constexpr std::size_t kMiB = 1U << 20;

std::shared_ptr<FakeDisk> fake_disk(std::size_t size, bool has_ring = true) {
  auto disk = std::make_shared<FakeDisk>();
  disk->bytes.assign(size, 0xA5);
  disk->has_ring = has_ring;
  return disk;
}

std::shared_ptr<DirectDisk> open(const std::shared_ptr<FakeDisk>& disk, std::chrono::milliseconds limit = kLong,
                                 std::stop_token stop = {}) {
  return DirectDisk::open({.node = "/dev/sdb",
                           .access = DiskAccess::write,
                           .identity = {"8:16", 17},
                           .size = disk->bytes.size(),
                           .limit = limit,
                           .is_there = [disk] { return !disk->gone; },
                           .open = fixture::opener(disk),
                           .stop = std::move(stop)})
      .value();
}

// Fills the disk through the queue, all buffers in flight, and then reads it.
core::Status fill_and_check(engine::QueuedDisk& queue, std::uint8_t seed) {
  const std::uint64_t pieces = queue.size() / kMiB;
  std::uint64_t next = 0;
  std::vector<unsigned> free;
  for (unsigned i = 0; i < queue.buffers(); ++i) free.push_back(i);
  for (std::uint64_t ended = 0; ended < pieces; ++ended) {
    for (; !free.empty() && next < pieces; ++next) {
      std::ranges::fill(queue.buffer(free.back()), static_cast<std::uint8_t>(seed + next));
      IMPRINT_CHECK(queue.start({Request::Way::write, free.back(), 0, next * kMiB, kMiB}));
      free.pop_back();
    }
    IMPRINT_TRY(const unsigned done, queue.finish({}));
    free.push_back(done);
  }
  IMPRINT_CHECK(queue.flush({}));
  for (std::uint64_t piece = 0; piece < pieces; ++piece) {
    IMPRINT_CHECK(queue.start({Request::Way::read, 0, 4096, piece * kMiB + 4096, 8192}));
    IMPRINT_TRY([[maybe_unused]] const unsigned done, queue.finish({}));
    CHECK(queue.buffer(0)[4096] == static_cast<std::uint8_t>(seed + piece));
    CHECK(queue.buffer(0)[4096 + 8191] == static_cast<std::uint8_t>(seed + piece));
  }
  return {};
}

}  // namespace

TEST_CASE("transfers in flight may end in any order, and one after the other where there is no ring") {
  for (const bool has_ring : {true, false}) {
    const auto fake = fake_disk(9 * kMiB, has_ring);
    const auto disk = open(fake);
    const auto queue = disk->open_queue().value();
    CHECK(queue->buffers() == DirectDisk::kQueueBuffers);
    REQUIRE(fill_and_check(*queue, 3));
    CHECK(fake->bytes[8 * kMiB] == 3 + 8);
    CHECK(queue->notes().size() == (has_ring ? 0U : 1U));
    CHECK(queue->start({Request::Way::write, 0, 0, 9 * kMiB - 512, 1024}).error().id() == "io.out-of-range");
    // Whoever reads meanwhile, another way, is not disturbed.
    core::ByteBuffer out(100);
    CHECK(disk->read_at(kMiB + 1, out));
    CHECK(out[0] == 4);
  }
}

TEST_CASE("a transfer that takes its time holds up no other") {
  const auto fake = fake_disk(4 * kMiB);
  fake->fault = DiskFault::hang;
  fake->at_call = 1;
  const auto disk = open(fake);
  const auto queue = disk->open_queue().value();
  for (unsigned i = 0; i < 4; ++i) REQUIRE(queue->start({Request::Way::write, i, 0, i * kMiB, kMiB}));
  unsigned ended = 0;
  for (int i = 0; i < 3; ++i) ended += 1U << queue->finish({}).value();
  CHECK(std::popcount(ended) == 3);
  fake->release();
  CHECK(queue->finish({}).error().id() == "device.transfer-failed");
}

TEST_CASE("whichever transfer in flight fails, falls short or finds the disk gone, the queue says so or goes on") {
  for (const DiskFault fault : {DiskFault::fail, DiskFault::vanish, DiskFault::cut_short}) {
    for (unsigned call = 1;; ++call) {
      const auto fake = fake_disk(6 * kMiB);
      fake->fault = fault;
      fake->at_call = call;
      const auto disk = open(fake);
      const auto queue = disk->open_queue().value();
      INFO("call " << call);
      const auto done = fill_and_check(*queue, 1);
      if (!fake->happened) {
        CHECK(done);
        CHECK(call > 12);
        break;
      }
      if (fault == DiskFault::cut_short) {
        CHECK(done);
      } else {
        CHECK(done.error().id() ==
              (fault == DiskFault::fail ? std::string("device.transfer-failed") : std::string("device.disconnected")));
      }
    }
  }
}

TEST_CASE("a transfer that hangs is left behind with its memory, and nobody waits for it") {
  for (const bool has_ring : {true, false}) {
    for (unsigned call = 1; call <= 14; ++call) {
      const auto fake = fake_disk(6 * kMiB, has_ring);
      fake->fault = DiskFault::hang;
      fake->at_call = call;
      {
        const auto disk = open(fake, std::chrono::milliseconds(20));
        const auto queue = disk->open_queue().value();
        const auto done = fill_and_check(*queue, 1);
        INFO("call " << call);
        if (fake->happened) CHECK(done.error().id() == "device.timed-out");
        if (fake->happened) CHECK(disk->flush().error().id() == "device.timed-out");
        fake->release();
      }
      CHECK(fake->open_now == 0);
    }
  }
}

TEST_CASE("a disk that never answers again is left to its thread, which closes it when it can") {
  const auto fake = fake_disk(6 * kMiB);
  fake->fault = DiskFault::hang;
  fake->at_call = 3;
  {
    const auto disk = open(fake, std::chrono::milliseconds(20));
    const auto queue = disk->open_queue().value();
    CHECK_FALSE(fill_and_check(*queue, 1));
  }
  CHECK(fake->open_now == 1);
  fake->release();
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (fake->open_now != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(fake->open_now == 0);
}

TEST_CASE("whatever call to a disk hangs, the job is cancelled at once") {
  fixture::ImageOptions options;
  options.disk_size = 1 << 20;
  options.descriptors = fixture::simple_descriptors(6);
  const auto image =
      engine::VerifiedImage::open(std::make_shared<core::MemorySource>(fixture::build_image(options).file)).value();
  class Nobody final : public engine::TransferObserver {
   public:
    void on_bytes(std::uint64_t) override {}
    void on_device_log(std::string_view) override {}
  };
  for (const bool has_ring : {true, false}) {
    for (unsigned call = 1;; ++call) {
      const auto fake = fake_disk(1 << 20, has_ring);
      const fixture::DiskSystem system(*fake);
      fake->fault = DiskFault::hang;
      fake->at_call = call;
      std::stop_source cancel;
      bool is_cancelled = false;
      {
        devices::MassStorageSetup setup;
        setup.find = []() -> core::Result<devices::FoundDisk> { return devices::FoundDisk{"/dev/sdb", "8:16"}; };
        setup.paths = system.paths;
        setup.open = fixture::opener(fake);
        setup.limit = kLong;
        devices::MassStorageTarget target(std::move(setup));
        target.stop_with(cancel.get_token());
        const engine::FlashPolicy policy;
        const auto plan = engine::plan_for(*image, target.identify().value(), policy).value();
        std::jthread canceller([&](const std::stop_token& over) {
          const std::stop_callback free_waiter(over, [&] { fake->happen(); });
          fake->wait_until_it_happened();
          cancel.request_stop();
        });
        Nobody nobody;
        engine::PhaseMeter meter;
        engine::WriteOutcome outcome;
        auto done = engine::write_image(target, *image, *plan, policy, nobody, meter, cancel.get_token(), outcome);
        if (done) {
          const auto disk = target.open_queue().value();
          done = engine::read_back(*image, *plan, policy, *disk, {}, meter, cancel.get_token());
        }
        if (done) {
          core::ByteBuffer out(512);
          done = target.open_disk().value()->read_at(0, out);
        }
        is_cancelled = !done;
        INFO("call " << call);
        if (is_cancelled) CHECK(done.error().id() == "job.cancelled");
        fake->release();
      }
      if (!is_cancelled) {
        CHECK(call > 10);
        break;
      }
    }
  }
}

TEST_CASE("a ring that refuses its transfers is used no more, and the queue says so") {
  const auto fake = fake_disk(5 * kMiB);
  fake->ring_refuses = EINVAL;
  const auto disk = open(fake);
  const auto queue = disk->open_queue().value();
  REQUIRE(fill_and_check(*queue, 9));
  CHECK(queue->notes().size() == 1);
}

TEST_CASE("a disk that is used through the page cache is noted") {
  const auto fake = fake_disk(2 * kMiB, false);
  fake->is_cached = true;
  CHECK(open(fake)->open_queue().value()->notes().size() == 2);
}

TEST_CASE("a disk without commands for erasing is zeroed by writing, and discards nothing") {
  for (const bool erases : {true, false}) {
    const auto fake = fake_disk(3 * kMiB);
    fake->erases = erases;
    const auto queue = open(fake)->open_queue().value();
    CHECK(queue->erase(engine::EraseWay::discard, {4096, 8192}, {}).value() == erases);
    CHECK(queue->erase(engine::EraseWay::zero, {kMiB, kMiB + 512}, {}).value());
    CHECK(core::is_zero(core::ByteView(fake->bytes).subspan(kMiB, kMiB + 512)));
    CHECK(fake->bytes[kMiB - 1] == 0xA5);
    CHECK(fake->bytes[2 * kMiB + 512] == 0xA5);
    CHECK(fake->bytes[4096] == (erases ? 0 : 0xA5));
  }
}

TEST_CASE("the kernel's ring moves bytes of buffers and of parts, and can be woken") {
  const core::test::ScratchFolder folder;
  const int file = ::open((folder / "disk").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  auto opened = devices::open_ring(file, 4);
  if (!opened) {
    WARN("io_uring is not to be had here: errno " << opened.error());
    ::close(file);
    return;
  }
  devices::DiskRing& ring = **opened;
  core::ByteBuffer first(8192, 1);
  const core::ByteBuffer second(4096, 2);
  const core::ByteBuffer third(4096, 3);
  const std::vector<core::ByteView> parts{second, third};
  REQUIRE(ring.start({.is_read = false, .id = 0, .offset = 0, .bytes = first}));
  REQUIRE(ring.start({.is_read = false, .id = 3, .offset = 8192, .bytes = {}, .parts = parts}));
  unsigned ended = 0;
  for (int i = 0; i < 2; ++i) {
    const auto done = ring.wait();
    REQUIRE(done);
    REQUIRE(done->has_value());
    CHECK((*done)->moved.value() == 8192);
    ended += 1U << (*done)->id;
  }
  CHECK(ended == 1U + 8U);
  ring.wake();
  CHECK_FALSE(ring.wait()->has_value());
  core::ByteBuffer all(20000);
  REQUIRE(ring.start({.is_read = true, .id = 2, .offset = 0, .bytes = all}));
  CHECK((*ring.wait())->moved.value() == 16384);  // the file's end
  CHECK((all[0] == 1 && all[8192] == 2 && all[16383] == 3));
  REQUIRE(ring.start({.is_read = true, .id = 1, .offset = 16384, .bytes = all}));
  CHECK((*ring.wait())->moved.value() == 0);
  opened->reset();
  ::close(file);
}
