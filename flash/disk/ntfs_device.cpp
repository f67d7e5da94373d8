// SPDX-License-Identifier: GPL-3.0-or-later
// The device functions that libntfs-3g calls, answered from a BlockSource; nothing here can write.
#include "flash/disk/ntfs_device.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "flash/disk/errors.hpp"

namespace imprint::disk {
namespace {

NtfsDeviceState& state_of(ntfs_device* device) { return *static_cast<NtfsDeviceState*>(device->d_private); }

int device_open(ntfs_device* device, int flags) {
  if ((flags & O_ACCMODE) != O_RDONLY) {
    errno = EROFS;
    return -1;
  }
  NDevSetOpen(device);
  NDevSetReadOnly(device);
  return 0;
}

int device_close(ntfs_device* device) {
  NDevClearOpen(device);
  return 0;
}

s64 device_seek(ntfs_device* device, s64 offset, int whence) {
  NtfsDeviceState& state = state_of(device);
  const auto size = static_cast<s64>(state.source->size());
  const s64 base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? static_cast<s64>(state.position) : size;
  s64 target = 0;
  if (__builtin_add_overflow(base, offset, &target) || target < 0 || target > size) {
    errno = EINVAL;
    return -1;
  }
  state.position = static_cast<std::uint64_t>(target);
  return target;
}

s64 device_pread(ntfs_device* device, void* buffer, s64 count, s64 offset) {
  NtfsDeviceState& state = state_of(device);
  if (count < 0 || offset < 0) {
    errno = EINVAL;
    return -1;
  }
  const std::uint64_t size = state.source->size();
  const auto from = static_cast<std::uint64_t>(offset);
  if (from >= size) return 0;
  const std::uint64_t length = std::min(static_cast<std::uint64_t>(count), size - from);
  try {
    auto read = state.source->read_at(from, {static_cast<std::uint8_t*>(buffer), static_cast<std::size_t>(length)});
    if (read) return static_cast<s64>(length);
    if (!state.read_error) state.read_error = std::move(read).error();
  } catch (const std::bad_alloc&) {
    // An exception must not unwind through the library's C frames.
    errno = ENOMEM;
    return -1;
  }
  errno = EIO;
  return -1;
}

s64 device_read(ntfs_device* device, void* buffer, s64 count) {
  NtfsDeviceState& state = state_of(device);
  const s64 got = device_pread(device, buffer, count, static_cast<s64>(state.position));
  if (got > 0) state.position += static_cast<std::uint64_t>(got);
  return got;
}

s64 device_write(ntfs_device*, const void*, s64) {
  errno = EROFS;
  return -1;
}

s64 device_pwrite(ntfs_device*, const void*, s64, s64) {
  errno = EROFS;
  return -1;
}

int device_sync(ntfs_device*) { return 0; }

int device_stat(ntfs_device* device, struct stat* out) {
  std::memset(out, 0, sizeof(*out));
  out->st_mode = S_IFREG | S_IRUSR;
  out->st_size = static_cast<off_t>(state_of(device).source->size());
  return 0;
}

int device_ioctl(ntfs_device*, unsigned long, void*) {
  errno = EOPNOTSUPP;
  return -1;
}

constexpr ntfs_device_operations kOperations = {
    .open = device_open,
    .close = device_close,
    .seek = device_seek,
    .read = device_read,
    .write = device_write,
    .pread = device_pread,
    .pwrite = device_pwrite,
    .sync = device_sync,
    .stat = device_stat,
    .ioctl = device_ioctl,
};

// The library logs to standard error, which is the product's own channel to the user.
void silence_library() {
  static std::once_flag once;
  std::call_once(once, [] { ntfs_log_set_handler(ntfs_log_handler_null); });
}

}  // namespace

core::Result<std::shared_ptr<NtfsSession>> NtfsSession::mount(std::shared_ptr<const core::BlockSource> source) {
  silence_library();
  if (source->size() > static_cast<std::uint64_t>(INT64_MAX)) return fail("volume.damaged", "larger than any volume");
  std::shared_ptr<NtfsSession> session(new NtfsSession(std::move(source)));
  const auto lock = session->guard();
  // The library takes the table as not const, and never writes to it.
  ntfs_device* device =
      ntfs_device_alloc("block source", 0, const_cast<ntfs_device_operations*>(&kOperations), &session->state_);
  if (device == nullptr) return session->failure("no memory for the volume");
  session->volume_ = ntfs_device_mount(device, NTFS_MNT_RDONLY | NTFS_MNT_FORENSIC | NTFS_MNT_IGNORE_HIBERFILE);
  if (session->volume_ == nullptr) {
    auto failure = session->failure("the volume's own files cannot be read");
    NDevClearOpen(device);  // an open device is not freed
    ntfs_device_free(device);
    return failure;
  }
  // Hidden files are files; the file system's own metadata files stay out of listings.
  ntfs_set_shown_files(session->volume_, FALSE, TRUE, FALSE);
  // Lookups ignore case. The lower-case table stays unset on purpose: with it, listings would come in lower case.
  NVolClearCaseSensitive(session->volume_);
  return session;
}

NtfsSession::~NtfsSession() {
  const std::scoped_lock lock(mutex_);
  if (volume_ != nullptr) ntfs_umount(volume_, TRUE);
}

std::unique_lock<std::mutex> NtfsSession::guard() {
  std::unique_lock lock(mutex_);
  state_.read_error.reset();
  errno = 0;
  return lock;
}

core::Failure NtfsSession::failure(std::string detail) const {
  if (state_.read_error) {
    core::Error error = *state_.read_error;
    error.add_context("volume", "NTFS");
    return core::Failure(std::move(error));
  }
  const int number = errno;
  auto out = fail("volume.damaged", std::move(detail));
  return number == 0 ? out : std::move(out).with("reason", std::strerror(number));
}

}  // namespace imprint::disk
