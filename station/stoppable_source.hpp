// SPDX-License-Identifier: GPL-3.0-or-later
// A device's disk that gives nothing more once the job is stopped: rules read in many places, and look at no token.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>

#include "flash/core/block_io.hpp"
#include "flash/core/errors.hpp"

namespace imprint::station {

// Thread-safe, as the disk is.
class StoppableSource final : public core::BlockSource {
 public:
  using OnRead = std::function<void(std::uint64_t)>;  // bytes that were read in all; one call at a time
  StoppableSource(std::shared_ptr<const core::BlockSource> disk, std::stop_token stop, OnRead on_read = {})
      : disk_(std::move(disk)), stop_(std::move(stop)), on_read_(std::move(on_read)) {}
  [[nodiscard]] std::uint64_t size() const override { return disk_->size(); }
  // `job.cancelled` besides.
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    if (stop_.stop_requested()) return core::fail("job.cancelled");
    IMPRINT_CHECK(disk_->read_at(offset, out));
    const std::scoped_lock lock(mutex_);
    read_ += out.size();
    if (on_read_) on_read_(read_);
    return {};
  }
  [[nodiscard]] core::Result<std::optional<core::Extent>> next_data(std::uint64_t from) const override {
    return disk_->next_data(from);
  }

 private:
  std::shared_ptr<const core::BlockSource> disk_;
  std::stop_token stop_;
  OnRead on_read_;
  mutable std::mutex mutex_;
  mutable std::uint64_t read_ = 0;
};

}  // namespace imprint::station
