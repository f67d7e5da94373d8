// SPDX-License-Identifier: GPL-3.0-or-later
// A device's disk that gives nothing more once the job is stopped: rules read in many places, and look at no token.
#pragma once

#include <memory>
#include <stop_token>
#include <utility>

#include "flash/core/block_io.hpp"
#include "flash/core/errors.hpp"

namespace imprint::station {

// Thread-safe, as the disk is.
class StoppableSource final : public core::BlockSource {
 public:
  StoppableSource(std::shared_ptr<const core::BlockSource> disk, std::stop_token stop)
      : disk_(std::move(disk)), stop_(std::move(stop)) {}
  [[nodiscard]] std::uint64_t size() const override { return disk_->size(); }
  // `job.cancelled` besides.
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    if (stop_.stop_requested()) return core::fail("job.cancelled");
    return disk_->read_at(offset, out);
  }
  [[nodiscard]] core::Result<std::optional<core::Extent>> next_data(std::uint64_t from) const override {
    return disk_->next_data(from);
  }

 private:
  std::shared_ptr<const core::BlockSource> disk_;
  std::stop_token stop_;
};

}  // namespace imprint::station
