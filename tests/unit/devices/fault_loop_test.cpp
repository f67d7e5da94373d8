// SPDX-License-Identifier: GPL-3.0-or-later
// Every call of the transport goes wrong once, in every way: never a false success, always a fitting error, and the
// device is good for another attempt.
#include <set>

#include "devices/virtual/faulty_transport.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using virtual_device::FaultPlan;
using virtual_device::FaultyTransport;
using virtual_device::TransportFault;

namespace {

// Identify, flash, read all back. Good only when the disk that was read is the one that the image describes.
core::Status run_scenario(std::unique_ptr<devices::Transport> transport, MemoryStream& image,
                          const core::ByteBuffer& expected) {
  devices::SimpleIoTarget target(std::move(transport));
  RecordingObserver observer;
  IMPRINT_CHECK(target.identify());
  IMPRINT_CHECK(target.flash(image, observer, {}));
  IMPRINT_TRY(const auto disk, target.open_disk());
  IMPRINT_TRY(const core::ByteBuffer bytes, disk->read(0, disk->size()));
  if (bytes != expected) return core::fail("io.read-failed", "the disk is not what it should be");
  return {};
}

std::set<std::string> fitting_ids(TransportFault fault) {
  switch (fault) {
    case TransportFault::fail:
      return {"device.transfer-failed"};
    case TransportFault::cut_short:
      return {"device.transfer-failed", "device.timed-out", "device.protocol-violation"};
    case TransportFault::stall:
      return {"device.stalled"};
    case TransportFault::time_out:
      return {"device.timed-out"};
    case TransportFault::disconnect:
      return {"device.disconnected"};
  }
  return {};
}

}  // namespace

TEST_CASE("no transfer can go wrong in any way and still give a success") {
  ImageOptions image_options;
  image_options.disk_size = 1U << 20;
  image_options.descriptors = simple_descriptors(14);
  MemoryStream image(build_image(image_options).file);
  const core::ByteBuffer expected = expected_disk(image_options, 0xA5);
  auto options = device_options();
  options.disk_size = image_options.disk_size;

  const auto fault = GENERATE(TransportFault::fail, TransportFault::cut_short, TransportFault::stall,
                              TransportFault::time_out, TransportFault::disconnect);
  std::uint64_t calls = 0;
  while (true) {
    const auto device = make_device(options);
    const auto happened = std::make_shared<bool>(false);
    const auto cable = cable_to(device);
    const FaultPlan plan{fault, ++calls};
    const auto done = run_scenario(std::make_unique<FaultyTransport>(connect(cable), plan, happened), image, expected);
    if (!*happened) {
      CHECK(done);
      break;
    }
    INFO("call " << calls << ": " << error_id(done));
    REQUIRE_FALSE(done);
    REQUIRE(fitting_ids(fault).contains(error_id(done)));
    cable->unplug();
    REQUIRE(run_scenario(connect(device), image, expected));
  }
  CHECK(calls > 60);
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
