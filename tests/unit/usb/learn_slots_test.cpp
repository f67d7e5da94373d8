// SPDX-License-Identifier: GPL-3.0-or-later
// Slots learned from a mocked USB: events on their way to the thread that learns, and what came at a port.
#include "station/cli/learn_slots.hpp"

#include <poll.h>

#include <filesystem>

#include "tests/unit/fixtures/scratch_folder.hpp"
#include "tests/unit/usb/mock_usb.hpp"

using namespace imprint;
using namespace imprint::fixture;
using station::cli::newcomer_at;
using station::cli::PlugEvents;
using station::cli::SlotLearner;

namespace {

constexpr int kPatienceMs = 20'000;

// The next event, waited for as the command does it.
std::optional<PlugEvents::Event> next(PlugEvents& events) {
  for (;;) {
    if (auto event = events.take()) return event;
    pollfd wait{events.descriptor(), POLLIN, 0};
    if (::poll(&wait, 1, kPatienceMs) <= 0) return std::nullopt;
    events.clear_wake();
  }
}

std::string text_of(const std::optional<PlugEvents::Event>& event) {
  return event ? (event->arrived ? "+" : "-") + event->port.text : "nothing";
}

}  // namespace

TEST_CASE("arrivals and departures come in order, and what was there before is no news") {
  MockUsb computer;
  computer.plug({.path = "1-1"});
  const auto bus = open_bus();
  auto events = PlugEvents::make();
  REQUIRE(events);
  const auto subscription = bus->subscribe(**events);
  (*events)->begin();
  computer.plug({.path = "1-2"});
  CHECK(text_of(next(**events)) == "+1-2");
  computer.unplug("1-1");
  CHECK(text_of(next(**events)) == "-1-1");
  CHECK_FALSE((*events)->take());
}

TEST_CASE("a wake ends a wait without an event") {
  auto events = PlugEvents::make();
  REQUIRE(events);
  (*events)->wake();
  pollfd wait{(*events)->descriptor(), POLLIN, 0};
  CHECK(::poll(&wait, 1, kPatienceMs) == 1);
  CHECK_FALSE((*events)->take());
  (*events)->clear_wake();
  CHECK(::poll(&wait, 1, 0) == 0);
}

TEST_CASE("a device, a disk and what is neither are told apart at their ports") {
  MockUsb computer;
  computer.add_controller(2, "pci0000:00/0000:00:15.0", "xhci_hcd", "5000");
  computer.link_peers("usb1", "usb1-port1", "usb2", "usb2-port1");
  computer.plug({.path = "1-1",
                 .product = "Bo\x1B"
                            "ard"});
  computer.add_interface("1-1", 0xFF, "");
  computer.plug(
      {.path = "1-2", .vendor_id = 1, .product_id = 1, .config = config_descriptor({{.interface_class = 8}})});
  computer.add_interface("1-2", 8, "usb-storage");
  computer.plug(
      {.path = "1-3", .vendor_id = 1, .product_id = 1, .config = config_descriptor({{.interface_class = 3}})});
  computer.add_interface("1-3", 3, "usbhid");
  const auto device = newcomer_at({"1-1"});
  REQUIRE(device);
  CHECK(device->refusal.empty());
  CHECK(device->product == "Bo?ard");
  CHECK_FALSE(device->is_disk);
  CHECK(device->peer == devices::PortPath{"2-1"});
  const auto disk = newcomer_at({"1-2"});
  REQUIRE(disk);
  CHECK(disk->refusal.empty());
  CHECK(disk->is_disk);
  const auto keyboard = newcomer_at({"1-3"});
  REQUIRE(keyboard);
  CHECK(keyboard->refusal.find("keyboard") != std::string::npos);
  CHECK_FALSE(newcomer_at({"1-4"}));
}

TEST_CASE("a device that the kernel keeps out is not learned, and one of an unknown kind is") {
  MockUsb computer;
  computer.add_hub("1-1", 2);
  computer.plug({.path = "1-2", .authorised = false});
  computer.plug({.path = "1-3", .vendor_id = 1, .product_id = 1});
  computer.add_interface("1-3", 0xFF, "");
  const auto hub = newcomer_at({"1-1"});
  REQUIRE(hub);
  CHECK(hub->refusal.find("hub") != std::string::npos);
  CHECK_FALSE(newcomer_at({"1-2"})->refusal.empty());
  CHECK(newcomer_at({"1-3"})->refusal.empty());
}

TEST_CASE("what is plugged in one by one stands in the slot file") {
  MockUsb computer;
  const ScratchFolder folder;
  const auto bus = open_bus();
  auto events = PlugEvents::make();
  auto learner = SlotLearner::make(folder / "learned.conf", station::SlotMap());
  REQUIRE(events);
  REQUIRE(learner);
  const auto subscription = bus->subscribe(**events);
  (*events)->begin();
  for (const char* const port : {"1-3", "1-1"}) {
    computer.plug({.path = port});
    const auto event = next(**events);
    REQUIRE(event);
    const auto newcomer = newcomer_at(event->port);
    REQUIRE(newcomer);
    REQUIRE(learner->arrive(*newcomer, event->at));
  }
  const auto map = station::SlotMap::load({folder.path()});
  REQUIRE(map);
  CHECK(map->slot_of({"1-3"})->name == "1");
  CHECK(map->slot_of({"1-1"})->name == "2");
}
