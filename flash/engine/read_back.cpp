// SPDX-License-Identifier: GPL-3.0-or-later
// The proof that a disk holds the image: several reads in flight, whole units hashed side by side.
#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <span>
#include <utility>

#include "flash/core/errors.hpp"
#include "flash/core/sha256_lanes.hpp"
#include "flash/engine/errors.hpp"
#include "flash/engine/flash_device.hpp"
#include "flash/ffu/hashed_unit.hpp"

namespace imprint::engine {
namespace {

constexpr std::uint64_t kPiece = QueuedDisk::kBufferBytes;
constexpr std::uint64_t kPage = 4096;  // where pieces begin and end, as far as they can

core::Failure mismatch(std::uint64_t disk_offset, std::uint64_t unit) {
  return fail("readback.mismatch").with("disk_offset", disk_offset).with("unit", unit);
}

// Bytes of the disk that are held against the image. Whole units are hashed side by side: with all slots at it, this is
// most of what the station computes.
class ReadBackCheck {
 public:
  ReadBackCheck(VerifiedImage& image, Starvation& waited) : image_(image), waited_(waited) {}

  // `bytes` are those of `run`; they are done with on return.
  core::Status check(const ffu::MappedRun& run, core::ByteView bytes) {
    for (std::uint64_t at = 0; at < run.length;) {
      const std::uint64_t plain_offset = run.plain_offset + at;
      const std::uint64_t index = ffu::unit_at_plain(image_.image(), plain_offset);
      const ffu::HashedUnit unit = ffu::hashed_unit(image_.image(), index);
      const std::uint64_t length = std::min(run.length - at, unit.plain.end() - plain_offset);
      const core::ByteView piece = bytes.subspan(at, length);
      // A last chunk that is shorter is hashed with zeros behind it, so it is compared like a part.
      if (length == unit.hashed_size) {
        whole_[count_++] = {run.disk_offset + at, index, piece};
        if (count_ == whole_.size()) IMPRINT_CHECK(check_whole());
      } else {
        IMPRINT_CHECK(check_whole());  // what lies before it on the disk is judged before it
        IMPRINT_CHECK(check_part(run.disk_offset + at, index, plain_offset, piece));
      }
      at += length;
    }
    return check_whole();
  }

 private:
  struct Whole {
    std::uint64_t disk_offset = 0;
    std::uint64_t unit = 0;
    core::ByteView bytes;
  };

  core::Status check_whole() {
    std::array<core::ByteView, core::Sha256Lanes::kMaxLanes> bytes;
    std::array<core::Sha256, core::Sha256Lanes::kMaxLanes> digests{};
    const std::size_t count = std::exchange(count_, 0);
    std::transform(whole_.begin(), whole_.begin() + static_cast<std::ptrdiff_t>(count), bytes.begin(),
                   [](const Whole& whole) { return whole.bytes; });
    core::sha256_many(std::span(bytes).first(count), std::span(digests).first(count));
    for (std::size_t i = 0; i < count; ++i) {
      if (!ffu::check_unit_digest(image_.image(), whole_[i].unit, digests[i]))
        return mismatch(whole_[i].disk_offset, whole_[i].unit);
    }
    return {};
  }

  core::Status check_part(std::uint64_t disk_offset, std::uint64_t unit, std::uint64_t plain_offset,
                          core::ByteView bytes) {
    core::ByteBuffer expected(bytes.size());
    IMPRINT_CHECK(image_.read_plain(plain_offset, expected, &waited_));
    if (!std::ranges::equal(expected, bytes)) return mismatch(disk_offset, unit);
    return {};
  }

  VerifiedImage& image_;
  Starvation& waited_;
  std::array<Whole, core::Sha256Lanes::kMaxLanes> whole_{};
  std::size_t count_ = 0;
};

// What is read at once, and what it is held against.
struct Piece {
  enum class Against : std::uint8_t { image, replacement, zeros } against = Against::image;
  core::Extent place;                        // on the disk
  std::uint64_t plain_offset = 0;            // of the image
  const Replacement* replacement = nullptr;  // else null
};

// The pieces of a plan: what the image says, without what is replaced; the replacements; what has to be zeros.
class Walk {
 public:
  Walk(const ffu::Image& image, const WritePlan& plan, bool with_zeros)
      : image_(image), plan_(plan), with_zeros_(with_zeros) {}

  [[nodiscard]] std::optional<Piece> next() {
    while (run_ < plan_.map().runs().size()) {
      if (auto piece = next_of_run(plan_.map().runs()[run_])) return piece;
      ++run_;
      at_ = 0;
    }
    while (replacement_ < plan_.replacements().size()) {
      const Replacement& one = plan_.replacements()[replacement_];
      if (auto place = cut({one.disk_offset, one.bytes.size()}))
        return Piece{Piece::Against::replacement, *place, 0, &one};
      ++replacement_;
      at_ = 0;
    }
    while (with_zeros_ && zeros_ < plan_.left_out().size()) {
      if (auto place = cut(plan_.left_out()[zeros_])) return Piece{Piece::Against::zeros, *place, 0, nullptr};
      ++zeros_;
      at_ = 0;
    }
    return std::nullopt;
  }

 private:
  std::optional<core::Extent> cut(core::Extent whole) {
    if (at_ == whole.length) return std::nullopt;
    const std::uint64_t start = whole.offset + at_;
    const std::uint64_t length = std::min(whole.end(), (start / kPiece + 1) * kPiece) - start;
    at_ += length;
    return core::Extent{start, length};
  }

  std::optional<Piece> next_of_run(const ffu::MappedRun& run) {
    std::uint64_t end = run.disk_end();
    for (const Replacement& one : plan_.replacements()) {
      const std::uint64_t start = run.disk_offset + at_;
      if (one.end() <= start) continue;
      if (one.disk_offset > start) {
        end = std::min(end, one.disk_offset);
        break;
      }
      at_ = std::min(run.length, one.end() - run.disk_offset);
    }
    if (at_ == run.length) return std::nullopt;
    const std::uint64_t start = run.disk_offset + at_;
    const std::uint64_t plain = run.plain_offset + at_;
    const std::uint64_t length = piece_length(start, plain, end - start);
    at_ += length;
    return Piece{Piece::Against::image, {start, length}, plain, nullptr};
  }

  // Pieces end with a unit where they can, so that most units are hashed whole.
  [[nodiscard]] std::uint64_t piece_length(std::uint64_t start, std::uint64_t plain, std::uint64_t rest) const {
    if (rest <= kPiece) return rest;
    const std::uint64_t end = ffu::hashed_unit(image_, ffu::unit_at_plain(image_, plain + kPiece)).plain.offset;
    if (end > plain && (start + (end - plain)) % kPage == 0) return end - plain;
    return (start + kPiece) / kPage * kPage - start;
  }

  const ffu::Image& image_;
  const WritePlan& plan_;
  bool with_zeros_;
  std::size_t run_ = 0;
  std::size_t replacement_ = 0;
  std::size_t zeros_ = 0;
  std::uint64_t at_ = 0;  // within the present one of these
};

class Reading {
 public:
  Reading(VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy, QueuedDisk& disk,
          const ReadProgress& progress, PhaseMeter& meter, const std::stop_token& stop)
      : walk_(image.image(), plan, policy.erasure == Erasure::verified),
        check_(image, waited_),
        disk_(disk),
        progress_(progress),
        meter_(meter),
        stop_(stop),
        due_(read_back_due(plan, policy)),
        is_there_(disk.buffers()) {}

  core::Status run() {
    if (due_ == 0) return fail("image.describes-nothing");  // nothing read back proves nothing
    meter_.set_due(due_);
    auto done = all_pieces();
    meter_.add(waited_);
    return done;
  }

 private:
  struct Read {
    Piece piece;
    unsigned buffer = 0;
  };

  core::Status all_pieces() {
    std::vector<unsigned> free;
    for (unsigned i = disk_.buffers(); i-- > 0;) free.push_back(i);
    std::uint64_t done = 0;
    for (;;) {
      if (stop_.stop_requested()) return core::fail("job.cancelled");
      IMPRINT_CHECK(start_reads(free));
      if (reads_.empty()) return {};
      const Read read = reads_.front();
      IMPRINT_CHECK(wait_for(read.buffer));
      reads_.pop_front();
      IMPRINT_CHECK(judge(read.piece, disk_.buffer(read.buffer).first(read.piece.place.length)));
      free.push_back(read.buffer);
      done += read.piece.place.length;
      meter_.set_done(done);
      meter_.add(std::exchange(waited_, {}));
      if (progress_) progress_(done, due_);
    }
  }

  core::Status start_reads(std::vector<unsigned>& free) {
    while (!free.empty()) {
      auto piece = walk_.next();
      if (!piece) return {};
      const unsigned buffer = free.back();
      free.pop_back();
      is_there_[buffer] = false;
      const Waiting waiting(waited_.device);
      IMPRINT_CHECK(disk_.start({QueuedDisk::Request::Way::read, buffer, 0, piece->place.offset, piece->place.length}));
      reads_.push_back({*piece, buffer});
    }
    return {};
  }

  core::Status wait_for(unsigned buffer) {
    const Waiting waiting(waited_.device);
    while (!is_there_[buffer]) {
      IMPRINT_TRY(const unsigned there, disk_.finish(stop_));
      is_there_[there] = true;
    }
    return {};
  }

  core::Status judge(const Piece& piece, core::ByteView bytes) {
    switch (piece.against) {
      case Piece::Against::image:
        return check_.check({piece.place.offset, piece.place.length, piece.plain_offset}, bytes);
      case Piece::Against::replacement: {
        const auto expected = core::ByteView(piece.replacement->bytes)
                                  .subspan(piece.place.offset - piece.replacement->disk_offset, piece.place.length);
        if (std::ranges::equal(expected, bytes)) return {};
        return fail("readback.mismatch", "the table that was fitted to the disk")
            .with("disk_offset", piece.place.offset);
      }
      case Piece::Against::zeros:
        if (core::is_zero(bytes)) return {};
        return fail("erase.not-zero").with("disk_offset", piece.place.offset);
    }
    return {};
  }

  Starvation waited_;  // not counted yet
  Walk walk_;
  ReadBackCheck check_;
  QueuedDisk& disk_;
  const ReadProgress& progress_;
  PhaseMeter& meter_;
  const std::stop_token& stop_;
  std::uint64_t due_;
  std::vector<bool> is_there_;  // by buffer: its read is done
  std::deque<Read> reads_;      // in the order in which they are judged
};

}  // namespace

std::uint64_t read_back_due(const WritePlan& plan, const FlashPolicy& policy) {
  return plan.described_bytes() + (policy.erasure == Erasure::verified ? plan.left_out_bytes() : 0);
}

core::Status read_back(VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy, QueuedDisk& disk,
                       const ReadProgress& progress, PhaseMeter& meter, const std::stop_token& stop) {
  return Reading(image, plan, policy, disk, progress, meter, stop).run();
}

core::Status read_back(VerifiedImage& image, const core::BlockSource& disk, const ReadProgress& progress,
                       std::stop_token stop) {
  IMPRINT_TRY(auto map, ffu::DiskMap::build(image.image().stores.at(0), disk.size()));
  const WritePlan plan(std::move(map), {}, {});
  const auto queue = one_by_one(disk.size(), nullptr, &disk);
  PhaseMeter meter;
  return read_back(image, plan, {}, *queue, progress, meter, stop);
}

}  // namespace imprint::engine
