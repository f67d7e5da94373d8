// SPDX-License-Identifier: GPL-3.0-or-later
// Disks that come when they like after their device.
#include "devices/usb/port_disk.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using usb::KernelDisk;
using usb::wait_for_disk;

namespace {

using Disks = std::vector<KernelDisk>;
const KernelDisk kDisk{"/dev/sdx", "8:16", true};

bool still_there() { return true; }
core::Deadline in_a_minute() { return core::Deadline::after(std::chrono::minutes(1)); }

}  // namespace

TEST_CASE("a disk that comes some time after its device is waited for") {
  int asked = 0;
  const auto disk = wait_for_disk([&] { return ++asked < 3 ? Disks{} : Disks{kDisk}; }, still_there, in_a_minute());
  REQUIRE(disk);
  CHECK(disk->node == "/dev/sdx");
  CHECK(disk->number == "8:16");
  CHECK(asked == 3);
}

TEST_CASE("a disk is not taken before udev has given it its owner") {
  int asked = 0;
  const auto disks = [&] {
    KernelDisk disk = kDisk;
    disk.is_settled = ++asked > 2;
    return Disks{disk};
  };
  CHECK(wait_for_disk(disks, still_there, in_a_minute()));
  CHECK(asked == 3);
}

TEST_CASE("a disk that never comes is device.not-present at the deadline") {
  int asked = 0;
  const auto none = [&] {
    ++asked;
    return Disks{};
  };
  const auto disk = wait_for_disk(none, still_there, core::Deadline::after(std::chrono::milliseconds(60)));
  CHECK(disk.error().id() == "device.not-present");
  CHECK(asked >= 2);
}

TEST_CASE("a device with two disks is refused, since nobody knows which one is meant") {
  const auto disk = wait_for_disk([] { return Disks{kDisk, {"/dev/sdy", "8:32", true}}; }, still_there, in_a_minute());
  CHECK(disk.error().id() == "device.unknown");
  CHECK(disk.error().context_value("disks") == "2");
}

TEST_CASE("the disk of a device that took another one's place while it was waited for is not taken") {
  int asked = 0;
  const auto disk =
      wait_for_disk([&] { return ++asked < 3 ? Disks{} : Disks{kDisk}; }, [&] { return asked < 2; }, in_a_minute());
  CHECK(disk.error().id() == "device.disconnected");
  CHECK(asked == 2);
}
