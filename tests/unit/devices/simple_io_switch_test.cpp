// SPDX-License-Identifier: GPL-3.0-or-later
// A Simple I/O device that does not know ReadDisk is read back as a disk, which it becomes at its port. Whatever comes
// there instead is never taken for it.
#include "devices/virtual/virtual_bus.hpp"
#include "flash/engine/flash_device.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using devices::SimpleIoTarget;
using virtual_device::DeviceOptions;
using virtual_device::FaultyTransport;
using virtual_device::IdleRule;
using virtual_device::VirtualBus;

namespace {

const devices::PortPath kPort = VirtualBus::port(1);

DeviceOptions without_read_disk() {
  auto options = device_options();
  options.without = {Opcode::read_disk};
  return options;
}

// As one finds it that somebody has switched before.
std::shared_ptr<VirtualSimpleIoDevice> make_disk(const DeviceOptions& options) {
  auto device = make_device(options);
  REQUIRE(SimpleIoTarget(connect(device)).mass_storage());
  REQUIRE(device->disk());
  return device;
}

core::Status flash(engine::Target& target, const core::ByteBuffer& file) {
  MemoryStream image(file);
  RecordingObserver observer;
  IMPRINT_CHECK(target.identify());
  return target.as_stream()->flash(image, observer, {});
}

core::Status read_back(engine::Target& target, const core::ByteBuffer& file) {
  IMPRINT_TRY(const auto image, engine::VerifiedImage::open(std::make_shared<core::MemorySource>(file)));
  IMPRINT_TRY(const auto disk, target.open_disk());
  return engine::read_back(*image, *disk, [](std::uint64_t, std::uint64_t) {}, {});
}

}  // namespace

TEST_CASE("a device that cannot be read is switched to mass storage, and read back as a disk") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  const auto device = make_device(without_read_disk());
  REQUIRE(bus.plug(kPort, device, device));
  auto target = std::move(*bus.open(kPort));
  const auto file = small_image().file;
  REQUIRE(flash(*target, file));
  CHECK(read_back(*target, file));
  CHECK(device->mode() == VirtualSimpleIoDevice::Mode::mass_storage);
  CHECK(bus.is_held(kPort));
  CHECK(target->recoveries() == 1);
  // The rest of what it was is gone.
  CHECK(error_id(target->identify()) == "device.disconnected");
  CHECK(error_id(flash(*target, file)) == "device.disconnected");
  CHECK(read_back(*target, file));
  // It is told to go as a disk is, and comes back as itself.
  CHECK(target->reboot());
  CHECK(device->mode() == VirtualSimpleIoDevice::Mode::simple_io);
  CHECK_FALSE(bus.is_held(kPort));
  CHECK((*bus.open(kPort))->identify()->protocol == "simple-io");
  CHECK(error_id(read_back(*target, file)) == "device.disconnected");
}

TEST_CASE("a byte that changed on the disk fails the read-back through mass storage") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  const auto device = make_device(without_read_disk());
  REQUIRE(bus.plug(kPort, device, device));
  auto target = std::move(*bus.open(kPort));
  const auto file = small_image().file;
  REQUIRE(flash(*target, file));
  const auto written = device->storage()->written();
  const std::uint64_t place = written.within({0, device->storage()->size()}).front().offset + 17;
  core::ByteBuffer byte = device->storage()->read(place, 1).value();
  byte[0] ^= 1U;
  REQUIRE(device->storage()->write_at(place, byte));
  CHECK(error_id(read_back(*target, file)) == "readback.mismatch");
}

TEST_CASE("a device that does not come back as a disk is disconnected, for good") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  const auto device = make_device(without_read_disk());
  REQUIRE(bus.plug(kPort, device));
  auto target = std::move(*bus.open(kPort));
  CHECK(error_id(target->open_disk()) == "device.disconnected");
  REQUIRE(bus.plug(kPort, device));  // too late, and nobody knows what was done to it meanwhile
  CHECK(error_id(target->open_disk()) == "device.disconnected");
  CHECK(target->recoveries() == 0);
  CHECK_FALSE(bus.is_held(kPort));
}

TEST_CASE("what comes instead of the device's disk is another device") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  auto options = without_read_disk();
  std::shared_ptr<virtual_device::VirtualDevice> other;
  SECTION("a disk with another serial number") {
    options.serial = core::Guid::from_name("other");
    other = make_disk(options);
  }
  SECTION("a disk of another size") {
    options.disk_size /= 2;
    other = make_disk(options);
  }
  SECTION("no disk at all, but the same serial number") { other = make_device(options); }
  REQUIRE(bus.plug(kPort, make_device(without_read_disk()), other));
  auto target = std::move(*bus.open(kPort));
  CHECK(error_id(target->open_disk()) == "device.identity-changed");
  CHECK(error_id(target->open_disk()) == "device.identity-changed");
}

TEST_CASE("a device that knows neither ReadDisk nor mass storage cannot be read back, and stays") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  auto options = without_read_disk();
  options.without.insert(Opcode::mass_storage);
  REQUIRE(bus.plug(kPort, make_device(options)));
  auto target = std::move(*bus.open(kPort));
  CHECK(error_id(target->open_disk()) == "device.read-back-unsupported");
  CHECK(target->identify());
}

TEST_CASE("without a way to the disk a device is not switched") {
  const auto device = make_device(without_read_disk());
  SimpleIoTarget target(connect(device));
  CHECK(error_id(target.open_disk()) == "device.read-back-unsupported");
  CHECK(target.identify());
  CHECK(device->mode() == VirtualSimpleIoDevice::Mode::simple_io);
}

TEST_CASE("whatever transfer fails on the way to the disk, what is read is the disk or it is an error that fits") {
  const auto fault = GENERATE(from_range(kAllFaults));
  const auto file = small_image().file;
  std::uint64_t calls = 0;
  while (true) {
    const auto happened = std::make_shared<bool>(false);
    const virtual_device::FaultPlan plan{fault, ++calls};
    bool first = true;
    VirtualBus bus(
        IdleRule::no_reply_will_come, [&](const devices::PortPath&, const devices::UsbIdentity&, auto transport) {
          return std::exchange(first, false) ? std::make_unique<FaultyTransport>(std::move(transport), plan, happened)
                                             : std::move(transport);
        });
    const auto device = make_device(without_read_disk());
    REQUIRE(flash(*std::make_unique<SimpleIoTarget>(connect(device)), file));
    REQUIRE(bus.plug(kPort, device, device));
    auto target = std::move(*bus.open(kPort));
    const auto done = read_back(*target, file);
    INFO("call " << calls << ": " << error_id(done));
    if (!*happened) {
      CHECK(done);
      break;
    }
    if (!done) {
      auto fitting = fitting_ids(fault);
      fitting.insert("device.disconnected");  // it switched, and its Ack was lost
      REQUIRE(fitting.contains(error_id(done)));
    }
    // The slot is good for the next attempt.
    target.reset();
    REQUIRE(bus.unplug(kPort));
    if (device->disk()) device->power_cut();
    REQUIRE(bus.plug(kPort, device, device));
    REQUIRE(read_back(*std::move(*bus.open(kPort)), file));
  }
  CHECK(calls > 10);
}

TEST_CASE("a device in mass-storage mode is a disk that can be written, read and ejected") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  auto options = device_options();
  options.sector_size = 4096;
  const auto device = make_disk(options);
  REQUIRE(bus.plug(kPort, device, device));
  const auto opened = bus.open(kPort);
  REQUIRE(opened);
  engine::BlockTarget* disk = (*opened)->as_block();
  REQUIRE(disk != nullptr);
  CHECK(error_id(bus.open(kPort)) == "device.busy");
  const auto identity = disk->identify();
  REQUIRE(identity);
  CHECK(identity->is_bare_disk);
  CHECK(identity->protocol == "mass-storage");
  CHECK(identity->serial == device_options().serial.to_string());
  CHECK(identity->disk->sector_size == 4096);
  CHECK(identity->disk->size == 4U << 20);
  {
    const auto sink = disk->open_for_writing();
    REQUIRE(sink);
    REQUIRE((*sink)->write_at(8192, core::ByteBuffer(4096, 7)));
    CHECK((*sink)->flush());
  }
  CHECK((*disk->open_disk())->read(8192, 4096) == core::ByteBuffer(4096, 7));
  CHECK(disk->reboot());
  CHECK(error_id(disk->identify()) == "device.disconnected");
  CHECK(device->mode() == VirtualSimpleIoDevice::Mode::simple_io);
}

TEST_CASE("a virtual disk fails at its bad sector, and altogether once it was pulled") {
  VirtualBus bus(IdleRule::no_reply_will_come);
  auto options = device_options();
  options.faults.bad_sector = 512;
  REQUIRE(bus.plug(kPort, make_disk(options)));
  const auto target = bus.open(kPort);
  REQUIRE(target);
  const auto source = (*target)->open_disk();
  const auto sink = (*target)->as_block()->open_for_writing();
  REQUIRE(source);
  REQUIRE(sink);
  CHECK((*source)->read(0, 512));
  CHECK(error_id((*source)->read(512, 512)) == "device.transfer-failed");
  CHECK(error_id((*sink)->write_at(0, core::ByteBuffer(1024))) == "device.transfer-failed");
  REQUIRE(bus.unplug(kPort));
  CHECK(error_id((*source)->read(0, 512)) == "device.disconnected");
  CHECK(error_id((*sink)->write_at(0, core::ByteBuffer(512))) == "device.disconnected");
  CHECK(error_id((*target)->reboot()) == "device.disconnected");
}
