// SPDX-License-Identifier: GPL-3.0-or-later
// The shim keeps, beside the system's files, what each of them held at its last sync and what was written since.
#include "tests/unit/db/power_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <new>
#include <random>
#include <vector>

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

}  // namespace

struct PowerVfs::State {
  sqlite3_vfs vfs{};
  sqlite3_vfs* system = nullptr;
  std::map<std::string, Disk> disks;
  std::uint64_t calls = 0;
  std::uint64_t nth = std::numeric_limits<std::uint64_t>::max();

  bool cut() const { return calls >= nth; }
  // Whether the power is gone with this call.
  bool counts() {
    ++calls;
    return cut();
  }
};

namespace {

struct ShimFile {
  sqlite3_file base;
  PowerVfs::State* state;
  Disk* disk;
  sqlite3_file* real;
};

ShimFile& shim(sqlite3_file* file) { return *reinterpret_cast<ShimFile*>(file); }
sqlite3_file* real(sqlite3_file* file) { return shim(file).real; }
PowerVfs::State& state_of(sqlite3_vfs* vfs) { return *static_cast<PowerVfs::State*>(vfs->pAppData); }

int close_file(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }
int read_file(sqlite3_file* file, void* out, int amount, sqlite3_int64 offset) {
  return real(file)->pMethods->xRead(real(file), out, amount, offset);
}
int write_file(sqlite3_file* file, const void* data, int amount, sqlite3_int64 offset) {
  ShimFile& self = shim(file);
  if (self.state->cut()) return SQLITE_IOERR_WRITE;
  const bool last = self.state->counts();
  // The write that the cut falls into is on its way: it may arrive, in part, or not.
  self.disk->unsynced.push_back({static_cast<std::size_t>(offset),
                                 std::string(static_cast<const char*>(data), static_cast<std::size_t>(amount)), false});
  if (last) return SQLITE_IOERR_WRITE;
  return real(file)->pMethods->xWrite(real(file), data, amount, offset);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  ShimFile& self = shim(file);
  if (self.state->cut() || self.state->counts()) return SQLITE_IOERR_TRUNCATE;
  self.disk->unsynced.push_back({static_cast<std::size_t>(size), {}, true});
  return real(file)->pMethods->xTruncate(real(file), size);
}
int sync_file(sqlite3_file* file, int flags) {
  ShimFile& self = shim(file);
  if (self.state->cut() || self.state->counts()) return SQLITE_IOERR_FSYNC;
  for (const Write& write : self.disk->unsynced) apply(self.disk->synced, write);
  self.disk->unsynced.clear();
  self.disk->exists = true;
  self.disk->removed = false;
  return real(file)->pMethods->xSync(real(file), flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); }
int lock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
int unlock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int check_reserved(sqlite3_file* file, int* out) { return real(file)->pMethods->xCheckReservedLock(real(file), out); }
int control(sqlite3_file* file, int op, void* argument) {
  return real(file)->pMethods->xFileControl(real(file), op, argument);
}
int sector_size(sqlite3_file* /*file*/) { return static_cast<int>(kSector); }
// No promises: writes of a sector may tear, and nothing is in order.
int characteristics(sqlite3_file* /*file*/) { return 0; }
int shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
  return real(file)->pMethods->xShmMap(real(file), region, size, extend, out);
}
int shm_lock(sqlite3_file* file, int offset, int n, int flags) {
  return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}
void shm_barrier(sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); }
int shm_unmap(sqlite3_file* file, int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); }

constexpr sqlite3_io_methods kMethods = {
    2,         close_file,  read_file,      write_file, truncate_file, sync_file,       file_size,
    lock_file, unlock_file, check_reserved, control,    sector_size,   characteristics, shm_map,
    shm_lock,  shm_barrier, shm_unmap,      nullptr,    nullptr,
};

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  PowerVfs::State& state = state_of(vfs);
  if (state.cut() && path != nullptr && !fs::exists(path)) return SQLITE_CANTOPEN;
  const std::string name = path == nullptr ? "" : path;
  const bool was_there = !name.empty() && fs::exists(name);
  const bool known = state.disks.contains(name);
  Disk& disk = state.disks[name];
  if (!known && was_there) disk = {true, false, content_of(name), {}};
  // A file that is made anew under a name is not the one that was removed.
  if (known && !was_there) disk = {disk.exists, disk.removed, {}, {}};
  auto* made = new (file)
      ShimFile{{nullptr}, &state, &disk, reinterpret_cast<sqlite3_file*>(static_cast<void*>(&shim(file) + 1))};
  const int status = state.system->xOpen(state.system, path, made->real, flags, out_flags);
  if (status == SQLITE_OK) made->base.pMethods = &kMethods;
  return status;
}
int delete_file(sqlite3_vfs* vfs, const char* path, int sync) {
  PowerVfs::State& state = state_of(vfs);
  if (state.cut() || state.counts()) return SQLITE_IOERR_DELETE;
  const auto disk = state.disks.find(path);
  if (disk != state.disks.end()) {
    if (sync != 0) {
      state.disks.erase(disk);
    } else {
      disk->second.removed = true;
    }
  }
  return state.system->xDelete(state.system, path, sync);
}
int access_file(sqlite3_vfs* vfs, const char* path, int flags, int* out) {
  return state_of(vfs).system->xAccess(state_of(vfs).system, path, flags, out);
}

}  // namespace

PowerVfs::PowerVfs() : state_(std::make_unique<State>()) {
  state_->system = sqlite3_vfs_find(nullptr);
  state_->vfs = *state_->system;
  state_->vfs.zName = "imprint-power";
  state_->vfs.szOsFile = static_cast<int>(sizeof(ShimFile)) + state_->system->szOsFile;
  state_->vfs.pNext = nullptr;
  state_->vfs.pAppData = state_.get();
  state_->vfs.xOpen = open_file;
  state_->vfs.xDelete = delete_file;
  state_->vfs.xAccess = access_file;
  state_->vfs.xFullPathname = [](sqlite3_vfs* vfs, const char* path, int size, char* out) {
    sqlite3_vfs* system = state_of(vfs).system;
    return system->xFullPathname(system, path, size, out);
  };
  sqlite3_vfs_register(&state_->vfs, 0);
}

PowerVfs::~PowerVfs() { sqlite3_vfs_unregister(&state_->vfs); }

std::string PowerVfs::name() const { return state_->vfs.zName; }
void PowerVfs::cut_at(std::uint64_t nth) {
  state_->calls = 0;
  state_->nth = nth;
}
bool PowerVfs::is_cut() const { return state_->cut(); }
void PowerVfs::forget() { state_->disks.clear(); }

void PowerVfs::power_up(const fs::path& folder, const fs::path& into, Survives survives, std::uint32_t seed) const {
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
