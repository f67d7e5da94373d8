// SPDX-License-Identifier: GPL-3.0-or-later
// The names that people know elements and objects by.
#include <catch2/catch.hpp>

#include "bcd_fixtures.hpp"
#include "flash/bcd/store.hpp"

using namespace imprint;
using namespace imprint::bcd;
using namespace imprint::bcd::fixtures;

TEST_CASE("Elements have the names that bcdedit prints") {
  CHECK(element_name(0x11000001) == "device");
  CHECK(element_name(0x12000002) == "path");
  CHECK(element_name(0x14000008) == "recoverysequence");
  CHECK(element_name(0x16000009) == "recoveryenabled");
  CHECK(element_name(0x16000049) == "testsigning");
  CHECK(element_name(0x24000002) == "bootsequence");
  CHECK(element_name(0x250000E0) == "bootstatuspolicy");
  CHECK(element_name(0x26000010) == "detecthal");
  CHECK(element_name(0x26000031) == "persistbootsequence");
  CHECK(element_name(0x31000003) == "ramdisksdidevice");
  CHECK(element_name(0x32000004) == "ramdisksdipath");
}

TEST_CASE("An element that nobody named has no name") {
  CHECK(element_name(0x26000207).empty());
  CHECK(element_name(0).empty());
  CHECK(element_name(0xFFFFFFFF).empty());
}

TEST_CASE("An element's name can depend on the object that it stands in") {
  CHECK(element_name(0x23000003, 0x10100002) == "default");
  CHECK(element_name(0x23000003, 0x10200003) == "resumeobject");
  CHECK(element_name(0x11000001, 0x10200003) == "device");
}

TEST_CASE("Objects have the names that bcdedit prints") {
  CHECK(object_name(objects::boot_manager()) == "{bootmgr}");
  CHECK(object_name(objects::ramdisk_options()) == "{ramdiskoptions}");
  CHECK(object_name(objects::boot_loader_settings()) == "{bootloadersettings}");
  CHECK(object_name(objects::global_settings()) == "{globalsettings}");
  CHECK(object_name(guid("{b2721d73-1db4-4c62-bf78-c548a880142d}")) == "{memdiag}");
  CHECK(object_name(objects::mmos()).empty());
  CHECK(object_name(core::Guid{}).empty());
}

TEST_CASE("The objects of the product have the ids that are published for them") {
  CHECK(objects::boot_manager().to_string() == "9dea862c-5cdd-4e70-acc1-f32b344d4795");
  CHECK(objects::mobile_startup().to_string() == "01de5a27-8705-40db-bad6-96fa5187d4a6");
  CHECK(objects::mmos().to_string() == "a5935ff2-32ba-4617-bf36-5ac314b3f9bf");
}
