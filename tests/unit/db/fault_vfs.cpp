// SPDX-License-Identifier: GPL-3.0-or-later
// The shim between SQLite and the system's VFS. Layouts and call tables as in https://www.sqlite.org/c3ref/vfs.html and
// https://www.sqlite.org/c3ref/io_methods.html.
#include "tests/unit/db/fault_vfs.hpp"

#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <limits>
#include <new>

namespace imprint::db::test {

struct FaultVfs::State {
  sqlite3_vfs vfs{};
  sqlite3_vfs* system = nullptr;
  std::atomic<std::uint64_t> calls = 0;
  std::atomic<std::uint64_t> nth = std::numeric_limits<std::uint64_t>::max();
  std::atomic<Fault> fault = Fault::once;
  std::atomic<bool> failed = false;

  enum class Call { looks, changes, writes };
  // Whether this call is to fail. Does not return where the process is to end, but for a write, half of which is made.
  bool strikes(Call call) {
    if (fault == Fault::kill && call == Call::looks) return false;
    const std::uint64_t number = ++calls;
    const bool due = fault == Fault::once || fault == Fault::kill ? number == nth : number >= nth;
    const bool strike = due && (fault != Fault::disk_full || call == Call::writes);
    if (strike) failed = true;
    if (strike && fault == Fault::kill && call == Call::changes) die();
    return strike;
  }
  [[noreturn]] static void die() {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }
};

namespace {

// SQLite gives memory for this and, behind it, for the system's own file.
struct ShimFile {
  sqlite3_file base;
  FaultVfs::State* state;
  sqlite3_file* real;
};

ShimFile& shim(sqlite3_file* file) { return *reinterpret_cast<ShimFile*>(file); }
sqlite3_file* real(sqlite3_file* file) { return shim(file).real; }
FaultVfs::State& state_of(sqlite3_vfs* vfs) { return *static_cast<FaultVfs::State*>(vfs->pAppData); }

int close_file(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }
int read_file(sqlite3_file* file, void* out, int amount, sqlite3_int64 offset) {
  if (shim(file).state->strikes(FaultVfs::State::Call::looks)) return SQLITE_IOERR_READ;
  return real(file)->pMethods->xRead(real(file), out, amount, offset);
}
int write_file(sqlite3_file* file, const void* data, int amount, sqlite3_int64 offset) {
  FaultVfs::State& state = *shim(file).state;
  if (state.strikes(FaultVfs::State::Call::writes)) {
    // A disk that fills up takes the first half of a write before it refuses.
    if (amount >= 2) real(file)->pMethods->xWrite(real(file), data, amount / 2, offset);
    if (state.fault == Fault::kill) FaultVfs::State::die();
    return state.fault == Fault::disk_full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  }
  return real(file)->pMethods->xWrite(real(file), data, amount, offset);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (shim(file).state->strikes(FaultVfs::State::Call::changes)) return SQLITE_IOERR_TRUNCATE;
  return real(file)->pMethods->xTruncate(real(file), size);
}
int sync_file(sqlite3_file* file, int flags) {
  if (shim(file).state->strikes(FaultVfs::State::Call::changes)) return SQLITE_IOERR_FSYNC;
  return real(file)->pMethods->xSync(real(file), flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) {
  if (shim(file).state->strikes(FaultVfs::State::Call::looks)) return SQLITE_IOERR_FSTAT;
  return real(file)->pMethods->xFileSize(real(file), size);
}
int lock_file(sqlite3_file* file, int level) {
  if (shim(file).state->strikes(FaultVfs::State::Call::looks)) return SQLITE_IOERR_LOCK;
  return real(file)->pMethods->xLock(real(file), level);
}
int unlock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int check_reserved(sqlite3_file* file, int* out) { return real(file)->pMethods->xCheckReservedLock(real(file), out); }
int control(sqlite3_file* file, int op, void* argument) {
  return real(file)->pMethods->xFileControl(real(file), op, argument);
}
int sector_size(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
int characteristics(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }
int shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
  if (shim(file).state->strikes(FaultVfs::State::Call::looks)) return SQLITE_IOERR_SHMMAP;
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

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  FaultVfs::State& state = state_of(vfs);
  auto* made =
      new (file) ShimFile{{nullptr}, &state, reinterpret_cast<sqlite3_file*>(static_cast<void*>(&shim(file) + 1))};
  if (state.strikes(FaultVfs::State::Call::looks)) return SQLITE_CANTOPEN;
  const int status = state.system->xOpen(state.system, path, made->real, flags, out_flags);
  if (status == SQLITE_OK) made->base.pMethods = &kMethods;
  return status;
}
int delete_file(sqlite3_vfs* vfs, const char* path, int sync) {
  FaultVfs::State& state = state_of(vfs);
  if (state.strikes(FaultVfs::State::Call::changes)) return SQLITE_IOERR_DELETE;
  return state.system->xDelete(state.system, path, sync);
}
int access_file(sqlite3_vfs* vfs, const char* path, int flags, int* out) {
  FaultVfs::State& state = state_of(vfs);
  if (state.strikes(FaultVfs::State::Call::looks)) return SQLITE_IOERR_ACCESS;
  return state.system->xAccess(state.system, path, flags, out);
}

}  // namespace

FaultVfs::FaultVfs() : state_(std::make_unique<State>()) {
  state_->system = sqlite3_vfs_find(nullptr);
  state_->vfs = *state_->system;
  state_->vfs.zName = "imprint-fault";
  state_->vfs.szOsFile = static_cast<int>(sizeof(ShimFile)) + state_->system->szOsFile;
  state_->vfs.pNext = nullptr;
  state_->vfs.pAppData = state_.get();
  state_->vfs.xOpen = open_file;
  state_->vfs.xDelete = delete_file;
  state_->vfs.xAccess = access_file;
  // The system's other calls find their own VFS through the argument: it must be theirs, not ours.
  state_->vfs.xFullPathname = [](sqlite3_vfs* vfs, const char* path, int size, char* out) {
    sqlite3_vfs* system = state_of(vfs).system;
    return system->xFullPathname(system, path, size, out);
  };
  sqlite3_vfs_register(&state_->vfs, 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&state_->vfs); }

std::string FaultVfs::name() const { return state_->vfs.zName; }
void FaultVfs::fail_at(std::uint64_t nth, Fault fault) {
  state_->calls = 0;
  state_->nth = nth;
  state_->fault = fault;
  state_->failed = false;
}
void FaultVfs::heal() { state_->nth = std::numeric_limits<std::uint64_t>::max(); }
bool FaultVfs::failed() const { return state_->failed; }

}  // namespace imprint::db::test
