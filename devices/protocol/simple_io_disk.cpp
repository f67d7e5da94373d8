// SPDX-License-Identifier: GPL-3.0-or-later
// Any offset and length out of commands that know only whole blocks.
#include "devices/protocol/simple_io_disk.hpp"

#include <algorithm>

namespace imprint::devices::simple_io {

core::Status DiskSource::read_at(std::uint64_t offset, core::ByteSpan out) const {
  IMPRINT_CHECK(check_range(offset, out.size()));
  const std::uint64_t block = disk_.geometry.sector_size;
  while (!out.empty()) {
    const std::uint64_t skip = offset % block;
    const std::size_t aligned = out.size() / block * block;
    std::size_t done = 0;
    if (skip == 0 && aligned != 0) {
      done = std::min(aligned, kDiskReadCommandBytes);
      IMPRINT_CHECK(read_blocks(offset, out.first(done)));
    } else {
      core::ByteBuffer whole(block);
      IMPRINT_CHECK(read_blocks(offset - skip, whole));
      done = static_cast<std::size_t>(std::min<std::uint64_t>(block - skip, out.size()));
      std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(skip), done, out.begin());
    }
    offset += done;
    out = out.subspan(done);
  }
  return {};
}

core::Status DiskSource::read_blocks(std::uint64_t offset, core::ByteSpan out) const {
  const std::scoped_lock lock(connection_->mutex());
  auto done = connection_->read_disk(disk_, offset, out);
  if (!done) return core::Failure(std::move(done).error()).with("offset", offset).with("length", out.size());
  return {};
}

}  // namespace imprint::devices::simple_io
