// SPDX-License-Identifier: GPL-3.0-or-later
// A small line for the station's tests: one image, records of its own, and virtual devices that answer at once.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "db/records.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/virtual_bus.hpp"
#include "station/session.hpp"
#include "tests/unit/fixtures/ffu_fixture.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::station::test {

using virtual_device::VirtualBus;
using virtual_device::VirtualSimpleIoDevice;

inline fixture::ImageOptions image_options() {
  fixture::ImageOptions options;
  options.descriptors = fixture::simple_descriptors(24);
  return options;
}

// The fixture's image is not signed by anybody: the decision is made here, where trust is not what is tested.
inline ArmedImage armed_image() {
  auto image =
      engine::VerifiedImage::open(std::make_shared<core::MemorySource>(fixture::build_image(image_options()).file));
  REQUIRE(image.has_value());
  ArmedImage armed{*image, {}, "trust-digest"};
  armed.decision.accepted = true;
  return armed;
}

inline Recipe recipe() {
  Recipe recipe;
  recipe.product = "test-product";
  recipe.policy = trust::Policy::none;
  recipe.reboot_time = std::chrono::milliseconds(0);  // the next device may come at once
  return recipe;
}

struct Line {
  core::test::ScratchFolder folder;
  core::SystemClock clock;
  VirtualBus bus{virtual_device::IdleRule::no_reply_will_come};
  std::unique_ptr<db::Records> records;

  Line() {
    auto opened = db::Records::open(folder / "station.db", clock);
    REQUIRE(opened.has_value());
    records = std::move(*opened);
  }

  [[nodiscard]] std::shared_ptr<VirtualSimpleIoDevice> device(unsigned number, virtual_device::FaultScript faults = {},
                                                              std::uint64_t bytes_per_second = 0) const {
    virtual_device::DeviceOptions options;
    options.platform_id = image_options().platform_id;
    options.serial = core::Guid::from_name("serial " + std::to_string(number));
    options.disk_size = image_options().disk_size;
    options.storage_folder = folder.path();
    options.faults = faults;
    options.bytes_per_second = bytes_per_second;
    auto made = VirtualSimpleIoDevice::create(std::move(options));
    REQUIRE(made.has_value());
    return *made;
  }

  [[nodiscard]] std::unique_ptr<Session> start_once() { return start(recipe(), 8, true, true); }
  [[nodiscard]] std::unique_ptr<Session> start(Recipe what = recipe(), unsigned slots = 8, bool training = true,
                                               bool once = false) {
    SessionConfig config{.recipe = std::move(what),
                         .image = armed_image(),
                         .slots = {},
                         .scratch = folder.path(),
                         .training = training,
                         .once = once};
    for (unsigned slot = 1; slot <= slots; ++slot)
      config.slots.push_back({std::to_string(slot), VirtualBus::port(slot)});
    auto session = Session::start(std::move(config), bus, *records, clock);
    REQUIRE(session.has_value());
    return std::move(*session);
  }

  [[nodiscard]] static AttemptResult next(Session& session) {
    auto result = session.next_finished(core::Deadline::after(std::chrono::seconds(30)));
    REQUIRE(result.has_value());
    return std::move(*result);
  }

  [[nodiscard]] std::vector<db::AttemptRow> rows() const {
    auto rows = records->attempts({});
    REQUIRE(rows.has_value());
    return std::move(*rows);
  }
};

}  // namespace imprint::station::test
