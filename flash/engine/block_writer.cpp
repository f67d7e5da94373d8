// SPDX-License-Identifier: GPL-3.0-or-later
// The order of the writes.
#include "flash/engine/block_writer.hpp"

#include <algorithm>

#include "flash/core/errors.hpp"

namespace imprint::engine {
namespace {

constexpr std::uint64_t kPiece = 1U << 20;
constexpr std::uint64_t kLargestSector = 4096;

class Writing {
 public:
  Writing(VerifiedImage& image, const ffu::DiskMap& map, core::BlockSink& disk, TransferObserver& observer,
          const std::stop_token& stop)
      : image_(image), map_(map), disk_(disk), observer_(observer), stop_(stop) {}

  core::Status run() {
    const std::uint64_t size = map_.disk_bytes();
    const std::uint64_t head = std::min(kTableBytes, size);
    const std::uint64_t tail = size - std::min(kTableBytes, size - head);
    IMPRINT_CHECK(wipe(0, head));
    IMPRINT_CHECK(wipe(tail, size));
    IMPRINT_CHECK(disk_.flush());
    IMPRINT_CHECK(write(head, tail));
    IMPRINT_CHECK(disk_.flush());
    // The backup table first, and last of all the sector by which the disk counts as whole.
    IMPRINT_CHECK(write(tail, size));
    IMPRINT_CHECK(disk_.flush());
    const std::uint64_t first = std::min(kLargestSector, head);
    IMPRINT_CHECK(write(first, head));
    IMPRINT_CHECK(disk_.flush());
    IMPRINT_CHECK(write(0, first));
    return disk_.flush();
  }

 private:
  core::Status wipe(std::uint64_t from, std::uint64_t to) {
    if (from == to) return {};
    if (stop_.stop_requested()) return core::fail("job.cancelled");
    return disk_.write_at(from, core::ByteBuffer(to - from));
  }

  core::Status write(std::uint64_t from, std::uint64_t to) {
    for (const ffu::MappedRun& run : map_.within(from, to - from)) {
      for (std::uint64_t at = 0; at < run.length;) {
        if (stop_.stop_requested()) return core::fail("job.cancelled");
        const std::uint64_t length = std::min(kPiece, run.length - at);
        buffer_.resize(length);
        IMPRINT_CHECK(image_.read_plain(run.plain_offset + at, buffer_));
        IMPRINT_CHECK(disk_.write_at(run.disk_offset + at, buffer_));
        at += length;
        done_ += length;
        observer_.on_bytes(done_);
      }
    }
    return {};
  }

  VerifiedImage& image_;
  const ffu::DiskMap& map_;
  core::BlockSink& disk_;
  TransferObserver& observer_;
  const std::stop_token& stop_;
  core::ByteBuffer buffer_;
  std::uint64_t done_ = 0;
};

}  // namespace

core::Status write_blocks(VerifiedImage& image, const ffu::DiskMap& map, core::BlockSink& disk,
                          TransferObserver& observer, const std::stop_token& stop) {
  return Writing(image, map, disk, observer, stop).run();
}

}  // namespace imprint::engine
