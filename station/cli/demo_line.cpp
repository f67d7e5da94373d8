// SPDX-License-Identifier: GPL-3.0-or-later
// Virtual devices, a session and its operator.
#include "station/cli/demo_line.hpp"

#include <fmt/format.h>

#include "station/cli/console.hpp"
#include "station/cli/slot_lines.hpp"
#include "station/session.hpp"

namespace imprint::station::cli {
namespace {

constexpr std::uint64_t kLinkBytesPerSecond = 40'000'000;  // what a good high-speed USB 2 link carries
constexpr auto kLineLimit = std::chrono::minutes(10);

}  // namespace

core::Status DemoLine::make_device(unsigned slot) {
  const ffu::Image& image = setup_.image.image->image();
  virtual_device::DeviceOptions options;
  options.platform_id = slot == kWrongDeviceSlot ? "Larkspur.Kestrel.K2.1" : image.platform_ids().at(0);
  options.serial = core::Guid::from_name(fmt::format("imprint demonstration device {}", slot));
  options.unique_id = core::Guid::from_name(fmt::format("imprint demonstration board {}", slot));
  options.disk_size = image.manifest.stores.at(0).min_disk_bytes();
  options.sector_size = image.manifest.stores.at(0).sector_size;
  options.storage_folder = setup_.scratch;
  options.bytes_per_second = kLinkBytesPerSecond;
  options.check_catalog = [trust = setup_.device_trust](const ffu::Image& received) {
    return trust::decide(received, trust::Policy::test, *trust, core::SystemClock().now()).accepted;
  };
  if (slot == kPulledCableSlot) options.faults.disconnect_at_byte = setup_.image.image->size() / 2;
  IMPRINT_TRY(devices_[slot - 1], virtual_device::VirtualSimpleIoDevice::create(std::move(options)));
  return {};
}

core::Result<std::unique_ptr<DemoLine>> DemoLine::make(Setup setup) {
  std::unique_ptr<DemoLine> line(new DemoLine(std::move(setup)));
  for (unsigned slot = 1; slot <= kSlots; ++slot) IMPRINT_CHECK(line->make_device(slot));
  return line;
}

core::Result<std::vector<AttemptResult>> DemoLine::run(db::Records& records, const core::WallClock& clock) {
  SessionConfig config{
      .recipe = setup_.recipe, .image = setup_.image, .slots = {}, .scratch = setup_.scratch, .training = true};
  for (unsigned slot = 1; slot <= kSlots; ++slot) {
    config.slots.push_back({std::to_string(slot), virtual_device::VirtualBus::port(slot)});
  }
  IMPRINT_TRY(const auto session, Session::start(std::move(config), bus_, records, clock));
  for (unsigned slot = 1; slot <= kSlots; ++slot) {
    IMPRINT_CHECK(bus_.plug(virtual_device::VirtualBus::port(slot), devices_[slot - 1]));
  }
  SlotLines lines;
  std::vector<AttemptResult> results;
  const auto deadline = core::Deadline::after(kLineLimit);
  std::size_t expected = kSlots;
  while (results.size() < expected) {
    if (deadline.passed()) return core::fail("job.deadline", "the demonstration's line did not finish");
    auto finished = session->next_finished(core::Deadline::after(std::chrono::milliseconds(200)));
    lines.show(session->snapshot());
    if (!finished) continue;
    const bool pulled = finished->slot == std::to_string(kPulledCableSlot) && finished->error &&
                        finished->error->id() == "device.disconnected";
    results.push_back(std::move(*finished));
    if (pulled && expected == kSlots) {
      lines.say(fmt::format("Slot {}: the cable came out; plugging the device in again", kPulledCableSlot),
                session->snapshot());
      IMPRINT_CHECK(bus_.plug(virtual_device::VirtualBus::port(kPulledCableSlot), devices_[kPulledCableSlot - 1]));
      ++expected;
    }
  }
  lines.show(session->snapshot());
  return results;
}

}  // namespace imprint::station::cli
