// SPDX-License-Identifier: GPL-3.0-or-later
// A station that runs until SIGTERM: vm_station_line IMAGE RECORDS PORT... Every port is a slot of a training session;
// each attempt that ends is a line. What it holds on to shows in /proc while it runs.
#include <cstdio>
#include <filesystem>

#include "db/records.hpp"
#include "devices/capture/recorder.hpp"
#include "devices/usb/usb_bus.hpp"
#include "flash/core/clock.hpp"
#include "station/armed_image.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/session.hpp"

namespace {

using namespace imprint;

core::Status run(int count, char** words, const std::stop_token& stop) {
  const core::SystemClock clock;
  IMPRINT_TRY(const auto records, db::Records::open(words[2], clock));
  station::SessionConfig config;
  IMPRINT_TRY(config.image, station::arm_image(words[1], trust::Policy::none, trust::TrustStore::empty(), clock.now(),
                                               [](std::uint64_t, std::uint64_t) {}));
  config.recipe.policy = trust::Policy::none;
  config.recipe.reboot_time = std::chrono::milliseconds(0);
  for (int i = 3; i < count; ++i) config.slots.push_back({words[i], {words[i]}});
  const std::filesystem::path kept = std::string(words[2]) + ".transfers";
  IMPRINT_TRY(const auto recorder,
              capture::Recorder::open({.kept_folder = kept, .program = "imprint vm_station_line"}));
  config.recorder = recorder.get();
  config.scratch = std::filesystem::temp_directory_path();
  config.training = true;
  IMPRINT_TRY(const auto bus, usb::UsbBus::open({.tap = recorder->tap()}));
  IMPRINT_TRY(const auto session, station::Session::start(std::move(config), *bus, *records, clock));
  std::puts("running");
  while (!stop.stop_requested()) {
    const auto result = session->next_finished(core::Deadline::after(std::chrono::milliseconds(200)));
    if (!result) continue;
    std::printf("%s %s %s\n", result->slot.c_str(), std::string(db::to_string(result->verdict)).c_str(),
                result->error ? std::string(result->error->id()).c_str() : "-");
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const station::cli::StopOnSignal signals(station::cli::StopOnSignal::Meaning::usual_end);
  const auto done = run(argc, argv, signals.token());
  if (done) return 0;
  std::fprintf(stderr, "vm_station_line: %s\n", done.error().message().c_str());
  return 4;
}
