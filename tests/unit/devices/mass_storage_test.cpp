// SPDX-License-Identifier: GPL-3.0-or-later
// Which disks may be written, by a laid-out sysfs. Real block devices: tests/vm.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "devices/protocol/disk_guard.hpp"
#include "flash/core/guid.hpp"

using namespace imprint;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("imprint-disk-" + core::Guid::random().to_string())) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// A disk sdb with two partitions in a sysfs of our own.
class System {
 public:
  System() {
    paths = {folder_.path() / "sys", folder_.path() / "proc"};
    put("sys/devices/usb1/block/sdb/size", "8192\n");
    put("sys/devices/usb1/block/sdb/dev", "8:16\n");
    put("sys/devices/usb1/block/sdb/queue/logical_block_size", "4096\n");
    put("sys/devices/usb1/block/sdb/removable", "1\n");
    put("sys/devices/usb1/block/sdb/ro", "0\n");
    put("sys/devices/usb1/block/sdb/diskseq", "17\n");
    put("sys/devices/usb1/block/sdb/device/vendor", "Imprint \n");
    put("sys/devices/usb1/block/sdb/device/model", "Card\x1b[2J\n");
    for (const char* part : {"1", "2"}) {
      const std::string base = std::string("sys/devices/usb1/block/sdb/sdb") + part;
      put(base + "/partition", std::string(part) + "\n");
      put(base + "/dev", part[0] == '1' ? "8:17\n" : "8:18\n");
    }
    fs::create_directories(paths.sys / "block");
    fs::create_directories(paths.sys / "dev/block");
    fs::create_symlink("../devices/usb1/block/sdb", paths.sys / "block/sdb");
    fs::create_symlink("../../devices/usb1/block/sdb", paths.sys / "dev/block/8:16");
    fs::create_symlink("../../devices/usb1/block/sdb/sdb1", paths.sys / "dev/block/8:17");
    mounts("22 1 254:1 / / rw shared:1 - ext4 /dev/root rw\n");
  }
  void put(const std::string& name, const std::string& text) {
    fs::create_directories((folder_.path() / name).parent_path());
    std::ofstream(folder_.path() / name) << text;
  }
  void mounts(const std::string& text) { put("proc/self/mountinfo", text); }
  [[nodiscard]] devices::DiskFacts disk() const { return devices::read_disk_facts_of("8:16", paths).value(); }
  [[nodiscard]] std::string refusal(bool fixed_allowed = false) const {
    const auto free = devices::check_disk_is_free(disk(), fixed_allowed, paths);
    return free ? "" : std::string(free.error().id());
  }
  devices::SystemPaths paths;

 private:
  Folder folder_;
};

}  // namespace

TEST_CASE("a disk's facts come from sysfs, and its words are made printable") {
  const System system;
  const auto disk = system.disk();
  CHECK(disk.name == "sdb");
  CHECK(disk.geometry.sector_size == 4096);
  CHECK(disk.geometry.size == 8192 * 512);  // sysfs counts in 512 bytes whatever the sector is
  CHECK(disk.is_removable);
  CHECK_FALSE(disk.is_read_only);
  CHECK(disk.identity == devices::DiskFile::Identity{"8:16", 17});
  CHECK(disk.model.starts_with("Imprint Card"));
  CHECK(disk.model.find('\x1b') == std::string::npos);
}

TEST_CASE("a partition, an empty reader and an unknown number are no disks") {
  System system;
  CHECK(devices::read_disk_facts_of("8:17", system.paths).error().id() == "device.unknown");
  CHECK(devices::read_disk_facts_of("9:99", system.paths).error().id() == "device.not-present");
  CHECK(devices::read_disk_facts("/dev/null").error().id() == "device.unknown");
  system.put("sys/devices/usb1/block/sdb/diskseq", "0\n");
  CHECK(devices::read_disk_facts_of("8:16", system.paths).error().id() == "device.not-present");
  system.put("sys/devices/usb1/block/sdb/diskseq", "17\n");
  system.put("sys/devices/usb1/block/sdb/size", "0\n");
  CHECK(devices::read_disk_facts_of("8:16", system.paths).error().id() == "device.not-present");
  system.put("sys/devices/usb1/block/sdb/size", "99999999999999999999\n");
  CHECK(devices::read_disk_facts_of("8:16", system.paths).error().id() == "device.not-present");
}

TEST_CASE("a removable disk that nothing uses may be written") {
  const System system;
  CHECK(system.refusal().empty());
}

TEST_CASE("a disk in use is refused, whatever uses which part of it") {
  System system;
  SECTION("the disk is mounted") { system.mounts("30 1 8:16 / /mnt rw - vfat /dev/sdb rw\n"); }
  SECTION("a partition is mounted") { system.mounts("30 1 8:18 / /mnt rw - vfat /dev/sdb2 rw\n"); }
  SECTION("by a file system with numbers of its own") { system.mounts("30 1 0:45 / /mnt rw - btrfs /dev/sdb1 rw\n"); }
  SECTION("swap") { system.put("proc/swaps", "Filename Type Size Used Priority\n/dev/sdb2 partition 1 0 -2\n"); }
  SECTION("built upon") { fs::create_directories(system.paths.sys / "block/sdb/sdb1/holders/dm-0"); }
  SECTION("built upon, the whole disk") { fs::create_directories(system.paths.sys / "block/sdb/holders/md0"); }
  SECTION("a loop device") { system.put("sys/block/loop0/loop/backing_file", "/dev/sdb2\n"); }
  CHECK(system.refusal() == "device.disk-in-use");
  CHECK(system.refusal(true) == "device.disk-in-use");
}

TEST_CASE("a disk with a name that only begins like a mounted one is free") {
  System system;
  system.mounts("30 1 8:32 / /mnt rw - vfat /dev/sdbx rw\n31 1 8:160 / /mnt2 rw - vfat /dev/sdb11 rw\n");
  CHECK(system.refusal().empty());
}

TEST_CASE("a fixed disk is refused unless the slot takes one") {
  System system;
  system.put("sys/devices/usb1/block/sdb/removable", "0\n");
  CHECK(system.refusal() == "device.disk-not-removable");
  CHECK(system.refusal(true).empty());
}

TEST_CASE("a disk is not called free when the mounts cannot be read") {
  System system;
  fs::remove(system.paths.proc / "self/mountinfo");
  CHECK(system.refusal() == "io.read-failed");
}

TEST_CASE("a disk's serial is its own, else its USB device's, else the page of its inquiry data, and is never mended") {
  System system;
  CHECK(system.disk().serial.empty());
  system.put("sys/devices/usb1/block/sdb/device/vpd_pg80", std::string("\0\x80\0\x06  PAGE", 10));
  CHECK(system.disk().serial == "PAGE");
  system.put("sys/devices/usb1/idVendor", "1d6b\n");
  system.put("sys/devices/usb1/serial", "USB \x01 1\n");
  CHECK(system.disk().serial == "USB \x01 1");
  system.put("sys/devices/usb1/block/sdb/device/serial", " 0xdeadbeef\n");
  CHECK(system.disk().serial == "0xdeadbeef");
}

TEST_CASE("a disk of the kernel's simulators is simulated, and a disk bus says so") {
  System system;
  CHECK_FALSE(system.disk().is_simulated);
  for (const char* place : {"dummy_hcd.0", "vhci_hcd.0", "virtual"}) {
    fs::remove(system.paths.sys / "dev/block/8:16");
    const std::string folder = std::string("devices/platform/") + place + "/block/sdc";
    for (const auto& [name, text] :
         {std::pair{"size", "8192\n"}, {"queue/logical_block_size", "512\n"}, {"diskseq", "5\n"}})
      system.put("sys/" + folder + "/" + name, text);
    fs::create_symlink("../../" + folder, system.paths.sys / "dev/block/8:16");
    CHECK(system.disk().is_simulated);
  }
}
