// SPDX-License-Identifier: GPL-3.0-or-later
// The udev rules: the generated ones of slot ports, and the shipped ones of known devices.
#include "devices/usb/slot_rules.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <vector>

#include "devices/protocol/usb_identity.hpp"

using namespace imprint;

TEST_CASE("each slot port has its rules, for the device and for its disks") {
  const std::vector<std::string> ports{"1-2.4", "3-4.*"};
  const auto rules = usb::make_slot_rules(ports);
  REQUIRE(rules);
  for (const std::string& port : ports) {
    CHECK(rules->find("KERNEL==\"" + port + "\"") != std::string::npos);
    CHECK(rules->find("KERNELS==\"" + port + "\"") != std::string::npos);
  }
  CHECK(rules->find("UDISKS_IGNORE") != std::string::npos);
}

TEST_CASE("what is no port does not become part of a rule") {
  const auto* const port = GENERATE("1-2\", RUN+=\"/bin/sh", "1-2\n", "", "*", "-1", "usb1", "1-2.[0-9]");
  const auto rules = usb::make_slot_rules(std::vector<std::string>{port});
  REQUIRE_FALSE(rules);
  CHECK(rules.error().id() == "device.port-invalid");
}

TEST_CASE("the shipped rules name every device that a protocol is known for") {
  std::ifstream file(IMPRINT_UDEV_RULES);
  std::stringstream text;
  text << file.rdbuf();
  const std::string rules = text.str();
  REQUIRE_FALSE(rules.empty());
  std::size_t known = 0;
  for (unsigned vendor : {0x045EU, 0x0421U}) {
    for (unsigned product = 0; product <= 0xFFFF; ++product) {
      devices::UsbIdentity identity;
      identity.vendor_id = static_cast<std::uint16_t>(vendor);
      identity.product_id = static_cast<std::uint16_t>(product);
      if (!devices::protocol_of(identity)) continue;
      ++known;
      std::ostringstream id;
      id << std::hex << std::setfill('0') << "ATTR{idVendor}==\"" << std::setw(4) << vendor << "\", ATTR{idProduct}==\""
         << std::setw(4) << product << '"';
      INFO(id.str());
      CHECK(rules.find(id.str()) != std::string::npos);
    }
  }
  CHECK(known > 0);
}
