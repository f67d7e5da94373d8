// SPDX-License-Identifier: GPL-3.0-or-later
// Recordings of attempts with virtual devices, for the checks of `imprint replay`: make_recordings FOLDER flashes
// FOLDER/image.ffu (of a disk of 4 MiB, for Imprint.Virtual.Board.1) and leaves there passed.pcapng, ufp.pcapng and
// pulled.pcapng, and what is kept of the last one, which failed, as failed.pcapng.
#include <cstdio>
#include <filesystem>

#include "devices/capture/recorder.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/ufp_device.hpp"
#include "devices/virtual/virtual_bus.hpp"
#include "station/session.hpp"

namespace {

using namespace imprint;
namespace fs = std::filesystem;
using virtual_device::VirtualBus;

constexpr std::uint64_t kDiskSize = 4U << 20;
constexpr const char* kPlatform = "Imprint.Virtual.Board.1";

core::Result<station::AttemptResult> flash(const fs::path& folder, const std::string& name,
                                           const std::shared_ptr<virtual_device::VirtualDevice>& device) {
  const core::SystemClock clock;
  IMPRINT_TRY(const auto recorder,
              capture::Recorder::open({folder / (name + ".pcapng"), folder / (name + ".kept"), "imprint checks"}));
  VirtualBus bus(virtual_device::IdleRule::no_reply_will_come, recorder->tap());
  IMPRINT_TRY(const auto records, db::Records::open(folder / (name + ".db"), clock));
  station::SessionConfig config;
  IMPRINT_TRY(config.image, station::arm_image(folder / "image.ffu", trust::Policy::none, trust::TrustStore::empty(),
                                               clock.now(), [](std::uint64_t, std::uint64_t) {}));
  config.recipe.policy = trust::Policy::none;
  config.recipe.flash.read_back = engine::FlashPolicy::ReadBack::where_possible;
  config.slots = {{"1", VirtualBus::port(1)}};
  config.scratch = folder;
  config.training = true;
  config.recorder = recorder.get();
  IMPRINT_TRY(const auto session, station::Session::start(std::move(config), bus, *records, clock));
  IMPRINT_CHECK(bus.plug(VirtualBus::port(1), device));
  auto result = session->next_finished(core::Deadline::after(std::chrono::minutes(1)));
  if (!result) return core::fail("job.deadline");
  return std::move(*result);
}

core::Status make_all(const fs::path& folder) {
  virtual_device::DeviceOptions options;
  options.platform_id = kPlatform;
  options.serial = core::Guid::from_name("recorded");
  options.disk_size = kDiskSize;
  options.storage_folder = folder;
  IMPRINT_TRY(const auto good, virtual_device::VirtualSimpleIoDevice::create(options));
  IMPRINT_TRY(const auto passed, flash(folder, "passed", good));
  options.faults.disconnect_at_byte = 300000;
  IMPRINT_TRY(const auto loose, virtual_device::VirtualSimpleIoDevice::create(options));
  IMPRINT_TRY(const auto failed, flash(folder, "pulled", loose));
  virtual_device::UfpOptions ufp;
  ufp.platform_id = options.platform_id;
  ufp.serial = core::Guid::from_name("recorded ufp");
  ufp.disk_size = options.disk_size;
  ufp.storage_folder = folder;
  IMPRINT_TRY(const auto phone, virtual_device::VirtualUfpDevice::create(std::move(ufp)));
  IMPRINT_TRY(const auto confirmed, flash(folder, "ufp", phone));
  const bool as_meant = passed.verdict == db::AttemptVerdict::passed && failed.recording &&
                        confirmed.verdict == db::AttemptVerdict::passed;
  if (!as_meant) return core::fail("process.failed", "an attempt did not end as it should have");
  fs::rename(*failed.recording, folder / "failed.pcapng");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto made = make_all(argv[1]);
  if (made) return 0;
  std::fprintf(stderr, "make_recordings: %s\n", made.error().message().c_str());
  return 1;
}
