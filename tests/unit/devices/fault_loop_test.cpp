// SPDX-License-Identifier: GPL-3.0-or-later
// Every call of the transport goes wrong once, in every way: never a false success, always a fitting error, and the
// device is good for another attempt over the same connection, where that was not what was lost. On both flows, with
// and without recovery, and while a device is switched to mass storage.
#include "devices/virtual/faulty_transport.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using virtual_device::FaultPlan;
using virtual_device::FaultyTransport;
using virtual_device::TransportFault;

namespace {

// Identify, flash, read all back. Good only when the disk that was read is the one that the image describes, and the
// device the one that it is.
core::Status run_scenario(std::unique_ptr<devices::Transport> transport, MemoryStream& image,
                          const core::ByteBuffer& expected, devices::SimpleIoOptions options = {}) {
  devices::SimpleIoTarget target(std::move(transport), std::move(options));
  RecordingObserver observer;
  IMPRINT_TRY(const engine::DeviceIdentity identity, target.identify());
  if (identity.serial != device_options().serial.to_string()) return core::fail("io.read-failed", "another serial");
  IMPRINT_CHECK(target.flash(image, observer, {}));
  IMPRINT_TRY(const auto disk, target.open_disk());
  IMPRINT_TRY(const core::ByteBuffer bytes, disk->read(0, disk->size()));
  if (bytes != expected) return core::fail("io.read-failed", "the disk is not what it should be");
  return {};
}

struct LoopImage {
  ImageOptions options = [] {
    ImageOptions out;
    out.disk_size = 1U << 20;
    out.descriptors = simple_descriptors(14);
    return out;
  }();
  MemoryStream stream{build_image(options).file};
  core::ByteBuffer expected = expected_disk(options, 0xA5);
};

virtual_device::DeviceOptions loop_device(bool fast) {
  auto options = fast ? fast_device_options() : device_options();
  options.disk_size = 1U << 20;
  options.fast_packet_data_size = simple_io::kPacketDataSize;
  options.fast_transfer_size = simple_io::kTransferSize;
  return options;
}

// The slot as a next attempt finds it: nobody has touched the cable, unless it came loose.
void check_usable_again(const std::shared_ptr<VirtualSimpleIoDevice>& device,
                        std::shared_ptr<virtual_device::VirtualCable> cable, TransportFault fault, LoopImage& image) {
  if (fault == TransportFault::disconnect) {
    cable->unplug();
    cable = cable_to(device);
  }
  const auto again = run_scenario(connect(cable), image.stream, image.expected);
  INFO("the next attempt: " << (again ? "" : again.error().message()));
  REQUIRE(again);
}

}  // namespace

TEST_CASE("no transfer can go wrong in any way and give a false success") {
  const bool fast = GENERATE(false, true);
  const auto fault = GENERATE(from_range(kAllFaults));
  LoopImage image;
  std::uint64_t survived = 0;
  std::uint64_t calls = 0;
  while (true) {
    const auto device = make_device(loop_device(fast));
    const auto happened = std::make_shared<bool>(false);
    const auto cable = cable_to(device);
    const FaultPlan plan{fault, ++calls};
    const auto done =
        run_scenario(std::make_unique<FaultyTransport>(connect(cable), plan, happened), image.stream, image.expected);
    if (!*happened) {
      CHECK(done);
      break;
    }
    INFO("call " << calls << ": " << error_id(done));
    if (done) {
      ++survived;
      REQUIRE(fault != TransportFault::disconnect);
      REQUIRE(device->completed_images() == 1);
      continue;
    }
    auto fitting = fitting_ids(fault);
    if (fast) fitting.insert("device.confirmation-missing");
    REQUIRE(fitting.contains(error_id(done)));
    check_usable_again(device, cable, fault, image);
  }
  CHECK(calls > 50);
  // The questions before and after the image, and the reads of the disk, are asked again; the image is not.
  CHECK(survived < calls / 2);
}

TEST_CASE("with recovery a transfer that goes wrong gives the right disk or a fitting error") {
  const bool fast = GENERATE(false, true);
  const bool battery = GENERATE(false, true);
  const auto fault = GENERATE(from_range(kAllFaults));
  LoopImage image;
  auto device_options = loop_device(fast);
  device_options.has_battery = battery;
  std::uint64_t recovered = 0;
  std::uint64_t calls = 0;
  while (true) {
    const auto device = make_device(device_options);
    const auto happened = std::make_shared<bool>(false);
    auto cable = cable_to(device);
    devices::SimpleIoOptions options;
    options.settle = std::chrono::milliseconds(0);
    options.reconnect = [&](core::Deadline) {
      cable->unplug();
      cable = cable_to(device);
      return core::Result<std::unique_ptr<devices::Transport>>(connect(cable));
    };
    const FaultPlan plan{fault, ++calls};
    const auto done = run_scenario(std::make_unique<FaultyTransport>(connect(cable), plan, happened), image.stream,
                                   image.expected, options);
    INFO("call " << calls << ": " << error_id(done));
    if (!*happened) {
      CHECK(done);
      break;
    }
    if (done) {
      ++recovered;
      REQUIRE(device->completed_images() >= 1);
    } else {
      auto fitting = fitting_ids(fault);
      if (fast) fitting.insert("device.confirmation-missing");
      REQUIRE(fitting.contains(error_id(done)));
      check_usable_again(device, cable, fault, image);
    }
  }
  // All but those before the image, in the read-back, and what no recovery follows: about half.
  CHECK(recovered > calls / 3);
}

TEST_CASE("a device that is switched to mass storage is switched, or says why it is not, whatever transfer fails") {
  const auto fault = GENERATE(from_range(kAllFaults));
  std::uint64_t calls = 0;
  while (true) {
    const auto device = make_device();
    const auto happened = std::make_shared<bool>(false);
    const auto cable = cable_to(device);
    const FaultPlan plan{fault, ++calls};
    devices::SimpleIoTarget target(std::make_unique<FaultyTransport>(connect(cable), plan, happened));
    const auto done = target.mass_storage();
    INFO("call " << calls << ": " << error_id(done));
    cable->unplug();  // the device leaves with its switch
    if (done) CHECK(device->mode() == VirtualSimpleIoDevice::Mode::mass_storage);
    if (!*happened) {
      CHECK(done);
      break;
    }
    if (done) continue;
    auto fitting = fitting_ids(fault);
    const bool switched = device->mode() == VirtualSimpleIoDevice::Mode::mass_storage;
    if (switched) fitting.insert("device.disconnected");  // its Ack was lost on the way, and it left
    REQUIRE(fitting.contains(error_id(done)));
    if (switched) device->power_cut();
    REQUIRE(devices::SimpleIoTarget(connect(device)).mass_storage());
  }
  CHECK(calls > 5);
}

TEST_CASE("a stalled transport works again after clear") {
  const auto happened = std::make_shared<bool>(false);
  FaultyTransport transport(connect(make_device()), {TransportFault::stall, 1}, happened);
  const auto deadline = core::Deadline::after(std::chrono::seconds(1));
  CHECK(error_id(transport.write(one(Opcode::id), deadline)) == "device.stalled");
  CHECK(error_id(transport.control_line_state(deadline)) == "device.stalled");
  REQUIRE(transport.clear(deadline));
  CHECK(transport.write(one(Opcode::id), deadline));
}
