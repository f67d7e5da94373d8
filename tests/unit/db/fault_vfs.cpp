// SPDX-License-Identifier: GPL-3.0-or-later
// Counts the calls, and makes those that are due fail.
#include "tests/unit/db/fault_vfs.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <limits>

#include "tests/unit/db/shim_vfs.hpp"

namespace imprint::db::test {

struct FaultVfs::State final : ShimVfs {
  State() : ShimVfs("imprint-fault") {}

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

  int open(const char* path, ShimFile& file, int flags, int* out_flags) override {
    return strikes(Call::looks) ? SQLITE_CANTOPEN : ShimVfs::open(path, file, flags, out_flags);
  }
  int remove(const char* path, int sync) override {
    return strikes(Call::changes) ? SQLITE_IOERR_DELETE : ShimVfs::remove(path, sync);
  }
  int access(const char* path, int flags, int* out) override {
    return strikes(Call::looks) ? SQLITE_IOERR_ACCESS : ShimVfs::access(path, flags, out);
  }
  int read(ShimFile& file, void* out, int amount, sqlite3_int64 offset) override {
    return strikes(Call::looks) ? SQLITE_IOERR_READ : ShimVfs::read(file, out, amount, offset);
  }
  int write(ShimFile& file, const void* data, int amount, sqlite3_int64 offset) override {
    if (!strikes(Call::writes)) return ShimVfs::write(file, data, amount, offset);
    // A disk that fills up takes the first half of a write before it refuses.
    if (amount >= 2) ShimVfs::write(file, data, amount / 2, offset);
    if (fault == Fault::kill) die();
    return fault == Fault::disk_full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  }
  int truncate(ShimFile& file, sqlite3_int64 size) override {
    return strikes(Call::changes) ? SQLITE_IOERR_TRUNCATE : ShimVfs::truncate(file, size);
  }
  int sync(ShimFile& file, int flags) override {
    return strikes(Call::changes) ? SQLITE_IOERR_FSYNC : ShimVfs::sync(file, flags);
  }
  int size(ShimFile& file, sqlite3_int64* out) override {
    return strikes(Call::looks) ? SQLITE_IOERR_FSTAT : ShimVfs::size(file, out);
  }
  int lock(ShimFile& file, int level) override {
    return strikes(Call::looks) ? SQLITE_IOERR_LOCK : ShimVfs::lock(file, level);
  }
  int shm_map(ShimFile& file, int region, int size, int extend, void volatile** out) override {
    return strikes(Call::looks) ? SQLITE_IOERR_SHMMAP : ShimVfs::shm_map(file, region, size, extend, out);
  }
};

FaultVfs::FaultVfs() : state_(std::make_unique<State>()) {}
FaultVfs::~FaultVfs() = default;

std::string FaultVfs::name() const { return state_->name(); }
void FaultVfs::fail_at(std::uint64_t nth, Fault fault) {
  state_->calls = 0;
  state_->nth = nth;
  state_->fault = fault;
  state_->failed = false;
}
void FaultVfs::heal() { state_->nth = std::numeric_limits<std::uint64_t>::max(); }
bool FaultVfs::failed() const { return state_->failed; }

}  // namespace imprint::db::test
