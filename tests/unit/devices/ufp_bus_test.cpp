// SPDX-License-Identifier: GPL-3.0-or-later
// UFP devices are known by their USB ids, and the bus makes the right target of them.
#include "devices/protocol/usb_identity.hpp"
#include "devices/virtual/virtual_bus.hpp"
#include "tests/unit/devices/ufp_fixture.hpp"

using namespace imprint;
using namespace imprint::ufp_fixture;

TEST_CASE("each of UFP's USB ids means UFP") {
  devices::UsbIdentity identity;
  for (const ufp::UsbId& id : ufp::kUsbIds) {
    identity.vendor_id = id.vendor;
    identity.product_id = id.product;
    CHECK(devices::protocol_of(identity) == devices::Protocol::ufp);
  }
  identity.vendor_id = 0x0421;
  identity.product_id = 0x0001;
  CHECK_FALSE(devices::protocol_of(identity));
}

TEST_CASE("a UFP device on the virtual bus is opened as what it is") {
  virtual_device::VirtualBus bus(virtual_device::IdleRule::no_reply_will_come);
  const auto port = virtual_device::VirtualBus::port(1);
  REQUIRE(bus.plug(port, make_ufp_device()));
  auto target = bus.open(port);
  REQUIRE(target);
  const auto identity = (*target)->identify();
  REQUIRE(identity);
  CHECK(identity->protocol == devices::to_string(devices::Protocol::ufp));
  REQUIRE((*target)->reboot());
  CHECK(bus.occupied().empty());
}

TEST_CASE("a Simple I/O device goes the normal flow unless another one is asked for") {
  using Flow = devices::SimpleIoOptions::Flow;
  const auto computes_crc = [](auto... options) {
    const auto device = fixture::make_device(fixture::fast_device_options());
    const auto target = devices::make_target(devices::Protocol::simple_io, connect(device), options...);
    fixture::MemoryStream image(fixture::small_image().file);
    fixture::RecordingObserver observer;
    REQUIRE(target->flash(image, observer, {}));
    return image.computed != 0;
  };
  CHECK(computes_crc());
  CHECK(computes_crc(devices::SimpleIoOptions{.flow = Flow::normal}));
  CHECK_FALSE(computes_crc(devices::SimpleIoOptions{.flow = Flow::by_capability}));
}
