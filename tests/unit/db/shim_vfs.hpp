// SPDX-License-Identifier: GPL-3.0-or-later
// A SQLite VFS over the system's: every call goes through to it, but for what a disk of a test does otherwise. Layouts
// and call tables as in https://www.sqlite.org/c3ref/vfs.html and https://www.sqlite.org/c3ref/io_methods.html.
#pragma once

#include <sqlite3.h>

namespace imprint::db::test {

class ShimVfs;

// SQLite gives memory for this and, behind it, for the system's own file.
struct ShimFile {
  sqlite3_file base;
  ShimVfs* vfs;
  void* disk;  // of whoever opened it
  sqlite3_file* real;
};

// Registered for as long as it lives. SQLite may call from any thread.
class ShimVfs {
 public:
  explicit ShimVfs(const char* name);
  ShimVfs(const ShimVfs&) = delete;
  ShimVfs& operator=(const ShimVfs&) = delete;
  virtual ~ShimVfs();

  [[nodiscard]] const char* name() const { return vfs_.zName; }

  virtual int open(const char* path, ShimFile& file, int flags, int* out_flags);
  virtual int remove(const char* path, int sync);
  virtual int access(const char* path, int flags, int* out);
  virtual int read(ShimFile& file, void* out, int amount, sqlite3_int64 offset);
  virtual int write(ShimFile& file, const void* data, int amount, sqlite3_int64 offset);
  virtual int truncate(ShimFile& file, sqlite3_int64 size);
  virtual int sync(ShimFile& file, int flags);
  virtual int size(ShimFile& file, sqlite3_int64* out);
  virtual int lock(ShimFile& file, int level);
  virtual int shm_map(ShimFile& file, int region, int size, int extend, void volatile** out);
  virtual int sector_size(ShimFile& file);
  virtual int characteristics(ShimFile& file);

 private:
  sqlite3_vfs vfs_;
  sqlite3_vfs* system_;
};

}  // namespace imprint::db::test
