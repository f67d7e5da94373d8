// SPDX-License-Identifier: GPL-3.0-or-later
// The shim keeps, beside the system's files, what each of them held at its last sync and what was written since.
#include "tests/unit/db/power_vfs.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <utility>
#include <vector>

#include "tests/unit/db/shim_vfs.hpp"

namespace imprint::db::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSector = 512;

struct Write {
  std::size_t offset = 0;
  std::string data;
  bool truncation = false;  // to `offset`
};

struct Disk {
  bool exists = false;   // sure to be there
  bool removed = false;  // removed, and the folder was not synced since
  std::string synced;    // sure content
  std::vector<Write> unsynced;
};

void apply(std::string& content, const Write& write) {
  if (write.truncation) {
    content.resize(write.offset);
    return;
  }
  if (content.size() < write.offset + write.data.size()) content.resize(write.offset + write.data.size());
  content.replace(write.offset, write.data.size(), write.data);
}

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

struct PowerVfs::State final : ShimVfs {
  State() : ShimVfs("imprint-power") {}

  std::recursive_mutex mutex;  // of all of it; also held while the power goes
  std::map<std::string, Disk> disks;
  std::uint64_t calls = 0;
  std::uint64_t nth = std::numeric_limits<std::uint64_t>::max();
  std::function<void()> on_cut;

  bool cut() const { return calls >= nth; }
  // Whether the power is gone with this call.
  bool counts() {
    ++calls;
    return cut();
  }
  int dark(int error) {
    if (const auto gone = std::exchange(on_cut, nullptr)) gone();
    return error;
  }
  static Disk& disk_of(ShimFile& file) { return *static_cast<Disk*>(file.disk); }

  int open(const char* path, ShimFile& file, int flags, int* out_flags) override {
    const std::scoped_lock lock(mutex);
    if (cut() && path != nullptr && !fs::exists(path)) return SQLITE_CANTOPEN;
    const std::string name = path == nullptr ? "" : path;
    const bool was_there = !name.empty() && fs::exists(name);
    const bool known = disks.contains(name);
    Disk& disk = disks[name];
    if (!known && was_there) disk = {true, false, content_of(name), {}};
    // A file that is made anew under a name is not the one that was removed.
    if (known && !was_there) disk = {disk.exists, disk.removed, {}, {}};
    file.disk = &disk;
    return ShimVfs::open(path, file, flags, out_flags);
  }
  int remove(const char* path, int sync) override {
    const std::scoped_lock lock(mutex);
    if (cut() || counts()) return dark(SQLITE_IOERR_DELETE);
    const auto disk = disks.find(path);
    if (disk != disks.end()) {
      if (sync != 0) {
        disks.erase(disk);
      } else {
        disk->second.removed = true;
      }
    }
    return ShimVfs::remove(path, sync);
  }
  int write(ShimFile& file, const void* data, int amount, sqlite3_int64 offset) override {
    const std::scoped_lock lock(mutex);
    if (cut()) return SQLITE_IOERR_WRITE;
    const bool last = counts();
    // The write that the cut falls into is on its way: it may arrive, in part, or not.
    disk_of(file).unsynced.push_back({static_cast<std::size_t>(offset),
                                      std::string(static_cast<const char*>(data), static_cast<std::size_t>(amount)),
                                      false});
    return last ? dark(SQLITE_IOERR_WRITE) : ShimVfs::write(file, data, amount, offset);
  }
  int truncate(ShimFile& file, sqlite3_int64 size) override {
    const std::scoped_lock lock(mutex);
    if (cut() || counts()) return dark(SQLITE_IOERR_TRUNCATE);
    disk_of(file).unsynced.push_back({static_cast<std::size_t>(size), {}, true});
    return ShimVfs::truncate(file, size);
  }
  int sync(ShimFile& file, int flags) override {
    const std::scoped_lock lock(mutex);
    if (cut() || counts()) return dark(SQLITE_IOERR_FSYNC);
    Disk& disk = disk_of(file);
    for (const Write& write : disk.unsynced) apply(disk.synced, write);
    disk.unsynced.clear();
    disk.exists = true;
    disk.removed = false;
    return ShimVfs::sync(file, flags);
  }
  int sector_size(ShimFile& /*file*/) override { return static_cast<int>(kSector); }
  // No promises: writes of a sector may tear, and nothing is in order.
  int characteristics(ShimFile& /*file*/) override { return 0; }
};

PowerVfs::PowerVfs() : state_(std::make_unique<State>()) {}
PowerVfs::~PowerVfs() = default;

std::string PowerVfs::name() const { return state_->name(); }
void PowerVfs::cut_at(std::uint64_t nth, std::function<void()> on_cut) {
  const std::scoped_lock lock(state_->mutex);
  state_->calls = 0;
  state_->nth = nth;
  state_->on_cut = std::move(on_cut);
}
bool PowerVfs::is_cut() const { return state_->cut(); }
void PowerVfs::forget() { state_->disks.clear(); }

void PowerVfs::power_up(const fs::path& folder, const fs::path& into, Survives survives, std::uint32_t seed) const {
  const std::scoped_lock lock(state_->mutex);
  std::mt19937 random(seed);
  const auto chance = [&] { return (random() & 1U) != 0; };
  fs::remove_all(into);
  fs::create_directories(into);
  for (const auto& [name, disk] : state_->disks) {
    const fs::path path(name);
    if (path.parent_path() != folder) continue;
    const bool kept = survives == Survives::everything || (survives == Survives::by_chance && chance());
    const bool there = disk.removed ? disk.exists && !kept : disk.exists || kept;
    if (!there) continue;
    std::string content = disk.synced;
    std::vector<Write> writes = disk.unsynced;
    if (survives == Survives::nothing) writes.clear();
    if (survives == Survives::by_chance) {
      std::ranges::shuffle(writes, random);
      std::erase_if(writes, [&](const Write&) { return chance(); });
      for (Write& write : writes) {
        if (write.truncation || write.data.size() <= kSector || chance()) continue;
        const std::size_t sectors = write.data.size() / kSector;
        write.data.resize(kSector * (1 + random() % sectors));
      }
    }
    for (const Write& write : writes) apply(content, write);
    std::ofstream(into / path.filename(), std::ios::binary) << content;
  }
}

}  // namespace imprint::db::test
