// SPDX-License-Identifier: GPL-3.0-or-later
// Devices whose descriptors lie, or that are something else than they should be: none of them is claimed.
#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;

namespace {

// The error of opening that device, which must not have been touched.
std::string refused(DeviceSpec spec) {
  MockUsb computer;
  const auto device = computer.plug(spec);
  const auto bus = open_bus();
  const auto transport = bus->open_transport({spec.path});
  CHECK(device->calls().empty());
  return error_id(transport);
}

std::string refused_interfaces(const std::vector<InterfaceSpec>& interfaces) {
  return refused({.config = config_descriptor(interfaces)});
}

constexpr std::uint8_t kKeyboard = 0x03;

}  // namespace

TEST_CASE("a device needs one bulk endpoint in each direction") {
  const EndpointSpec in{.address = 0x81};
  const EndpointSpec out{.address = 0x01};
  CHECK(refused_interfaces({{.endpoints = {}}}) == "device.protocol-violation");
  CHECK(refused_interfaces({{.endpoints = {in}}}) == "device.protocol-violation");
  CHECK(refused_interfaces({{.endpoints = {in, out, {.address = 0x82}}}}) == "device.protocol-violation");
  CHECK(refused_interfaces({{.endpoints = {in, {.address = 0x82}}}}) == "device.protocol-violation");
  CHECK(refused_interfaces({{.endpoints = {out, {.address = 0x02}}}}) == "device.protocol-violation");
  CHECK(refused_interfaces({{.endpoints = {in, {.address = 0x01, .attributes = 3}}}}) == "device.protocol-violation");
}

TEST_CASE("an endpoint's packet size has to be one of USB") {
  CHECK(refused_interfaces({{.endpoints = {{.address = 0x81, .packet = 0}, {.address = 0x01}}}}) ==
        "device.protocol-violation");
  CHECK(refused_interfaces({{.endpoints = {{.address = 0x81}, {.address = 0x01, .packet = 2000}}}}) ==
        "device.protocol-violation");
}

TEST_CASE("a device that is a keyboard as well is refused") {
  const InterfaceSpec keyboard{.interface_class = kKeyboard, .endpoints = {{.attributes = 3}}, .number = 1};
  CHECK(refused_interfaces({InterfaceSpec{}, keyboard}) == "device.unexpected-interface");
}

TEST_CASE("a device with our ids and another interface class, number or count is refused") {
  CHECK(refused_interfaces({{.interface_class = 0x02}}) == "device.unexpected-interface");
  CHECK(refused_interfaces({{.number = 1}}) == "device.unexpected-interface");
  CHECK(refused_interfaces({InterfaceSpec{}, {.number = 1}}) == "device.unexpected-interface");
  CHECK(refused_interfaces({}) == "device.unexpected-interface");
}

TEST_CASE("a keyboard at a slot's port is unexpected and a vendor's own device is unknown") {
  CHECK(refused({.vendor_id = 0x046D,
                 .product_id = 0xC31C,
                 .config = config_descriptor({{.interface_class = kKeyboard, .endpoints = {{.attributes = 3}}}})}) ==
        "device.unexpected-interface");
  CHECK(refused({.vendor_id = 0x1234, .product_id = 0x5678}) == "device.unknown");
}

TEST_CASE("descriptors with lengths that lie are refused") {
  auto too_long = config_descriptor({InterfaceSpec{}});
  too_long[9] = 200;  // the interface descriptor's own length
  CHECK(refused({.config = too_long}) != "");
  auto too_short = config_descriptor({InterfaceSpec{}});
  too_short[9 + 9] = 1;  // the first endpoint's
  CHECK(refused({.config = too_short}) != "");
  auto cut = config_descriptor({InterfaceSpec{}});
  cut.resize(cut.size() - 3);
  CHECK(refused({.config = cut}) != "");
}

TEST_CASE("a configuration of random bytes is refused") {
  std::uint32_t state = 1;
  for (int round = 0; round < 20; ++round) {
    auto config = config_descriptor({InterfaceSpec{}});
    for (std::size_t i = 2; i < config.size(); ++i) {
      state = state * 1'664'525 + 1'013'904'223;
      config[i] = static_cast<std::uint8_t>(state >> 24);
    }
    CHECK(refused({.config = config}) != "");
  }
}

TEST_CASE("strings of a device cannot drive a terminal, and are bounded") {
  MockUsb computer;
  computer.plug({.serial = "S\x1B[2J\x07", .product = std::string(3000, 'x')});
  const auto bus = open_bus();
  const auto identity = bus->identify({"1-1"});
  REQUIRE(identity);
  CHECK(identity->serial == "S?[2J?");
  CHECK(identity->product.size() <= 512);
}
