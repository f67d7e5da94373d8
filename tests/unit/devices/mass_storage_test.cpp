// SPDX-License-Identifier: GPL-3.0-or-later
// Which disks may be written, by a laid-out sysfs; and a disk's calls, on a file. Real block devices: tests/vm.
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "devices/protocol/direct_disk.hpp"
#include "devices/protocol/disk_guard.hpp"
#include "devices/protocol/mass_storage.hpp"
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

fs::path make_file(const Folder& folder, std::uint64_t size) {
  const fs::path path = folder.path() / "disk";
  std::ofstream(path).put(0);
  fs::resize_file(path, size);
  return path;
}

constexpr std::chrono::milliseconds kLong = std::chrono::minutes(1);

}  // namespace

TEST_CASE("a disk's facts come from sysfs, and its words are made printable") {
  const System system;
  const auto disk = system.disk();
  CHECK(disk.name == "sdb");
  CHECK(disk.geometry.sector_size == 4096);
  CHECK(disk.geometry.size == 8192 * 512);  // sysfs counts in 512 bytes whatever the sector is
  CHECK(disk.is_removable);
  CHECK_FALSE(disk.is_read_only);
  CHECK(disk.sequence == 17);
  CHECK(disk.model.starts_with("Imprint Card"));
  CHECK(disk.model.find('\x1b') == std::string::npos);
}

TEST_CASE("a partition, an empty reader and an unknown number are no disks") {
  System system;
  CHECK(devices::read_disk_facts_of("8:17", system.paths).error().id() == "device.unknown");
  CHECK(devices::read_disk_facts_of("9:99", system.paths).error().id() == "device.not-present");
  CHECK(devices::read_disk_facts("/dev/null").error().id() == "device.unknown");
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

TEST_CASE("what was written to a disk is read back at any offset") {
  const Folder folder;
  const std::uint64_t size = 5 * (1U << 20) + 512;
  const auto path = make_file(folder, size);
  const auto disk = devices::DirectDisk::open(path, devices::DirectDisk::Access::write, size, kLong).value();
  core::ByteBuffer bytes(size);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 4096);
  REQUIRE(disk->write_at(0, core::ByteView(bytes).first(3 << 20)));
  REQUIRE(disk->write_at(3 << 20, core::ByteView(bytes).subspan(3 << 20, 2 << 20)));
  REQUIRE(disk->write_at(5 << 20, core::ByteView(bytes).subspan(5 << 20)));
  REQUIRE(disk->flush());
  const auto reader = devices::DirectDisk::open(path, devices::DirectDisk::Access::read, size, kLong).value();
  for (const auto& [offset, length] : {std::pair<std::uint64_t, std::uint64_t>{0, size},
                                       {1, 1},
                                       {4095, 2},
                                       {(1U << 20) - 3, (1U << 20) + 9},
                                       {size - 700, 700},
                                       {size, 0}}) {
    core::ByteBuffer out(length);
    REQUIRE(reader->read_at(offset, out));
    CHECK(std::equal(out.begin(), out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset)));
  }
  core::ByteBuffer beyond(2);
  CHECK(reader->read_at(size - 1, beyond).error().id() == "io.out-of-range");
  CHECK(disk->write_at(UINT64_MAX, beyond).error().id() == "io.out-of-range");
}

TEST_CASE("a disk that became shorter has gone") {
  const Folder folder;
  const auto path = make_file(folder, 1 << 20);
  const auto disk = devices::DirectDisk::open(path, devices::DirectDisk::Access::read, 1 << 20, kLong).value();
  fs::resize_file(path, 4096);
  core::ByteBuffer out(4096);
  CHECK(disk->read_at(0, out));
  CHECK(disk->read_at(65536, out).error().id() == "device.disconnected");
}

TEST_CASE("a call that does not end by its limit ends the disk's use, and nobody waits for it") {
  const Folder folder;
  const auto path = make_file(folder, 1 << 20);
  const auto disk =
      devices::DirectDisk::open(path, devices::DirectDisk::Access::write, 1 << 20, std::chrono::milliseconds(0))
          .value();
  core::ByteBuffer out(4096);
  const auto first = disk->read_at(0, out);
  CHECK(first.error().id() == "device.timed-out");
  CHECK(first.error().context_value("during") == "reading the disk");
  CHECK(disk->write_at(0, out).error().id() == "device.timed-out");
  CHECK(disk->flush().error().id() == "device.timed-out");
}

TEST_CASE("what cannot be opened is refused by its own id") {
  const Folder folder;
  const auto missing = devices::DirectDisk::open(folder.path() / "no", devices::DirectDisk::Access::read, 1, kLong);
  CHECK(missing.error().id() == "device.not-present");
  devices::MassStorageSetup setup;
  setup.node = make_file(folder, 4096);
  devices::MassStorageTarget target(std::move(setup));
  CHECK(target.identify().error().id() == "device.unknown");
  CHECK(target.open_for_writing().error().id() == "device.unknown");
  CHECK(target.open_disk().error().id() == "device.unknown");
  CHECK(target.reboot().error().id() == "device.unknown");
}
