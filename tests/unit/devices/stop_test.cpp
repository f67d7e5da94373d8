// SPDX-License-Identifier: GPL-3.0-or-later
// A device that takes everything and never answers: whoever waits for it is let go once its job is told to stop.
#include "devices/protocol/ufp.hpp"
#include "tests/unit/devices/device_fixture.hpp"

using namespace imprint;
using namespace imprint::fixture;

namespace {

class MuteDevice final : public virtual_device::VirtualDevice {
 public:
  [[nodiscard]] Outcome receive(core::ByteView /*transfer*/) override { return Outcome::taken; }
  [[nodiscard]] Reply reply(core::ByteSpan /*buffer*/) override { return {}; }
  void clear_halt() override {}
  void power_cut() override {}
  [[nodiscard]] devices::UsbIdentity usb_identity() const override { return {}; }
  [[nodiscard]] std::uint64_t bytes_per_second() const override { return 0; }
};

std::unique_ptr<devices::Transport> mute() {
  return connect(std::make_shared<virtual_device::VirtualCable>(std::make_shared<MuteDevice>(),
                                                                virtual_device::IdleRule::wait_for_deadline));
}

std::unique_ptr<engine::Target> target_of(bool is_ufp) {
  if (is_ufp) return std::make_unique<devices::UfpTarget>(mute());
  return std::make_unique<devices::SimpleIoTarget>(mute());
}

}  // namespace

TEST_CASE("questions to a mute device end within a second of the job's stop request, and later ones at once") {
  const bool is_ufp = GENERATE(false, true);
  std::stop_source job;
  const auto target = target_of(is_ufp);
  target->stop_with(job.get_token());
  job.request_stop();
  const auto asked = std::chrono::steady_clock::now();
  CHECK(error_id(target->identify()) == "job.cancelled");
  CHECK(std::chrono::steady_clock::now() - asked < std::chrono::seconds(1));
  CHECK(error_id(target->reboot()) == "job.cancelled");
  CHECK(std::chrono::steady_clock::now() - asked < std::chrono::seconds(1));
}

TEST_CASE("a target that outlives its job's stop request is destroyed without harm") {
  std::stop_source job;
  {
    const auto target = target_of(GENERATE(false, true));
    target->stop_with(job.get_token());
  }
  CHECK(job.request_stop());
}
