// SPDX-License-Identifier: GPL-3.0-or-later
// A disk in memory behind the kernel's calls, any of which may fail, be cut short or hang; and the sysfs that shows it.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "devices/protocol/mass_storage.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::fixture {

enum class DiskFault { fail, cut_short, hang, vanish };

// What all openings of the disk share. Thread-safe but for `bytes` and the plan, which are set while nothing runs.
struct FakeDisk {
  core::ByteBuffer bytes;
  devices::DiskFile::Identity identity{"8:16", 17};
  DiskFault fault = DiskFault::fail;
  std::atomic<unsigned> at_call = 0;  // counted from 1 over all calls; 0: none
  std::atomic<bool> happened = false;
  std::atomic<bool> gone = false;
  std::atomic<unsigned> open_now = 0;
  int open_error = 0;
  std::function<void()> when_vanishing;  // the system's view follows

  bool has_ring = false;   // several transfers in flight
  int ring_refuses = 0;    // an errno for each of them
  bool is_cached = false;  // it refuses to be used around the page cache
  bool erases = false;     // it knows commands for it

  // Nothing where the call goes on; `cut` where it moves half of its bytes.
  std::optional<int> begin(bool& cut) {
    std::unique_lock lock(mutex_);
    return begin(cut, lock);
  }

  std::optional<int> begin(bool& cut, std::unique_lock<std::mutex>& lock) {
    if (gone) return EIO;
    if (++calls_ != at_call) return std::nullopt;
    happened = true;
    happening_.notify_all();
    switch (fault) {
      case DiskFault::fail:
        return EIO;
      case DiskFault::cut_short:
        cut = true;
        return std::nullopt;
      case DiskFault::hang:
        released_.wait(lock, [this] { return free_; });
        return EIO;
      case DiskFault::vanish:
        gone = true;
        if (when_vanishing) when_vanishing();
        return EIO;
    }
    return std::nullopt;
  }
  // Lets calls that hang come to an end.
  void release() {
    const std::scoped_lock lock(mutex_);
    free_ = true;
    released_.notify_all();
  }
  // Waits until the planned fault has come, or nobody expects it any more.
  void wait_until_it_happened() {
    std::unique_lock lock(mutex_);
    happening_.wait(lock, [this] { return happened.load(); });
  }
  void happen() {
    const std::scoped_lock lock(mutex_);
    happened = true;
    happening_.notify_all();
  }

 private:
  friend class FakeRing;
  std::condition_variable happening_;
  std::mutex mutex_;
  std::condition_variable released_;
  unsigned calls_ = 0;
  bool free_ = false;
};

// Its transfers end in the wrong order; one that hangs lets others pass.
class FakeRing final : public devices::DiskRing {
 public:
  explicit FakeRing(std::shared_ptr<FakeDisk> disk) : disk_(std::move(disk)) {}
  std::expected<void, int> start(const Transfer& transfer) override {
    const std::scoped_lock lock(disk_->mutex_);
    in_flight_.push_back({transfer, {transfer.parts.begin(), transfer.parts.end()}});
    return {};
  }
  std::expected<std::optional<Done>, int> wait() override {
    std::unique_lock lock(disk_->mutex_);
    for (;;) {
      if (std::exchange(is_woken_, false)) return std::optional<Done>{};
      const auto ready = std::find_if(in_flight_.rbegin(), in_flight_.rend(),
                                      [this](const InFlight& one) { return !one.hangs || disk_->free_; });
      if (ready == in_flight_.rend()) {
        disk_->released_.wait(lock);
        continue;
      }
      if (disk_->fault == DiskFault::hang && disk_->at_call != 0 && disk_->calls_ + 1 == disk_->at_call) {
        ++disk_->calls_;
        ready->hangs = true;
        disk_->happened = true;
        disk_->happening_.notify_all();
        continue;
      }
      const InFlight one = *ready;
      in_flight_.erase(std::prev(ready.base()));
      return std::optional(Done{one.transfer.id, perform(one, lock)});
    }
  }
  void wake() override {
    const std::scoped_lock lock(disk_->mutex_);
    is_woken_ = true;
    disk_->released_.notify_all();
  }

 private:
  struct InFlight {
    Transfer transfer;
    std::vector<core::ByteView> parts;
    bool hangs = false;
  };
  std::expected<std::size_t, int> perform(const InFlight& one, std::unique_lock<std::mutex>& lock) {
    if (one.hangs) return std::unexpected(EIO);
    bool cut = false;
    if (disk_->ring_refuses != 0) return std::unexpected(disk_->ring_refuses);
    if (const auto error = disk_->begin(cut, lock)) return std::unexpected(*error);
    core::ByteBuffer bytes(one.transfer.bytes.begin(), one.transfer.bytes.end());
    for (const core::ByteView part : one.parts) bytes.insert(bytes.end(), part.begin(), part.end());
    const std::size_t left = disk_->bytes.size() - std::min<std::size_t>(one.transfer.offset, disk_->bytes.size());
    const std::size_t count = std::min(cut ? bytes.size() / 2 : bytes.size(), left);
    const auto place = disk_->bytes.begin() + static_cast<std::ptrdiff_t>(one.transfer.offset);
    if (one.transfer.is_read) {
      std::copy_n(place, count, one.transfer.bytes.begin());
    } else {
      std::copy_n(bytes.begin(), count, place);
    }
    return count;
  }
  std::shared_ptr<FakeDisk> disk_;
  std::vector<InFlight> in_flight_;
  bool is_woken_ = false;
};

class FakeDiskFile final : public devices::DiskFile {
 public:
  explicit FakeDiskFile(std::shared_ptr<FakeDisk> disk) : disk_(std::move(disk)) { ++disk_->open_now; }
  ~FakeDiskFile() override { --disk_->open_now; }
  FakeDiskFile(const FakeDiskFile&) = delete;
  FakeDiskFile& operator=(const FakeDiskFile&) = delete;

  std::expected<Identity, int> identity() override { return disk_->identity; }
  std::expected<std::size_t, int> read(std::uint64_t offset, core::ByteSpan out) override {
    const auto count = count_of(offset, out.size());
    if (count) std::copy_n(disk_->bytes.begin() + static_cast<std::ptrdiff_t>(offset), *count, out.begin());
    return count;
  }
  std::expected<std::size_t, int> write(std::uint64_t offset, core::ByteView data) override {
    const auto count = count_of(offset, data.size());
    if (count) std::copy_n(data.begin(), *count, disk_->bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    return count;
  }
  std::expected<void, int> flush() override {
    bool cut = false;
    if (const auto error = disk_->begin(cut)) return std::unexpected(*error);
    return {};
  }
  std::expected<void, int> eject(std::chrono::milliseconds /*limit*/) override { return flush(); }
  std::expected<void, int> erase(engine::EraseWay /*way*/, core::Extent extent) override {
    if (!disk_->erases) return std::unexpected(EOPNOTSUPP);
    if (auto done = flush(); !done) return done;
    std::fill_n(disk_->bytes.begin() + static_cast<std::ptrdiff_t>(extent.offset), extent.length, std::uint8_t{0});
    return {};
  }
  std::expected<std::unique_ptr<devices::DiskRing>, int> ring(unsigned /*depth*/) override {
    if (!disk_->has_ring) return std::unexpected(ENOSYS);
    return std::make_unique<FakeRing>(disk_);
  }
  [[nodiscard]] bool is_direct() const override { return !disk_->is_cached; }

 private:
  std::expected<std::size_t, int> count_of(std::uint64_t offset, std::size_t length) {
    bool cut = false;
    if (const auto error = disk_->begin(cut)) return std::unexpected(*error);
    const std::size_t left = disk_->bytes.size() - std::min<std::size_t>(offset, disk_->bytes.size());
    return std::min(cut ? length / 2 : length, left);
  }
  std::shared_ptr<FakeDisk> disk_;
};

inline devices::OpenDiskFile opener(const std::shared_ptr<FakeDisk>& disk) {
  return [disk](const std::filesystem::path& /*node*/,
                devices::DiskAccess /*access*/) -> std::expected<std::unique_ptr<devices::DiskFile>, int> {
    if (disk->open_error != 0) return std::unexpected(disk->open_error);
    if (disk->gone) return std::unexpected(ENXIO);
    return std::make_unique<FakeDiskFile>(disk);
  };
}

// A removable disk "sdb" at 8:16, as sysfs shows it.
class DiskSystem {
 public:
  explicit DiskSystem(const FakeDisk& disk) : paths{folder_ / "sys", folder_ / "proc"} {
    put("sys/devices/usb1/block/sdb/size", std::to_string(disk.bytes.size() / 512));
    put("sys/devices/usb1/block/sdb/queue/logical_block_size", "512");
    put("sys/devices/usb1/block/sdb/removable", "1");
    put("sys/devices/usb1/block/sdb/ro", "0");
    put("sys/devices/usb1/block/sdb/diskseq", std::to_string(disk.identity.sequence));
    put("sys/devices/usb1/idVendor", "1d6b");
    put("sys/devices/usb1/serial", "CARD-1");
    std::filesystem::create_directories(paths.sys / "block");
    std::filesystem::create_directories(paths.sys / "dev/block");
    std::filesystem::create_symlink("../devices/usb1/block/sdb", paths.sys / "block/sdb");
    std::filesystem::create_symlink("../../devices/usb1/block/sdb", paths.sys / "dev/block/8:16");
    put("proc/self/mountinfo", "22 1 254:1 / / rw shared:1 - ext4 /dev/root rw\n");
  }
  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  void unplug() { std::filesystem::remove(paths.sys / "dev/block/8:16"); }

 private:
  core::test::ScratchFolder folder_;

 public:
  devices::SystemPaths paths;
};

}  // namespace imprint::fixture
