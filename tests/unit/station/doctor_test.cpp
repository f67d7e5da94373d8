// SPDX-License-Identifier: GPL-3.0-or-later
// The doctor's checks on computers of the tests' own making.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "devices/usb/slot_rules.hpp"
#include "station/cli/machine_checks.hpp"
#include "station/cli/place_checks.hpp"
#include "station/cli/scratch.hpp"

namespace {

namespace fs = std::filesystem;
using namespace imprint;
using namespace imprint::station::cli;
using usb::TopologyNode;

// A computer in a folder, set up as it should be; each test spoils one thing.
class Computer {
 public:
  Computer() {
    machine.root = scratch_.path();
    machine.now = std::chrono::sys_days(std::chrono::year{2026} / 11 / 21);
    machine.clock_is_synchronised = true;
    put("etc/passwd",
        "root:x:0:0::/root:/bin/sh\nimprint:x:" + std::to_string(::getuid()) + ":990::/:/usr/sbin/nologin\n");
    put("etc/group", "root:x:0:\nimprint:x:990:kim,ada\nimprint-metrics:x:991:\n");
    put("proc/meminfo", "MemTotal:        8000000 kB\nMemFree:  1 kB\nMemAvailable:    6000000 kB\n");
    put("sys/module/usbcore/parameters/autosuspend", "2\n");
    put("sys/module/usbcore/parameters/usbfs_memory_mb", "16\n");
    put("usr/lib/udev/rules.d/52-imprint.rules", "#\n");
    put("usr/local/lib/udev/rules.d/72-imprint-late.rules", "#\n");
    for (const char* unit : kUnits) {
      put(std::string("usr/lib/systemd/system/") + unit, "[Unit]\n");
      put(std::string("etc/systemd/system/sockets.target.wants/") + unit, "");
    }
    machine.topology.push_back(controller());
    set_slots("one = 1-1\ntwo = 1-2 disk\n");
  }

  void put(const fs::path& name, const std::string& text) const {
    fs::create_directories((machine.root / name).parent_path());
    std::ofstream(machine.root / name) << text;
  }
  void set_slots(const std::string& text) {
    auto parsed = station::SlotMap::parse(text, "slots.conf");
    REQUIRE(parsed);
    slots = std::move(*parsed);
    std::vector<std::string> ports;
    for (const auto& rule : slots.rules()) ports.insert(ports.end(), rule.ports.begin(), rule.ports.end());
    put(kSlotRules, *usb::make_slot_rules(ports));
  }
  TopologyNode& port(std::size_t at) { return machine.topology[0].ports[at]; }

  [[nodiscard]] HealthChecks look(bool training = false) const {
    HealthChecks out;
    check_computer(machine, out);
    check_accounts(machine, out);
    check_usb(machine, slots, training, out);
    return out;
  }
  [[nodiscard]] HealthCheck of(std::string_view id, bool training = false) const {
    for (const HealthCheck& check : look(training))
      if (check.id == id) return check;
    FAIL("there is no check " << id);
    return {};
  }

  Machine machine;
  station::SlotMap slots;

 private:
  static TopologyNode controller() {
    TopologyNode root;
    root.kind = TopologyNode::Kind::controller;
    root.port.text = "usb1";
    for (const char* name : {"1-1", "1-2", "1-3"}) {
      TopologyNode one;
      one.port.text = name;
      one.port_speed = 480'000;
      root.ports.push_back(one);
    }
    return root;
  }
  Scratch scratch_ = std::move(*Scratch::make());
};

// The folders of a station, and its configuration.
class Places {
 public:
  Places() {
    station.records = computer.machine.root / "records";
    station.backups = computer.machine.root / "backups";
    station.images = computer.machine.root / "images";
    station.scratch = computer.machine.root / "scratch";
    station.trust = computer.machine.root / "trust";
    station.api_socket = computer.machine.root / "api.sock";
    station.policy = trust::Policy::none;
    for (const fs::path& folder : {station.records, station.backups, station.images, station.scratch}) {
      fs::create_directories(folder);
      ::chmod(folder.c_str(), 0700);
    }
  }
  [[nodiscard]] HealthCheck of(std::string_view id) const {
    HealthChecks out;
    check_places(computer.machine, station, out);
    for (const HealthCheck& check : out)
      if (check.id == id) return check;
    FAIL("there is no check " << id);
    return {};
  }
  void put(const fs::path& file, mode_t mode) const {
    std::ofstream(file) << "x";
    ::chmod(file.c_str(), mode);
  }
  Computer computer;
  station::config::StationFile station;
};

}  // namespace

TEST_CASE("A computer that is set up as it should be passes every check") {
  const Computer computer;
  for (const HealthCheck& check : computer.look()) {
    INFO(check.id << ": " << check.found);
    CHECK(check.health == Health::ok);
    CHECK(check.remedy.empty());
  }
  CHECK(verdict_of(computer.look()) == HealthVerdict::pass);
}

TEST_CASE("A clock that was never set fails, and one that nobody sets is a warning") {
  Computer computer;
  computer.machine.clock_is_synchronised = false;
  CHECK(computer.of("clock.synchronised").health == Health::warn);
  computer.machine.clock_is_synchronised.reset();
  CHECK(computer.of("clock.synchronised").health == Health::not_checked);
  computer.machine.now = core::UtcTime{};
  CHECK(computer.of("clock.time").health == Health::fail);
}

TEST_CASE("Little memory is a warning, too little fails, and what cannot be read is not judged") {
  const Computer computer;
  computer.put("proc/meminfo", "MemTotal: 900000 kB\nMemAvailable: 700000 kB\n");
  CHECK(computer.of("memory.size").health == Health::warn);
  computer.put("proc/meminfo", "MemTotal: 400000 kB\nMemAvailable: 300000 kB\n");
  CHECK(computer.of("memory.size").health == Health::fail);
  computer.put("proc/meminfo", "nonsense\nMemTotal:\n");
  CHECK(computer.of("memory.size").health == Health::not_checked);
}

TEST_CASE("A computer that runs on its battery fails until it is plugged in") {
  const Computer computer;
  computer.put("sys/class/power_supply/BAT0/type", "Battery\n");
  computer.put("sys/class/power_supply/BAT0/status", "Discharging\n");
  computer.put("sys/class/power_supply/BAT0/capacity", "40\n");
  computer.put("sys/class/power_supply/AC/type", "Mains\n");
  computer.put("sys/class/power_supply/AC/online", "0\n");
  CHECK(computer.of("power.supply").health == Health::fail);
  computer.put("sys/class/power_supply/AC/online", "1\n");
  CHECK(computer.of("power.supply").health == Health::ok);
}

TEST_CASE("The battery of a mouse is no battery of the computer") {
  const Computer computer;
  computer.put("sys/class/power_supply/mouse/type", "Battery\n");
  computer.put("sys/class/power_supply/mouse/scope", "Device\n");
  CHECK(computer.of("power.supply").found == "no battery");
}

TEST_CASE("A computer without the station's user, groups or units fails") {
  const Computer computer;
  computer.put("etc/group", "root:x:0:\nimprint:x:990:\n");
  CHECK(computer.of("user.accounts").health == Health::fail);
  CHECK(computer.of("user.members").health == Health::warn);
  fs::remove(computer.machine.root / "etc/systemd/system/sockets.target.wants/imprintd.socket");
  CHECK(computer.of("service.units").health == Health::warn);
  fs::remove(computer.machine.root / "usr/lib/systemd/system/imprintd.service");
  CHECK(computer.of("service.units").health == Health::fail);
}

TEST_CASE("Accounts are read from files that hold anything") {
  const Computer computer;
  computer.put("etc/passwd", ":::\nimprint\nimprint:x\nimprint:x:abc:def\n");
  const auto user = find_user(computer.machine, "imprint");
  REQUIRE(user);
  CHECK(user->uid == UINT32_MAX);
  CHECK_FALSE(find_user(computer.machine, "nobody"));
}

TEST_CASE("Rules of udev that are missing, or of another slot map, fail") {
  Computer computer;
  computer.put(kSlotRules, "# of yesterday\n");
  CHECK(computer.of("udev.slot-rules").health == Health::fail);
  fs::remove(computer.machine.root / kSlotRules);
  CHECK(computer.of("udev.slot-rules").health == Health::fail);
  fs::remove(computer.machine.root / "usr/lib/udev/rules.d/52-imprint.rules");
  CHECK(computer.of("udev.rules").found == "not installed: 52-imprint.rules");
}

TEST_CASE("A slot at a port that the computer does not have fails, and names the line") {
  Computer computer;
  computer.set_slots("one = 1-1\nfar-* = 7-1.* 8-1.*\n");
  const HealthCheck check = computer.of("usb.slot-ports");
  CHECK(check.health == Health::fail);
  CHECK(check.found.find("far-* = 7-1.* 8-1.*") != std::string::npos);
}

TEST_CASE("A station without slots fails, but one for training needs none") {
  Computer computer;
  computer.set_slots("");
  CHECK(computer.of("usb.slots").health == Health::fail);
  CHECK(computer.of("usb.slots", true).health == Health::ok);
}

TEST_CASE("A slot at a simulated port fails, and simulated ports elsewhere are a warning") {
  Computer computer;
  fs::create_directories(computer.machine.root / "sys/devices/platform/vhci_hcd.0");
  CHECK(computer.of("usb.simulated").health == Health::warn);
  computer.port(2).is_simulated = true;
  CHECK(computer.of("usb.simulated").health == Health::warn);
  computer.port(1).is_simulated = true;
  CHECK(computer.of("usb.simulated").health == Health::fail);
}

TEST_CASE("A device behind a bad cable is a warning, and so is a slot's port that is slow by itself") {
  Computer computer;
  TopologyNode& one = computer.port(0);
  one.kind = TopologyNode::Kind::device;
  one.speed_now = 12'000;
  one.device_speed = 480'000;
  CHECK(computer.of("usb.speed").health == Health::warn);
  one.speed_now = 480'000;
  CHECK(computer.of("usb.speed").health == Health::ok);
  one.port_speed = 12'000;
  one.speed_now = 12'000;
  CHECK(computer.of("usb.speed").health == Health::warn);
}

TEST_CASE("A device in a slot that the kernel may put to sleep is a warning, and one elsewhere is not") {
  Computer computer;
  computer.port(2).kind = TopologyNode::Kind::device;
  computer.put("sys/bus/usb/devices/1-3/power/control", "auto\n");
  CHECK(computer.of("power.autosuspend").health == Health::ok);
  computer.port(0).kind = TopologyNode::Kind::device;
  computer.put("sys/bus/usb/devices/1-1/power/control", "auto\n");
  CHECK(computer.of("power.autosuspend").health == Health::warn);
  fs::remove(computer.machine.root / "sys/bus/usb/devices/1-1/power/control");
  fs::remove(computer.machine.root / "sys/module/usbcore/parameters/autosuspend");
  CHECK(computer.of("power.autosuspend").health == Health::not_checked);
}

TEST_CASE("Folders that others may look into, or that are missing, fail") {
  const Places places;
  CHECK(places.of("folder.records").health == Health::ok);
  ::chmod(places.station.records.c_str(), 0750);
  CHECK(places.of("folder.records").health == Health::fail);
  ::chmod(places.station.images.c_str(), 0750);
  CHECK(places.of("folder.images").health == Health::ok);
  ::chmod(places.station.images.c_str(), 0770);
  CHECK(places.of("folder.images").health == Health::fail);
  fs::remove(places.station.scratch);
  CHECK(places.of("folder.scratch").health == Health::fail);
}

TEST_CASE("Folders of another user than the station's fail") {
  const Places places;
  places.computer.put("etc/passwd", "imprint:x:4242:990::/:/bin/false\n");
  CHECK(places.of("folder.records").health == Health::fail);
  places.computer.put("etc/passwd", "root:x:0:0::/:/bin/false\n");
  CHECK(places.of("folder.records").health == Health::ok);
}

TEST_CASE("A configuration that others may write fails") {
  Places places;
  places.station.file = places.computer.machine.root / "station.toml";
  places.computer.put("etc/passwd", "imprint:x:4242:990::/:/bin/false\n");
  places.put(places.station.file, 0644);
  CHECK(places.of("folder.config").health == Health::ok);
  places.put(places.station.file, 0664);
  CHECK(places.of("folder.config").health == Health::fail);
}

TEST_CASE("A station's key is there, and nobody else's to read") {
  const Places places;
  CHECK(places.of("records.key").health == Health::warn);
  places.put(places.station.records / "station.key", 0600);
  CHECK(places.of("records.key").health == Health::ok);
  places.put(places.station.records / "station.key", 0640);
  CHECK(places.of("records.key").health == Health::fail);
}

TEST_CASE("A backup is as old as its name says, and other files are none") {
  Places places;
  places.put(places.station.backups / "training-20261121T000000Z.db", 0600);
  places.put(places.station.backups / "station-20269921T000000Z.db", 0600);
  places.put(places.station.backups / "station-.db", 0600);
  CHECK(places.of("records.backup").health == Health::warn);
  places.put(places.station.backups / "station-20261118T225959Z.db", 0600);
  CHECK(places.of("records.backup").health == Health::fail);
  places.put(places.station.backups / "station-20261120T010203Z.db", 0600);
  CHECK(places.of("records.backup").found == "the newest is of 2026-11-20T01:02:03.000Z");
  CHECK(places.of("records.backup").health == Health::ok);
  places.station.backup_hours = 0;
  CHECK(places.of("records.backup").health == Health::warn);
}

TEST_CASE("A station that trusts nobody accepts no image, and one that trusts everybody is warned of") {
  Places places;
  CHECK(places.of("trust.folder").health == Health::warn);
  places.station.policy = trust::Policy::retail;
  CHECK(places.of("trust.folder").health == Health::fail);
  fs::create_directories(places.station.trust / "production");
  CHECK(places.of("trust.folder").health == Health::fail);
  std::ofstream(places.station.trust / "production/root.pem") << "no certificate";
  CHECK(places.of("trust.folder").health == Health::fail);
}

TEST_CASE("A socket that is none, or not there, fails") {
  const Places places;
  CHECK(places.of("service.socket").health == Health::fail);
  places.put(places.station.api_socket, 0660);
  CHECK(places.of("service.socket").found.find("is no socket") != std::string::npos);
}

TEST_CASE("A checklist with a gap is incomplete, and one with a failure fails") {
  HealthChecks checks{{"a.a", Health::ok, "x", ""}, {"a.b", Health::warn, "x\ny", "mend"}};
  CHECK(verdict_of(checks) == HealthVerdict::pass);
  checks.push_back({"a.c", Health::not_checked, "", ""});
  CHECK(verdict_of(checks) == HealthVerdict::incomplete);
  checks.push_back({"a.d", Health::fail, "", ""});
  CHECK(verdict_of(checks) == HealthVerdict::fail);
  CHECK(health_json(checks).find(R"("check":"a.c","health":"not-checked")") != std::string::npos);
  CHECK(health_text(checks).find("What to do: mend") != std::string::npos);
  CHECK(health_text(checks).find("x\ny") == std::string::npos);
}
