// SPDX-License-Identifier: GPL-3.0-or-later
// libntfs-3g over a BlockSource: the mounted volume and everything that has to be released in the right order. The only
// header of this folder that includes the library's; include it in .cpp files alone.
#pragma once

// The library's headers take these from its own configuration, which is not installed.
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
#include <ntfs-3g/attrib.h>
#include <ntfs-3g/device.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/layout.h>
#include <ntfs-3g/logging.h>
#include <ntfs-3g/volume.h>
}
// They would break every standard header that is included later.
#undef min
#undef max

#include <memory>
#include <mutex>
#include <optional>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"

namespace imprint::disk {

struct NtfsInodeClose {
  void operator()(ntfs_inode* inode) const { ntfs_inode_close(inode); }
};
using NtfsInode = std::unique_ptr<ntfs_inode, NtfsInodeClose>;

struct NtfsAttributeClose {
  void operator()(ntfs_attr* attribute) const { ntfs_attr_close(attribute); }
};
using NtfsAttribute = std::unique_ptr<ntfs_attr, NtfsAttributeClose>;

// What the library's device functions work on: ntfs_device's d_private points here.
struct NtfsDeviceState {
  std::shared_ptr<const core::BlockSource> source;
  std::uint64_t position = 0;
  // The library turns every failed read into errno; the first one is kept so that its own id reaches the caller.
  std::optional<core::Error> read_error;
};

// A volume mounted read-only. The library keeps caches in it, so every call on it or on its inodes is made with `mutex`
// held; guard() does that and forgets old read errors.
class NtfsSession {
 public:
  // `volume.damaged`, or the source's own error when reading failed.
  [[nodiscard]] static core::Result<std::shared_ptr<NtfsSession>> mount(
      std::shared_ptr<const core::BlockSource> source);
  ~NtfsSession();
  NtfsSession(const NtfsSession&) = delete;
  NtfsSession& operator=(const NtfsSession&) = delete;

  [[nodiscard]] std::unique_lock<std::mutex> guard();
  // Only with the lock of guard() held.
  [[nodiscard]] ntfs_volume* volume() { return volume_; }
  // `volume.damaged` with errno's words, or the error of the source's read that led to it.
  [[nodiscard]] core::Failure failure(std::string detail) const;

 private:
  explicit NtfsSession(std::shared_ptr<const core::BlockSource> source) { state_.source = std::move(source); }

  std::mutex mutex_;
  NtfsDeviceState state_;
  ntfs_volume* volume_ = nullptr;
};

}  // namespace imprint::disk
