// SPDX-License-Identifier: GPL-3.0-or-later
// Files that say which port is which slot.
#include "station/slot_map.hpp"

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
  [[nodiscard]] core::Result<SlotMap> load() const { return SlotMap::load({base_ / "usr", base_ / "etc"}); }

 private:
  fs::path base_;
};

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
  CHECK(map->port_of("2")->text == "1-2.2");
  CHECK_FALSE(map->port_of("3"));
}

TEST_CASE("a star gives a slot to every port behind a hub, and a rule without one goes before it") {
  const auto map = SlotMap::parse("hub-* = 3-4.*\nspecial = 3-4.2\n", "a.conf");
  REQUIRE(map);
  CHECK(name_of(*map, "3-4.1") == "hub-1");
  CHECK(name_of(*map, "3-4.1.3") == "hub-1.3");
  CHECK(name_of(*map, "3-4.2") == "special");
  CHECK(name_of(*map, "3-4").empty());
  CHECK(name_of(*map, "3-40.1").empty());
  CHECK(map->port_of("hub-7")->text == "3-4.7");
  CHECK(map->port_of("special")->text == "3-4.2");
  CHECK_FALSE(map->port_of("hub-2"));  // the port is another slot's
  CHECK_FALSE(map->port_of("hub-x"));
  CHECK_FALSE(map->port_of("hub-1."));
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

TEST_CASE("ports look like the kernel's names for them") {
  for (const char* good : {"1-1", "12-3.4", "1-2.3.4.5.6.7"}) CHECK(station::is_port_path(good));
  for (const char* bad : {"", "1", "-1", "1-", "1-.2", "1-2.", "1-2..3", "a-1", "1-2-3", "1.2", "1-2.x", "usb1"})
    CHECK_FALSE(station::is_port_path(bad));
}
