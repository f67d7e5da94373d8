// SPDX-License-Identifier: GPL-3.0-or-later
// Simulated devices for a station: what is put into its slots, and which of the kernel's ports it takes.
#include "station/training/training_bus.hpp"

#include <set>

#include "devices/virtual/simple_io_device.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

constexpr std::uint64_t kDiskBytes = 1U << 20;

// Real ports, some of which lead to a simulator.
class KernelBus final : public devices::DeviceBus {
 public:
  explicit KernelBus(std::set<std::string> simulated) : simulated_(std::move(simulated)) {}
  virtual_device::VirtualBus ports{virtual_device::IdleRule::no_reply_will_come};

  [[nodiscard]] std::unique_ptr<devices::BusSubscription> subscribe(devices::BusObserver& observer) override {
    return ports.subscribe(observer);
  }
  [[nodiscard]] std::vector<devices::PortPath> occupied() const override { return ports.occupied(); }
  [[nodiscard]] core::Result<std::unique_ptr<engine::Target>> open(const devices::PortPath& port) override {
    return ports.open(port);
  }
  [[nodiscard]] bool is_held(const devices::PortPath& port) const override { return ports.is_held(port); }
  [[nodiscard]] bool is_virtual() const override { return false; }
  [[nodiscard]] core::Result<bool> is_simulated(const devices::PortPath& port) const override {
    return simulated_.contains(port.text);
  }

 private:
  std::set<std::string> simulated_;
};

class Listener final : public devices::BusObserver {
 public:
  void on_arrival(const devices::PortPath& port) override { told.push_back("+" + port.text); }
  void on_departure(const devices::PortPath& port) override { told.push_back("-" + port.text); }
  std::vector<std::string> told;
};

std::shared_ptr<virtual_device::VirtualDevice> device(const core::test::ScratchFolder& folder, unsigned number) {
  virtual_device::DeviceOptions options;
  options.platform_id = "Imprint.Virtual.Board.1";
  options.serial = core::Guid::from_name("training test " + std::to_string(number));
  options.disk_size = kDiskBytes;
  options.storage_folder = folder.path();
  return virtual_device::VirtualSimpleIoDevice::create(std::move(options)).value();
}

struct Buses {
  core::test::ScratchFolder folder;
  virtual_device::VirtualBus* in_process = nullptr;
  KernelBus* kernel = nullptr;
  std::unique_ptr<training::TrainingBus> bus;

  explicit Buses(const std::set<std::string>& simulated) {
    auto process = std::make_unique<virtual_device::VirtualBus>(virtual_device::IdleRule::no_reply_will_come);
    auto usb = std::make_unique<KernelBus>(simulated);
    in_process = process.get();
    kernel = usb.get();
    bus = std::make_unique<training::TrainingBus>(std::move(process), std::move(usb));
  }
};

}  // namespace

TEST_CASE("a training bus tells of devices in the process and of simulated ones on USB, and of no real one") {
  Buses buses({"9-1"});
  REQUIRE(buses.kernel->ports.plug({"1-2"}, device(buses.folder, 1)).has_value());
  Listener listener;
  {
    const auto subscription = buses.bus->subscribe(listener);
    REQUIRE(buses.kernel->ports.plug({"9-1"}, device(buses.folder, 2)).has_value());
    REQUIRE(buses.in_process->plug({"1-1.1"}, device(buses.folder, 3)).has_value());
    CHECK(buses.bus->occupied() == std::vector<devices::PortPath>{{"1-1.1"}, {"9-1"}});
    REQUIRE(buses.kernel->ports.unplug({"1-2"}).has_value());
    REQUIRE(buses.kernel->ports.unplug({"9-1"}).has_value());
    REQUIRE(buses.in_process->unplug({"1-1.1"}).has_value());
  }
  CHECK(listener.told == std::vector<std::string>{"+9-1", "+1-1.1", "-9-1", "-1-1.1"});
}

TEST_CASE("a training bus opens devices of both kinds, and no real one") {
  Buses buses({"9-1"});
  REQUIRE(buses.kernel->ports.plug({"1-2"}, device(buses.folder, 1)).has_value());
  REQUIRE(buses.kernel->ports.plug({"9-1"}, device(buses.folder, 2)).has_value());
  REQUIRE(buses.in_process->plug({"1-1.1"}, device(buses.folder, 3)).has_value());
  CHECK(buses.bus->is_virtual());
  for (const char* port : {"9-1", "1-1.1"}) {
    CHECK(buses.bus->is_simulated({port}).value());
    const auto target = buses.bus->open({port});
    REQUIRE(target.has_value());
    CHECK(buses.bus->is_held({port}));
  }
  CHECK(buses.bus->open({"1-2"}).error().id() == "device.not-present");
  CHECK(buses.bus->is_simulated({"1-2"}).error().id() == "device.not-present");
}

TEST_CASE("a training bus does without USB where there is none") {
  core::test::ScratchFolder folder;
  auto process = std::make_unique<virtual_device::VirtualBus>(virtual_device::IdleRule::no_reply_will_come);
  virtual_device::VirtualBus* const in_process = process.get();
  training::TrainingBus bus(std::move(process), nullptr);
  REQUIRE(in_process->plug({"1-1.1"}, device(folder, 1)).has_value());
  CHECK(bus.open({"1-1.1"}).has_value());
  CHECK(bus.open({"1-1.2"}).error().id() == "device.not-present");
}

TEST_CASE("a simulated device needs no armed image where it is said what it is") {
  TestStation station;
  Crew crew(station);
  const json::object whole{{"slot", "A1"}, {"platform", "Imprint.Virtual.Board.1"}, {"disk_bytes", kDiskBytes}};
  CHECK(crew.engineer.call("training.plug", {{"slot", "A1"}, {"disk_bytes", kDiskBytes}}).error ==
        "training.not-armed");
  CHECK(crew.engineer.call("training.plug", whole).error.empty());
  CHECK(station.bus->occupied() == std::vector<devices::PortPath>{{"1-1.1"}});
  CHECK(crew.engineer.call("training.plug", whole).error == "device.busy");
  CHECK(crew.engineer.call("training.unplug", {{"slot", "A1"}}).error.empty());
  CHECK(crew.engineer.call("training.unplug", {{"slot", "A1"}}).error == "device.not-present");
}

TEST_CASE("a simulated device has the serial that it is given, and its number's without one") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  const std::string serial = core::Guid::from_name("a serial").to_string();
  training::TrainingDevice one{.slot = "A1"};
  one.serial = serial;
  CHECK(station.bench->plug(one).value() == serial);
  CHECK(station.bench->plug({.slot = "A2", .number = 2}).value() ==
        core::Guid::from_name("imprint training device 2").to_string());
  CHECK(station.finished(2).front().unit.has_value());
  one.slot = "A3";
  one.serial = "LK-0001";
  CHECK(station.bench->plug(one).error().id() == "usage.invalid");
}

TEST_CASE("a simulated UFP device is identified as one") {
  TestStation station({.flash = "after-pass = \"nothing\"\nread-back = \"where-possible\"\n"});
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  training::TrainingDevice one{.slot = "A1"};
  one.protocol = "ufp";
  REQUIRE(station.bench->plug(one).has_value());
  const auto rows = station.finished(1);
  CHECK(rows.front().close->verdict == db::AttemptVerdict::passed);
  CHECK(rows.front().close->proof == db::ProofLevel::device_confirmed);
  one.slot = "A2";
  one.sector_size = 4096;
  CHECK(station.bench->plug(one).error().id() == "usage.invalid");
  one.protocol = "telex";
  CHECK(station.bench->plug(one).error().id() == "usage.invalid");
}

TEST_CASE("a slot that holds a simulated device on USB takes no other") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  training::TrainingBench bench(
      *station.bus, [&](const std::string& slot) { return station.line->ports_of(slot); },
      [] { return std::optional(training::DeviceNeeds{"Imprint.Virtual.Board.1", kDiskBytes, 512}); },
      station.folder.path(), [](const devices::PortPath& port) { return port.text == "1-1.2"; });
  CHECK(bench.plug({.slot = "A2"}).error().id() == "device.busy");
  CHECK(bench.plug({.slot = "A1"}).has_value());
  static_cast<void>(station.finished(1));
}
