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
  auto done = read_in_step(offset, out);
  if (!done) return core::Failure(std::move(done).error()).with("offset", offset).with("length", out.size());
  return {};
}

core::Status DiskSource::read_in_step(std::uint64_t offset, core::ByteSpan out) const {
  if (!connection_->in_step()) {
    IMPRINT_CHECK(back_in_step());
    return connection_->read_disk(disk_, offset, out);
  }
  auto done = connection_->read_disk(disk_, offset, out);
  if (done || !is_worth_clearing(done.error())) return done;
  if (auto back = back_in_step(); !back) {
    if (back.error().id() == "device.identity-changed") return back;
    return core::Failure(std::move(done).error()).with("recovery", back.error().message());
  }
  return connection_->read_disk(disk_, offset, out);
}

core::Status DiskSource::back_in_step() const {
  IMPRINT_TRY(const IdReply id, connection_->id());
  IMPRINT_TRY(const Identity who, connection_->identity(id));
  auto same = require_same(owner_, who);
  if (!same) connection_->release(same.error());  // nothing of another device's disk is taken for this one's
  return same;
}

}  // namespace imprint::devices::simple_io
