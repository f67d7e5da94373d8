// SPDX-License-Identifier: GPL-3.0-or-later
// Texts that name ports, and those that must not become a part of a path or a rule.
#include "devices/protocol/port_path.hpp"

#include <catch2/catch.hpp>

#include "devices/usb/slot_rules.hpp"

using namespace imprint::devices;

TEST_CASE("ports look like the kernel's names for them") {
  for (const char* good : {"1-1", "12-3.4", "1-2.3.4.5.6.7", "255-255", "1-2.3.4.5.6.7.8"}) CHECK(is_port_path(good));
  for (const char* bad : {"",
                          "1",
                          "-1",
                          "1-",
                          "1-.2",
                          "1-2.",
                          "1-2..3",
                          "a-1",
                          "1-2-3",
                          "1.2",
                          "1-2.x",
                          "usb1",
                          "0-1",
                          "1-0",
                          "01-1",
                          "1-01",
                          "1-256",
                          "1-1000",
                          "1-2.3.4.5.6.7.8.9",
                          "1-2\n",
                          " 1-2",
                          "../1-2"})
    CHECK_FALSE(is_port_path(bad));
}

TEST_CASE("a pattern has one star at most, behind its dash") {
  for (const char* good : {"1-2", "1-*", "1-2.*", "1-*.3", "1-2*"}) CHECK(is_port_pattern(good));
  for (const char* bad : {"*", "*-1", "1*-2", "*1-2", "1-*.*", "1-2.*x", "1-.*", "1*"})
    CHECK_FALSE(is_port_pattern(bad));
}

TEST_CASE("udev rules are made for every pattern that a slot map takes, and for no other") {
  for (const char* text :
       {"1-2", "1-*", "1-2.*", "1-*.3", "1-2*", "*", "*-1", "1*-2", "1-*.*", "1-0", "1-02", "1-300"}) {
    CAPTURE(text);
    CHECK(imprint::usb::make_slot_rules(std::vector<std::string>{text}).has_value() == is_port_pattern(text));
  }
}

TEST_CASE("a star stands for digits and points, one at least") {
  CHECK(star_in("1-2.*", "1-2.3") == "3");
  CHECK(star_in("1-2.*", "1-2.3.4") == "3.4");
  CHECK(star_in("a*b", "a7b") == "7");
  CHECK_FALSE(star_in("1-2.*", "1-2."));
  CHECK_FALSE(star_in("1-2.*", "1-3.1"));
  CHECK_FALSE(star_in("a*", "ax"));
  CHECK_FALSE(star_in("1-2", "1-2"));
  CHECK(with_star_as("1-*.2", "3.4") == "1-3.4.2");
  CHECK(with_star_as("1-2", "7") == "1-2");
}
