// SPDX-License-Identifier: GPL-3.0-or-later
// The order of the writes, and what is in flight.
#include "flash/engine/block_writer.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "flash/core/errors.hpp"
#include "flash/engine/errors.hpp"

namespace imprint::engine {
namespace {

constexpr std::uint64_t kLargestSector = 4096;
constexpr std::uint64_t kPage = 4096;            // what differs is written in steps of it
constexpr std::size_t kPiecesAhead = 8;          // that the image is told of before they are due
constexpr std::uint64_t kEraseStep = 64U << 20;  // so that a stop request is heard in between

class Writing {
 public:
  Writing(VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy, QueuedDisk& disk,
          TransferObserver& observer, PhaseMeter& meter, const std::stop_token& stop, WriteOutcome& outcome)
      : image_(image),
        plan_(plan),
        policy_(policy),
        disk_(disk),
        observer_(observer),
        meter_(meter),
        stop_(stop),
        outcome_(outcome),
        slots_(disk.buffers()) {}

  core::Status run() {
    auto done = all_steps();
    count_waits();
    return done;
  }

 private:
  struct Slot {
    core::Extent piece;
    bool is_being_read = false;  // first, to see whether it differs
  };

  core::Status all_steps() {
    const core::Extent head = plan_.head();
    IMPRINT_CHECK(wipe(head));
    IMPRINT_CHECK(wipe(plan_.tail()));
    IMPRINT_CHECK(flush());
    if (policy_.erasure != Erasure::none) IMPRINT_CHECK(part(WritePart::Kind::erase, [this] { return erase(); }));
    IMPRINT_CHECK(transfer(plan_.body_pieces()));
    IMPRINT_CHECK(flush());
    if (plan_.replacements().empty()) return write_tables();
    return part(WritePart::Kind::gpt_refit, [this] { return write_tables(); });
  }

  core::Status write_tables() {
    const core::Extent head = plan_.head();
    // The backup table first, and last of all the sector by which the disk counts as whole.
    IMPRINT_CHECK(transfer(plan_.pieces(plan_.tail())));
    IMPRINT_CHECK(flush());
    const std::uint64_t first = std::min(kLargestSector, head.length);
    IMPRINT_CHECK(transfer(plan_.pieces({first, head.length - first})));
    IMPRINT_CHECK(flush());
    IMPRINT_CHECK(transfer(plan_.pieces({0, first})));
    return flush();
  }

  template <class Work>
  core::Status part(WritePart::Kind kind, const Work& work) {
    WritePart row{.kind = kind, .began = std::chrono::steady_clock::now()};
    core::Status done = work();
    row.took = std::chrono::steady_clock::now() - row.began;
    if (kind == WritePart::Kind::erase) row.bytes = outcome_.erased;
    if (kind == WritePart::Kind::gpt_refit) row.bytes = replaced_bytes();
    if (!done) row.error = done.error();
    outcome_.parts.push_back(std::move(row));
    return done;
  }

  [[nodiscard]] std::uint64_t replaced_bytes() const {
    std::uint64_t sum = 0;
    for (const Replacement& one : plan_.replacements()) sum += one.bytes.size();
    return sum;
  }

  core::Status wipe(core::Extent place) {
    if (place.length == 0) return {};
    std::ranges::fill(disk_.buffer(0).first(place.length), std::uint8_t{0});
    IMPRINT_CHECK(start(QueuedDisk::Request::Way::write, 0, 0, place));
    IMPRINT_TRY([[maybe_unused]] const unsigned buffer, finish());
    return {};
  }

  core::Status erase() {
    if (policy_.erasure == Erasure::none) return {};
    const bool is_zeroed = policy_.erasure == Erasure::zero || policy_.erasure == Erasure::verified;
    const EraseWay way = is_zeroed                                    ? EraseWay::zero
                         : policy_.erasure == Erasure::secure_discard ? EraseWay::secure_discard
                                                                      : EraseWay::discard;
    for (const core::Extent& place : plan_.left_out()) {
      for (std::uint64_t at = 0; at < place.length; at += kEraseStep) {
        if (stop_.stop_requested()) return core::fail("job.cancelled");
        const core::Extent step{place.offset + at, std::min(kEraseStep, place.length - at)};
        IMPRINT_TRY(const bool is_done, erase_step(way, step));
        if (!is_done && policy_.erasure == Erasure::discard) {
          outcome_.notes.emplace_back("nothing was erased: the disk cannot discard");
          return {};
        }
        if (!is_done) return fail("device.erase-unsupported", std::string(to_string(policy_.erasure)));
        outcome_.erased += step.length;
        count_waits();
        if (is_zeroed) add_done(step.length);
      }
    }
    return {};
  }

  core::Result<bool> erase_step(EraseWay way, core::Extent step) {
    const Waiting waiting(waited_.device);
    return disk_.erase(way, step, stop_);
  }

  core::Status transfer(const std::vector<core::Extent>& pieces) {
    std::vector<unsigned> free;
    for (unsigned i = disk_.buffers(); i-- > 0;) free.push_back(i);
    std::size_t next = 0;
    std::size_t told = 0;
    while (next < pieces.size() || free.size() < slots_.size()) {
      if (stop_.stop_requested()) return core::fail("job.cancelled");
      if (next < pieces.size() && !free.empty()) {
        for (; told < pieces.size() && told < next + kPiecesAhead; ++told) plan_.expect(image_, pieces[told]);
        const unsigned buffer = std::exchange(free.back(), 0);
        free.pop_back();
        slots_[buffer].piece = pieces[next++];
        IMPRINT_CHECK(begin(buffer));
        continue;
      }
      IMPRINT_TRY(const unsigned buffer, finish());
      IMPRINT_TRY(const bool is_settled, settle(buffer));
      if (is_settled) free.push_back(buffer);
      count_waits();
    }
    return {};
  }

  core::Status begin(unsigned buffer) {
    Slot& slot = slots_[buffer];
    if (policy_.write_mode == WriteMode::differing) {
      slot.is_being_read = true;
      return start(QueuedDisk::Request::Way::read, buffer, 0, slot.piece);
    }
    QueuedDisk::Gather gather{buffer, slot.piece.offset, {}, {}};
    IMPRINT_TRY(const bool lies_ready, plan_.gather(image_, slot.piece, gather.parts, gather.kept, waited_));
    if (lies_ready) {
      const Waiting waiting(waited_.device);
      IMPRINT_TRY(const bool is_started, disk_.start_gather(gather));
      if (is_started) {
        outcome_.written += slot.piece.length;
        return {};
      }
    }
    IMPRINT_CHECK(plan_.fill(image_, slot.piece, disk_.buffer(buffer).first(slot.piece.length), waited_));
    return start(QueuedDisk::Request::Way::write, buffer, 0, slot.piece);
  }

  // False: what was read differs, and is being written now.
  core::Result<bool> settle(unsigned buffer) {
    Slot& slot = slots_[buffer];
    if (!std::exchange(slot.is_being_read, false)) {
      add_done(slot.piece.length);
      return true;
    }
    const core::ByteSpan held = disk_.buffer(buffer).first(slot.piece.length);
    due_.resize(slot.piece.length);
    IMPRINT_CHECK(plan_.fill(image_, slot.piece, due_, waited_));
    const auto first = std::ranges::mismatch(held, due_).in1;
    if (first == held.end()) {
      outcome_.skipped += slot.piece.length;
      add_done(slot.piece.length);
      return true;
    }
    // From the first page that differs to the last.
    std::size_t end = slot.piece.length;
    while (held[end - 1] == due_[end - 1]) --end;
    const std::size_t from = static_cast<std::size_t>(first - held.begin()) / kPage * kPage;
    const std::size_t to = std::min<std::size_t>(core::round_up(end, kPage), slot.piece.length);
    std::copy(due_.begin() + static_cast<std::ptrdiff_t>(from), due_.begin() + static_cast<std::ptrdiff_t>(to),
              held.begin() + static_cast<std::ptrdiff_t>(from));
    outcome_.skipped += slot.piece.length - (to - from);
    IMPRINT_CHECK(start(QueuedDisk::Request::Way::write, buffer, from, {slot.piece.offset + from, to - from}));
    return false;
  }

  core::Status start(QueuedDisk::Request::Way way, unsigned buffer, std::size_t from, core::Extent place) {
    if (way == QueuedDisk::Request::Way::write) outcome_.written += place.length;
    const Waiting waiting(waited_.device);
    return disk_.start({way, buffer, from, place.offset, place.length});
  }

  core::Result<unsigned> finish() {
    const Waiting waiting(waited_.device);
    return disk_.finish(stop_);
  }

  core::Status flush() {
    const Waiting waiting(waited_.device);
    return disk_.flush(stop_);
  }

  void add_done(std::uint64_t bytes) {
    done_ += bytes;
    meter_.set_done(done_);
    observer_.on_bytes(done_);
  }

  void count_waits() { meter_.add(std::exchange(waited_, {})); }

  VerifiedImage& image_;
  const WritePlan& plan_;
  const FlashPolicy& policy_;
  QueuedDisk& disk_;
  TransferObserver& observer_;
  PhaseMeter& meter_;
  const std::stop_token& stop_;
  WriteOutcome& outcome_;
  std::vector<Slot> slots_;  // by buffer
  core::ByteBuffer due_;     // of a piece that was read first
  std::uint64_t done_ = 0;
  Starvation waited_;  // not counted yet
};

}  // namespace

core::Status write_blocks(VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy, QueuedDisk& disk,
                          TransferObserver& observer, PhaseMeter& meter, const std::stop_token& stop,
                          WriteOutcome& outcome) {
  return Writing(image, plan, policy, disk, observer, meter, stop, outcome).run();
}

}  // namespace imprint::engine
