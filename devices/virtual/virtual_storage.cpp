// SPDX-License-Identifier: GPL-3.0-or-later
// A nameless sparse file and the set of what was written to it.
#include "devices/virtual/virtual_storage.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "flash/core/errors.hpp"

namespace imprint::virtual_device {
namespace {

core::Result<int> open_nameless(const std::filesystem::path& folder) {
  int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return core::fail_errno(errno, "io.open-failed", folder.native());
  // Not every file system knows O_TMPFILE.
  std::string name = (folder / "virtual-device-XXXXXX").native();
  file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) return core::fail_errno(errno, "io.open-failed", folder.native());
  ::unlink(name.c_str());
  return file;
}

}  // namespace

core::Result<std::shared_ptr<VirtualStorage>> VirtualStorage::create(const std::filesystem::path& folder,
                                                                     std::uint64_t size, std::uint8_t fill) {
  IMPRINT_TRY(const int file, open_nameless(folder));
  std::shared_ptr<VirtualStorage> storage(new VirtualStorage(file, size, fill));
  if (size > static_cast<std::uint64_t>(INT64_MAX) || ::ftruncate(file, static_cast<off_t>(size)) != 0) {
    return core::fail_errno(size > static_cast<std::uint64_t>(INT64_MAX) ? EFBIG : errno, "io.write-failed",
                            folder.native());
  }
  return storage;
}

VirtualStorage::~VirtualStorage() { ::close(file_); }

core::Status VirtualStorage::read_at(std::uint64_t offset, core::ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  const std::scoped_lock lock(mutex_);
  if (is_bad(offset, out.size())) return core::fail("io.read-failed", "bad sector").with("offset", bad_.offset);
  std::ranges::fill(out, fill_);
  for (const core::Extent& extent : written_.within({offset, out.size()})) {
    core::ByteSpan piece = out.subspan(extent.offset - offset, extent.length);
    std::uint64_t at = extent.offset;
    while (!piece.empty()) {
      const auto got = ::pread(file_, piece.data(), piece.size(), static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return core::fail_errno(got < 0 ? errno : EIO, "io.read-failed", "virtual storage");
      piece = piece.subspan(static_cast<std::size_t>(got));
      at += static_cast<std::uint64_t>(got);
    }
  }
  return {};
}

core::Status VirtualStorage::write_at(std::uint64_t offset, core::ByteView data) {
  IMPRINT_CHECK(check_range(offset, data.size()));
  const std::scoped_lock lock(mutex_);
  if (is_bad(offset, data.size())) return core::fail("io.write-failed", "bad sector").with("offset", bad_.offset);
  std::uint64_t at = offset;
  while (!data.empty()) {
    const auto put = ::pwrite(file_, data.data(), data.size(), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return core::fail_errno(errno, "io.write-failed", "virtual storage");
    written_.add({at, static_cast<std::uint64_t>(put)});
    data = data.subspan(static_cast<std::size_t>(put));
    at += static_cast<std::uint64_t>(put);
  }
  return {};
}

void VirtualStorage::set_bad(core::Extent bytes) {
  const std::scoped_lock lock(mutex_);
  bad_ = bytes;
}

core::ExtentSet VirtualStorage::written() const {
  const std::scoped_lock lock(mutex_);
  return written_;
}

}  // namespace imprint::virtual_device
