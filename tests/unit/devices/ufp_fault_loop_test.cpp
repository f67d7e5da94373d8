// SPDX-License-Identifier: GPL-3.0-or-later
// Every call of the transport to a UFP device goes wrong once, in every way, and so does every reply of the device:
// never a false success, always a fitting error, and the device is good for another attempt over the same connection,
// where that was not what was lost.
#include "devices/virtual/faulty_transport.hpp"
#include "tests/unit/devices/ufp_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;
using namespace imprint::ufp_fixture;
using virtual_device::FaultPlan;
using virtual_device::FaultyTransport;
using virtual_device::TransportFault;

namespace {

// Identify, then flash.
core::Status run_scenario(std::unique_ptr<devices::Transport> transport, MemoryStream& image) {
  devices::UfpTarget target(std::move(transport));
  RecordingObserver observer;
  IMPRINT_CHECK(target.identify());
  return target.flash(image, observer, {});
}

struct Scenario {
  ImageOptions image_options;
  UfpOptions options = ufp_options();
  explicit Scenario(std::uint16_t protocol, bool waits_for_closing = false) {
    options.waits_for_closing = waits_for_closing;
    image_options.disk_size = 1U << 20;
    image_options.descriptors = simple_descriptors(14);
    options.disk_size = image_options.disk_size;
    options.protocols = protocol;
    options.write_buffer_size = 65536;
  }
};

}  // namespace

TEST_CASE("no transfer to a UFP device can go wrong in any way and give a false success") {
  const Scenario scenario =
      GENERATE(Scenario(ufp::kSyncV1), Scenario(ufp::kSyncV2), Scenario(ufp::kSyncV2, /*waits_for_closing=*/true));
  MemoryStream image(build_image(scenario.image_options).file);
  const core::ByteBuffer expected = expected_disk(scenario.image_options, 0xA5);
  const auto fault = GENERATE(TransportFault::fail, TransportFault::cut_short, TransportFault::stall,
                              TransportFault::time_out, TransportFault::disconnect);
  std::uint64_t calls = 0;
  while (true) {
    const auto device = make_ufp_device(scenario.options);
    const auto happened = std::make_shared<bool>(false);
    const auto cable = cable_to(device);
    const FaultPlan plan{fault, ++calls};
    const auto done = run_scenario(std::make_unique<FaultyTransport>(connect(cable), plan, happened), image);
    if (!*happened) {
      CHECK(done);
      CHECK(disk_of(*device) == expected);
      break;
    }
    INFO("call " << calls << ": " << error_id(done));
    if (done) {
      // A greeting is repeated, and what the device says after its confirmation takes nothing from that.
      REQUIRE(device->completed_images() == 1);
      REQUIRE(disk_of(*device) == expected);
      continue;
    }
    REQUIRE(fitting_ids(fault).contains(error_id(done)));
    if (fault == TransportFault::disconnect) cable->unplug();
    const auto again = run_scenario(connect(cable->plugged() ? cable : cable_to(device)), image);
    INFO("the next attempt: " << (again ? "" : again.error().message()));
    REQUIRE(again);
    REQUIRE(disk_of(*device) == expected);
  }
  CHECK(calls > 30);
}

TEST_CASE("no reply of a UFP device can be wrong and give a false success") {
  const Scenario scenario =
      GENERATE(Scenario(ufp::kSyncV1), Scenario(ufp::kSyncV2), Scenario(ufp::kSyncV2, /*waits_for_closing=*/true));
  MemoryStream image(build_image(scenario.image_options).file);
  const auto how = GENERATE(UfpFaults::Reply::garbage, UfpFaults::Reply::none, UfpFaults::Reply::cut_short);
  std::uint64_t replies = 0;
  while (true) {
    auto options = scenario.options;
    options.faults.reply_at = {++replies, how};
    const auto device = make_ufp_device(options);
    const auto cable = cable_to(device);
    const auto done = run_scenario(connect(cable), image);
    if (device->options().faults.reply_at) {
      CHECK(done);
      break;
    }
    INFO("reply " << replies << ": " << error_id(done));
    if (done) {
      REQUIRE(device->completed_images() == 1);
      continue;
    }
    REQUIRE((error_id(done) == "device.protocol-violation" || error_id(done) == "device.timed-out"));
    REQUIRE(run_scenario(connect(cable), image));
  }
  CHECK(replies > 15);
}

TEST_CASE("a UFP device that is pulled at any byte fails as device.disconnected and is good for another attempt") {
  const Scenario scenario(GENERATE(ufp::kSyncV1, ufp::kSyncV2));
  MemoryStream image(build_image(scenario.image_options).file);
  for (std::uint64_t byte = 1; byte < image.size(); byte += 20000) {
    auto options = scenario.options;
    options.faults.disconnect_at_byte = byte;
    const auto device = make_ufp_device(options);
    REQUIRE(error_id(run_scenario(connect(device), image)) == "device.disconnected");
    REQUIRE(device->completed_images() == 0);
    REQUIRE(run_scenario(connect(device), image));
  }
}
