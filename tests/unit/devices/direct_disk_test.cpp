// SPDX-License-Identifier: GPL-3.0-or-later
// A disk's calls and their deadlines, over a disk in memory; and the target over both, with each call failing in turn.
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

namespace {

constexpr std::chrono::milliseconds kLong = std::chrono::minutes(1);

std::shared_ptr<FakeDisk> fake_disk(std::size_t size) {
  auto disk = std::make_shared<FakeDisk>();
  disk->bytes.assign(size, 0xA5);
  return disk;
}

core::Result<std::shared_ptr<DirectDisk>> open(const std::shared_ptr<FakeDisk>& disk, DiskAccess access,
                                               std::chrono::milliseconds limit = kLong) {
  return DirectDisk::open({.node = "/dev/sdb",
                           .access = access,
                           .identity = {"8:16", 17},
                           .size = disk->bytes.size(),
                           .limit = limit,
                           .is_there = [disk] { return !disk->gone; },
                           .open = fixture::opener(disk)});
}

devices::MassStorageSetup setup_for(const std::shared_ptr<FakeDisk>& disk, const fixture::DiskSystem& system) {
  devices::MassStorageSetup setup;
  setup.find = [disk]() -> core::Result<devices::FoundDisk> {
    if (disk->gone) return devices::fail("device.disconnected");
    return devices::FoundDisk{"/dev/sdb", "8:16"};
  };
  setup.paths = system.paths;
  setup.open = fixture::opener(disk);
  return setup;
}

class Nobody final : public engine::TransferObserver {
 public:
  void on_bytes(std::uint64_t) override {}
  void on_device_log(std::string_view) override {}
};

// The station's steps with a disk, from identification to the proof.
core::Status flash(devices::MassStorageTarget& target, engine::VerifiedImage& image,
                   const engine::FlashPolicy& policy = {}) {
  IMPRINT_TRY(const auto identity, target.identify());
  IMPRINT_TRY(const auto plan, engine::plan_for(image, identity, policy));
  Nobody nobody;
  engine::PhaseMeter meter;
  engine::WriteOutcome outcome;
  IMPRINT_CHECK(engine::write_image(target, image, *plan, policy, nobody, meter, {}, outcome));
  IMPRINT_TRY(const auto disk, target.open_queue());
  return engine::read_back(image, *plan, policy, *disk, {}, meter, {});
}

std::shared_ptr<engine::VerifiedImage> small_image(std::uint64_t disk_size) {
  fixture::ImageOptions options;
  options.disk_size = disk_size;
  options.descriptors = fixture::simple_descriptors(6);
  return engine::VerifiedImage::open(std::make_shared<core::MemorySource>(fixture::build_image(options).file)).value();
}

}  // namespace

TEST_CASE("what was written to a disk is read back at any offset") {
  const auto fake = fake_disk(5 * (1U << 20) + 512);
  const std::uint64_t size = fake->bytes.size();
  const auto disk = open(fake, DiskAccess::write).value();
  core::ByteBuffer bytes(size);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 4096);
  REQUIRE(disk->write_at(0, core::ByteView(bytes).first(3 << 20)));
  REQUIRE(disk->write_at(3 << 20, core::ByteView(bytes).subspan(3 << 20)));
  REQUIRE(disk->flush());
  CHECK((fake->bytes == bytes));
  for (const auto& [offset, length] : {std::pair<std::uint64_t, std::uint64_t>{0, size},
                                       {1, 1},
                                       {4095, 2},
                                       {(1U << 20) - 3, (1U << 20) + 9},
                                       {size - 700, 700},
                                       {size, 0}}) {
    core::ByteBuffer out(length);
    REQUIRE(disk->read_at(offset, out));
    CHECK(std::equal(out.begin(), out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset)));
  }
  core::ByteBuffer beyond(2);
  CHECK(disk->read_at(size - 1, beyond).error().id() == "io.out-of-range");
  CHECK(disk->write_at(UINT64_MAX, beyond).error().id() == "io.out-of-range");
}

TEST_CASE("a transfer that the kernel cuts short goes on where it stopped, and a disk that became shorter has gone") {
  const auto fake = fake_disk(1 << 20);
  fake->fault = DiskFault::cut_short;
  fake->at_call = 1;
  const auto disk = open(fake, DiskAccess::read).value();
  core::ByteBuffer out(8192);
  CHECK(disk->read_at(0, out));
  CHECK((out == core::ByteBuffer(8192, 0xA5)));
  fake->bytes.resize(4096);
  CHECK(disk->read_at(65536, out).error().id() == "device.disconnected");
}

TEST_CASE("a call that does not end by its limit ends the disk's use, and nobody waits for it") {
  const auto fake = fake_disk(1 << 20);
  fake->fault = DiskFault::hang;
  fake->at_call = 1;
  {
    const auto disk = open(fake, DiskAccess::write, std::chrono::milliseconds(50)).value();
    core::ByteBuffer out(4096);
    const auto first = disk->read_at(0, out);
    CHECK(first.error().id() == "device.timed-out");
    CHECK(first.error().context_value("during") == "reading the disk");
    CHECK(disk->write_at(0, out).error().id() == "device.timed-out");
    CHECK(disk->flush().error().id() == "device.timed-out");
    fake->release();
  }
  CHECK(fake->open_now == 0);
}

TEST_CASE("a node that leads to another disk than was meant is not used") {
  const auto fake = fake_disk(4096);
  SECTION("another medium") { fake->identity.sequence = 18; }
  SECTION("another disk") { fake->identity.number = "8:32"; }
  CHECK(open(fake, DiskAccess::write).error().id() == "device.disk-changed");
  CHECK(fake->open_now == 0);
}

TEST_CASE("what cannot be opened is refused by its own id") {
  const auto fake = fake_disk(4096);
  for (const auto& [error, id] : {std::pair{EBUSY, "device.disk-in-use"},
                                  {EACCES, "device.permission"},
                                  {ENOENT, "device.not-present"},
                                  {ENOMEDIUM, "device.not-present"},
                                  {ENOTBLK, "io.open-failed"}}) {
    fake->open_error = error;
    CHECK(open(fake, DiskAccess::read).error().id() == id);
  }
  CHECK_FALSE(devices::open_block_device("/dev/null", DiskAccess::read).has_value());
  CHECK(devices::open_block_device("/dev/no-such-disk", DiskAccess::read).error() == ENOENT);
}

TEST_CASE("a disk is written and read back through one opening, and nobody can have it in between") {
  const auto fake = fake_disk(1 << 20);
  const fixture::DiskSystem system(*fake);
  const auto image = small_image(1 << 20);
  {
    devices::MassStorageTarget target(setup_for(fake, system));
    CHECK(target.identify()->serial == "CARD-1");
    REQUIRE(flash(target, *image));
    CHECK(fake->open_now == 1);
    CHECK(target.reboot());
  }
  CHECK(fake->open_now == 0);
}

TEST_CASE("a write-protected disk is refused before anything is written") {
  const auto fake = fake_disk(1 << 20);
  fixture::DiskSystem system(*fake);
  system.put("sys/devices/usb1/block/sdb/ro", "1");
  devices::MassStorageTarget target(setup_for(fake, system));
  CHECK(target.identify().error().id() == "device.disk-read-only");
}

TEST_CASE("a disk that is another one, or in use, by the time it is opened is not written") {
  const auto fake = fake_disk(1 << 20);
  fixture::DiskSystem system(*fake);
  devices::MassStorageTarget target(setup_for(fake, system));
  REQUIRE(target.identify());
  std::string expected;
  SECTION("another medium") {
    system.put("sys/devices/usb1/block/sdb/diskseq", "18");
    expected = "device.disk-changed";
  }
  SECTION("mounted meanwhile") {
    system.put("proc/self/mountinfo", "30 1 8:16 / /mnt rw - vfat /dev/sdb rw\n");
    expected = "device.disk-in-use";
  }
  SECTION("the device left") {
    fake->gone = true;
    expected = "device.disconnected";
  }
  CHECK(target.open_for_writing().error().id() == expected);
  CHECK((fake->bytes == core::ByteBuffer(1 << 20, 0xA5)));
}

TEST_CASE("whichever call to a disk fails, no success is reported, and the same disk passes afterwards") {
  const auto image = small_image(1 << 20);
  for (const auto& [fault, has_ring] : {std::pair{DiskFault::fail, false},
                                        {DiskFault::vanish, false},
                                        {DiskFault::fail, true},
                                        {DiskFault::vanish, true}}) {
    unsigned call = 0;
    for (bool happened = true; happened;) {
      const auto fake = fake_disk(1 << 20);
      fixture::DiskSystem system(*fake);
      fake->fault = fault;
      fake->has_ring = has_ring;
      fake->at_call = ++call;
      fake->when_vanishing = [&] { system.unplug(); };
      devices::MassStorageTarget target(setup_for(fake, system));
      const auto done = flash(target, *image);
      happened = fake->happened;
      INFO("call " << call);
      CHECK(done.has_value() == !happened);
      if (!happened) break;
      CHECK(done.error().id() ==
            (fault == DiskFault::vanish ? std::string("device.disconnected") : std::string("device.transfer-failed")));
      if (fault == DiskFault::vanish) continue;
      fake->at_call = 0;
      devices::MassStorageTarget again(setup_for(fake, system));
      // The first target still holds the disk; the fake does not mind.
      CHECK(flash(again, *image));
    }
    CHECK(call > 10);
  }
}
