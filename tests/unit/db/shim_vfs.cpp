// SPDX-License-Identifier: GPL-3.0-or-later
// From SQLite's tables of functions to a ShimVfs, and from there to the system's.
#include "tests/unit/db/shim_vfs.hpp"

#include <new>

namespace imprint::db::test {
namespace {

ShimFile& shim(sqlite3_file* file) { return *reinterpret_cast<ShimFile*>(file); }
sqlite3_file* real(sqlite3_file* file) { return shim(file).real; }
ShimVfs& vfs_of(sqlite3_file* file) { return *shim(file).vfs; }
ShimVfs& vfs_of(sqlite3_vfs* vfs) { return *static_cast<ShimVfs*>(vfs->pAppData); }

constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = [](sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); },
    .xRead = [](sqlite3_file* file, void* out, int amount,
                sqlite3_int64 offset) { return vfs_of(file).read(shim(file), out, amount, offset); },
    .xWrite = [](sqlite3_file* file, const void* data, int amount,
                 sqlite3_int64 offset) { return vfs_of(file).write(shim(file), data, amount, offset); },
    .xTruncate = [](sqlite3_file* file, sqlite3_int64 size) { return vfs_of(file).truncate(shim(file), size); },
    .xSync = [](sqlite3_file* file, int flags) { return vfs_of(file).sync(shim(file), flags); },
    .xFileSize = [](sqlite3_file* file, sqlite3_int64* size) { return vfs_of(file).size(shim(file), size); },
    .xLock = [](sqlite3_file* file, int level) { return vfs_of(file).lock(shim(file), level); },
    .xUnlock = [](sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); },
    .xCheckReservedLock = [](sqlite3_file* file,
                             int* out) { return real(file)->pMethods->xCheckReservedLock(real(file), out); },
    .xFileControl = [](sqlite3_file* file, int op,
                       void* argument) { return real(file)->pMethods->xFileControl(real(file), op, argument); },
    .xSectorSize = [](sqlite3_file* file) { return vfs_of(file).sector_size(shim(file)); },
    .xDeviceCharacteristics = [](sqlite3_file* file) { return vfs_of(file).characteristics(shim(file)); },
    .xShmMap = [](sqlite3_file* file, int region, int size, int extend,
                  void volatile** out) { return vfs_of(file).shm_map(shim(file), region, size, extend, out); },
    .xShmLock = [](sqlite3_file* file, int offset, int n,
                   int flags) { return real(file)->pMethods->xShmLock(real(file), offset, n, flags); },
    .xShmBarrier = [](sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); },
    .xShmUnmap = [](sqlite3_file* file, int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); },
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

}  // namespace

ShimVfs::ShimVfs(const char* name) : system_(sqlite3_vfs_find(nullptr)) {
  vfs_ = *system_;
  vfs_.zName = name;
  vfs_.szOsFile = static_cast<int>(sizeof(ShimFile)) + system_->szOsFile;
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.xOpen = [](sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    auto* made = new (file) ShimFile{
        {nullptr}, &vfs_of(vfs), nullptr, reinterpret_cast<sqlite3_file*>(static_cast<void*>(&shim(file) + 1))};
    return vfs_of(vfs).open(path, *made, flags, out_flags);
  };
  vfs_.xDelete = [](sqlite3_vfs* vfs, const char* path, int sync) { return vfs_of(vfs).remove(path, sync); };
  vfs_.xAccess = [](sqlite3_vfs* vfs, const char* path, int flags, int* out) {
    return vfs_of(vfs).access(path, flags, out);
  };
  // The system's other calls find their own VFS through the argument: it must be theirs, not ours.
  vfs_.xFullPathname = [](sqlite3_vfs* vfs, const char* path, int size, char* out) {
    sqlite3_vfs* system = vfs_of(vfs).system_;
    return system->xFullPathname(system, path, size, out);
  };
  sqlite3_vfs_register(&vfs_, 0);
}

ShimVfs::~ShimVfs() { sqlite3_vfs_unregister(&vfs_); }

int ShimVfs::open(const char* path, ShimFile& file, int flags, int* out_flags) {
  const int status = system_->xOpen(system_, path, file.real, flags, out_flags);
  if (status == SQLITE_OK) file.base.pMethods = &kMethods;
  return status;
}
int ShimVfs::remove(const char* path, int sync) { return system_->xDelete(system_, path, sync); }
int ShimVfs::access(const char* path, int flags, int* out) { return system_->xAccess(system_, path, flags, out); }
int ShimVfs::read(ShimFile& file, void* out, int amount, sqlite3_int64 offset) {
  return file.real->pMethods->xRead(file.real, out, amount, offset);
}
int ShimVfs::write(ShimFile& file, const void* data, int amount, sqlite3_int64 offset) {
  return file.real->pMethods->xWrite(file.real, data, amount, offset);
}
int ShimVfs::truncate(ShimFile& file, sqlite3_int64 size) { return file.real->pMethods->xTruncate(file.real, size); }
int ShimVfs::sync(ShimFile& file, int flags) { return file.real->pMethods->xSync(file.real, flags); }
int ShimVfs::size(ShimFile& file, sqlite3_int64* out) { return file.real->pMethods->xFileSize(file.real, out); }
int ShimVfs::lock(ShimFile& file, int level) { return file.real->pMethods->xLock(file.real, level); }
int ShimVfs::shm_map(ShimFile& file, int region, int size, int extend, void volatile** out) {
  return file.real->pMethods->xShmMap(file.real, region, size, extend, out);
}
int ShimVfs::sector_size(ShimFile& file) { return file.real->pMethods->xSectorSize(file.real); }
int ShimVfs::characteristics(ShimFile& file) { return file.real->pMethods->xDeviceCharacteristics(file.real); }

}  // namespace imprint::db::test
