// SPDX-License-Identifier: GPL-3.0-or-later
// Files that say which port is which slot.
#include "station/slot_map.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "flash/core/guid.hpp"

using namespace imprint;
using station::SlotMap;
namespace fs = std::filesystem;

namespace {

class Folders {
 public:
  Folders() : base_(fs::temp_directory_path() / ("imprint-slots-" + core::Guid::random().to_string())) {
    fs::create_directories(base_);
  }
  ~Folders() { fs::remove_all(base_); }
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;
  void put(const std::string& folder, const std::string& name, const std::string& text) const {
    fs::create_directories(base_ / folder);
    std::ofstream(base_ / folder / name) << text;
  }
  void link(const std::string& folder, const std::string& name, const std::string& target) const {
    fs::create_directories(base_ / folder);
    fs::create_symlink(target, base_ / folder / name);
  }
  [[nodiscard]] core::Result<SlotMap> load() const { return SlotMap::load({base_ / "usr", base_ / "etc"}); }

 private:
  fs::path base_;
};

std::string ports_of(const SlotMap& map, const std::string& slot) {
  std::string out;
  for (const devices::PortPath& port : map.ports_of(slot)) out += (out.empty() ? "" : " ") + port.text;
  return out;
}

std::string name_of(const SlotMap& map, const std::string& port) {
  const auto slot = map.slot_of({port});
  return slot ? slot->name : "";
}

std::string refusal(std::string_view text, std::string_view line) {
  const auto map = SlotMap::parse(text, "slots.conf");
  REQUIRE_FALSE(map);
  CHECK(map.error().context_value("line") == line);
  CHECK(map.error().context_value("file") == "slots.conf");
  return std::string(map.error().id());
}

}  // namespace

TEST_CASE("a slot has a name and a port, and other ports have none") {
  const auto map = SlotMap::parse("# left row\n1 = 1-2.1\n 2=1-2.2 fixed-disk # SATA dock\n\n", "a.conf");
  REQUIRE(map);
  CHECK(name_of(*map, "1-2.1") == "1");
  CHECK(name_of(*map, "1-2.2") == "2");
  CHECK(name_of(*map, "1-2.3").empty());
  CHECK(name_of(*map, "1-2").empty());
  CHECK(name_of(*map, "1-2.10").empty());
  CHECK(map->slot_of({"1-2.1"})->disks == devices::DisksAllowed::none);
  CHECK(map->slot_of({"1-2.2"})->disks == devices::DisksAllowed::fixed);
  CHECK(SlotMap::parse("1 = 1-2 disk", "a.conf")->slot_of({"1-2"})->disks == devices::DisksAllowed::removable);
  CHECK(ports_of(*map, "2") == "1-2.2");
  CHECK(ports_of(*map, "3").empty());
}

TEST_CASE("a star gives a slot to every port behind a hub, and a rule without one goes before it") {
  const auto map = SlotMap::parse("hub-* = 3-4.*\nspecial = 3-4.2\n", "a.conf");
  REQUIRE(map);
  CHECK(name_of(*map, "3-4.1") == "hub-1");
  CHECK(name_of(*map, "3-4.1.3") == "hub-1.3");
  CHECK(name_of(*map, "3-4.2") == "special");
  CHECK(name_of(*map, "3-4").empty());
  CHECK(name_of(*map, "3-40.1").empty());
  CHECK(ports_of(*map, "hub-7") == "3-4.7");
  CHECK(ports_of(*map, "special") == "3-4.2");
  CHECK(ports_of(*map, "hub-2").empty());  // the port is another slot's
  CHECK(ports_of(*map, "hub-x").empty());
  CHECK(ports_of(*map, "hub-1.").empty());
}

TEST_CASE("a later folder's file hides one of the same name, and an empty one takes it away") {
  const Folders folders;
  folders.put("usr", "10-fixture.conf", "a = 1-1\n");
  folders.put("usr", "20-more.conf", "b = 1-2\n");
  folders.put("usr", "notes.txt", "not a slot file");
  folders.put("etc", "10-fixture.conf", "line-1 = 1-1\n");
  folders.put("etc", "20-more.conf", "");
  const auto map = folders.load();
  REQUIRE(map);
  CHECK(map->rules().size() == 1);
  CHECK(name_of(*map, "1-1") == "line-1");
}

TEST_CASE("folders that are not there leave every port alone") {
  const auto map = SlotMap::load({"/nowhere/slots.d"});
  REQUIRE(map);
  CHECK(map->empty());
  CHECK_FALSE(map->slot_of({"1-1"}));
}

TEST_CASE("two files that name one port or one slot are refused, and both places are named") {
  const Folders folders;
  folders.put("usr", "a.conf", "1 = 1-1\n");
  folders.put("etc", "b.conf", "# other\n2 = 1-1\n");
  const auto map = folders.load();
  REQUIRE_FALSE(map);
  CHECK(map.error().id() == "station.slot-map-invalid");
  CHECK(map.error().context_value("line") == "2");
  CHECK(map.error().context_value("first").ends_with("a.conf:1"));
}

TEST_CASE("a line that cannot be right is refused with its file and number") {
  CHECK(refusal("1 = 1-1\n2\n", "2") == "station.slot-map-invalid");
  CHECK(refusal("1 = 1-1 loose\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("a b = 1-1\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("\n\n = 1-1\n", "3") == "station.slot-map-invalid");
  CHECK(refusal("x* = 1-1\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("x = 1-*\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("x* = 1-*.*\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("x = 1-1\nx = 1-2\n", "2") == "station.slot-map-invalid");
  CHECK(refusal("x\x1b = 1-1\n", "1") == "station.slot-map-invalid");
  CHECK(refusal(std::string(33, 'x') + " = 1-1\n", "1") == "station.slot-map-invalid");
}

TEST_CASE("both halves of a USB 3 socket are one slot") {
  const auto map = SlotMap::parse("1 = 1-2\t2-2   disk\n2 = 1-3 2-3\n", "a.conf");
  REQUIRE(map);
  CHECK(name_of(*map, "1-2") == "1");
  CHECK(name_of(*map, "2-2") == "1");
  CHECK(ports_of(*map, "1") == "1-2 2-2");
  CHECK(map->slot_of({"2-2"})->disks == devices::DisksAllowed::removable);
  CHECK(name_of(*map, "2-3") == "2");
  CHECK(map->slot_of({"2-3"})->disks == devices::DisksAllowed::none);
  CHECK(refusal("1 = 1-2 2-2\n2 = 1-3 2-2\n", "2") == "station.slot-map-invalid");
  CHECK(refusal("1 = 1-2 1-2\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("1 = disk\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("1 = 1-2 disk 2-2\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("1 = 1-2 disk fixed-disk\n", "1") == "station.slot-map-invalid");
}

TEST_CASE("a star gives both halves of each socket behind a hub the same slot") {
  const auto map = SlotMap::parse("hub-* = 3-4.* 4-4.* disk\nspecial = 4-4.2\n", "a.conf");
  REQUIRE(map);
  CHECK(name_of(*map, "3-4.1") == "hub-1");
  CHECK(name_of(*map, "4-4.1") == "hub-1");
  CHECK(ports_of(*map, "hub-1") == "3-4.1 4-4.1");
  CHECK(ports_of(*map, "hub-2") == "3-4.2");  // the other half was given away
  CHECK(refusal("hub-* = 3-4.* 4-4.1\n", "1") == "station.slot-map-invalid");
}

TEST_CASE("a name that a star gives counts only for the ports of that slot") {
  const auto map = SlotMap::parse("1 = 1-5\n* = 1-2.*\n", "a.conf");
  REQUIRE(map);
  CHECK(name_of(*map, "1-5") == "1");
  CHECK(name_of(*map, "1-2.1").empty());  // would be a second slot "1"
  CHECK(name_of(*map, "1-2.2") == "2");
  CHECK(ports_of(*map, "1") == "1-5");
  const auto two = SlotMap::parse("a* = 1-2.*\na1* = 1-3.*\n", "a.conf");
  REQUIRE(two);
  CHECK(name_of(*two, "1-2.11") == "a11");
  CHECK(name_of(*two, "1-3.1").empty());
  CHECK(name_of(*two, "1-3.300").empty());  // no port at all
}

TEST_CASE("every port that has a slot is one of that slot's, whatever the lines are") {
  const auto map = SlotMap::parse("1 = 1-5 2-5\n* = 1-2.* 1-2.1.*\n.* = 3-*\n1.* = 4-*\n", "a.conf");
  REQUIRE(map);
  for (const char* const text :
       {"1-5", "2-5", "1-2.1", "1-2.2", "1-2.1.1", "1-2.1.2", "1-2.2.1", "3-1", "3-1.1", "4-1"}) {
    const devices::PortPath port{text};
    const auto slot = map->slot_of(port);
    if (!slot) continue;
    const auto ports = map->ports_of(slot->name);
    CAPTURE(text, slot->name);
    CHECK(std::ranges::find(ports, port) != ports.end());
  }
}

TEST_CASE("a link to /dev/null takes a file away") {
  const Folders folders;
  folders.put("usr", "10-fixture.conf", "a = 1-1\n");
  folders.put("usr", "20-more.conf", "b = 1-2\n");
  folders.link("etc", "10-fixture.conf", "/dev/null");
  const auto map = folders.load();
  REQUIRE(map);
  CHECK(name_of(*map, "1-1").empty());
  CHECK(name_of(*map, "1-2") == "b");
}

TEST_CASE("other links that lead to no file are an error, not an empty file") {
  const Folders folders;
  folders.link("etc", "10-fixture.conf", "/dev/zero");
  CHECK_FALSE(folders.load());
  const Folders others;
  others.link("etc", "10-fixture.conf", "nowhere.conf");
  CHECK_FALSE(others.load());
}

TEST_CASE("a pattern that udev rules cannot be made from is no port of a slot") {
  CHECK(refusal("x* = *-2.1\n", "1") == "station.slot-map-invalid");
  CHECK(refusal("x* = 1*-2\n", "1") == "station.slot-map-invalid");
}
