// SPDX-License-Identifier: GPL-3.0-or-later
// imprint flash: the station's own way of a device, on an engineer's bench, with everything that is plugged in now.
#include <boost/json/object.hpp>

#include "db/armings.hpp"
#include "db/records.hpp"
#include "devices/capture/recorder.hpp"
#include "devices/protocol/disk_bus.hpp"
#include "devices/protocol/errors.hpp"
#include "devices/usb/usb_bus.hpp"
#include "flash/core/clock.hpp"
#include "flash/core/errors.hpp"
#include "station/armed_image.hpp"
#include "station/cli/device_commands.hpp"
#include "station/cli/flash_report.hpp"
#include "station/cli/flash_station.hpp"
#include "station/cli/scratch.hpp"
#include "station/cli/slot_lines.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/errors.hpp"
#include "station/flash_waiting.hpp"
#include "station/line/line_json.hpp"
#include "station/session.hpp"
#include "station/slot_choice.hpp"
#include "station/slot_map.hpp"
#include "station/version.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
using ReadBack = engine::FlashPolicy::ReadBack;

fs::path default_records(bool training) {
  return training ? "/var/lib/imprint/records/training.db" : "/var/lib/imprint/records/station.db";
}

struct Bench {
  std::unique_ptr<devices::DeviceBus> bus;
  std::vector<SlotConfig> slots;
};

// Disks that were named, which have to be there.
core::Result<Bench> disk_bench(const FlashOptions& options) {
  if (!options.serials.empty() && options.serials.size() != options.devices.size())
    return fail("usage.invalid", "give a --serial for each --device, in their order, or for none");
  std::vector<devices::DiskBus::Disk> disks;
  Bench bench;
  for (std::size_t i = 0; i < options.devices.size(); ++i) {
    const fs::path& node = options.devices[i];
    IMPRINT_CHECK(devices::read_disk_facts(node));
    disks.push_back({node, options.serials.empty() ? std::string() : options.serials[i]});
    bench.slots.push_back({node.filename().native(), {node.native()}});
  }
  bench.bus = std::make_unique<devices::DiskBus>(std::move(disks));
  return bench;
}

core::Result<Bench> make_bench(const FlashOptions& options, devices::TransportTap tap) {
  Bench bench;
  if (!options.devices.empty()) {
    return disk_bench(options);
  }
  IMPRINT_TRY(const SlotMap map, SlotMap::load(options.slot_folders));
  usb::UsbBus::Options bus;
  bus.disks_allowed = [map](const devices::PortPath& port) {
    const auto slot = map.slot_of(port);
    return slot ? slot->disks : devices::DisksAllowed::none;
  };
  bus.tap = std::move(tap);
  IMPRINT_TRY(bench.bus, usb::UsbBus::open(std::move(bus)));
  IMPRINT_TRY(bench.slots, choose_slots(map, options.slots, bench.bus->occupied()));
  return bench;
}

core::Result<ArmedImage> arm(const FlashOptions& options, trust::Policy policy) {
  auto trust_store = trust::TrustStore::empty();
  if (policy != trust::Policy::none) {
    IMPRINT_TRY(trust_store, trust::TrustStore::load(options.trust));
  }
  Progress progress("Verifying", options.json);
  return arm_image(options.image, policy, trust_store, core::SystemClock().now(),
                   [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
}

core::Result<ExitStatus> flash(const FlashOptions& options, const std::stop_token& stop) {
  const auto policy = trust::parse_policy(options.policy).value_or(trust::Policy::retail);
  const fs::path database = options.records.empty() ? default_records(options.training) : options.records;
  capture::RecorderSetup recording;
  recording.file = options.capture;
  recording.kept_folder = database.native() + ".transfers";
  recording.program = std::string("imprint ") + kVersion;
  IMPRINT_TRY(const auto recorder, capture::Recorder::open(std::move(recording)));
  IMPRINT_TRY(Bench bench, make_bench(options, recorder->tap()));  // before minutes of hashing
  const core::SystemClock clock;
  // As imprintd: what nobody takes piles up.
  IMPRINT_TRY(const auto records, db::Records::open(database, clock, {.outbox = false}));
  // A product's PASS means that product's rules, which this is not.
  IMPRINT_TRY(const bool is_of_line, db::Armings(*records).knows(options.product));
  if (is_of_line) return fail("station.product-of-line").with("product", options.product);
  IMPRINT_TRY(const Scratch scratch, Scratch::make());
  SessionConfig config;
  IMPRINT_TRY(config.image, arm(options, policy));
  if (stop.stop_requested()) return core::fail("job.cancelled");
  config.recipe.product = options.product;
  config.recipe.policy = policy;
  config.recipe.flash.read_back = engine::parse_read_back(options.read_back).value_or(ReadBack::required);
  config.recipe.flash.after_pass = options.reboot ? engine::AfterPass::reboot : engine::AfterPass::nothing;
  config.slots = bench.slots;
  config.scratch = scratch.path();
  config.training = options.training;
  config.recorder = recorder.get();
  config.once = true;  // a device that is put in while others run would be begun with, and cut off at the end
  IMPRINT_TRY(const auto session, Session::start(std::move(config), *bench.bus, *records, clock));
  std::optional<SlotLines> lines;
  if (!options.json) lines.emplace();
  const auto show = [&lines](const std::vector<SlotStatus>& slots) {
    if (lines) lines->show(slots);
  };
  // Nobody waits at a terminal for a disk that is full.
  const std::stop_callback give_up(stop, [&session] { session->end_all(); });
  const auto results = wait_for_all(*session, bench.slots.size(), show, stop);
  return print_flash_report(line::flash_report(results, policy, options.training, recorder->trouble()), options.json);
}

}  // namespace

ExitStatus flash_devices(const FlashOptions& options) {
  const int ways = (options.slots.empty() ? 0 : 1) + (options.devices.empty() ? 0 : 1) + (options.all ? 1 : 0);
  if (ways != 1) {
    return report_error(fail("usage.invalid", "give --slot NAME, --device PATH or --all, and one of them only").error(),
                        options.json);
  }
  if (options.capture && !options.devices.empty()) {
    return report_error(
        fail("usage.invalid", "a disk's transfers are the kernel's: usbmon records them, --capture not").error(),
        options.json);
  }
  // Two owners of the ports, and records that know nothing of each other, are none: where a station runs, it flashes.
  if (const auto status = flash_through_station(options)) return *status;
  const StopOnSignal signals;
  const auto done = flash(options, signals.token());
  if (done) return *done;
  const ExitStatus status = report_error(done.error(), options.json);
  return done.error().id() == "device.not-present" ? ExitStatus::nothing : status;
}

}  // namespace imprint::station::cli
