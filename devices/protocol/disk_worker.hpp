// SPDX-License-Identifier: GPL-3.0-or-later
// The thread of one disk. Whoever waits too long leaves; the thread, and with it the disk and the memory that the
// kernel still uses, ends when the kernel lets it. Private to this folder.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "devices/protocol/direct_disk.hpp"
#include "devices/protocol/disk_file.hpp"
#include "devices/protocol/disk_ring.hpp"
#include "flash/core/result.hpp"

namespace imprint::devices {

// Memory for transfers.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size);
  [[nodiscard]] core::ByteSpan span() const { return {bytes_.get(), size_}; }

 private:
  struct Delete {
    void operator()(std::uint8_t* bytes) const;
  };
  std::unique_ptr<std::uint8_t[], Delete> bytes_;
  std::size_t size_;
};

// Thread-safe. Shared by the DirectDisk, its queues and the thread.
class DiskWorker {
 public:
  enum class Kind : std::uint8_t { open, open_ring, read, write, flush, eject, erase };
  struct Job {
    Kind kind = Kind::flush;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    core::ByteSpan bytes{};                      // of a transfer
    bool is_queued = false;                      // one of several in flight
    std::shared_ptr<const AlignedBytes> kept{};  // what `bytes` lie in: one of many in flight; else null
    std::vector<core::ByteView> parts{};         // written one behind the other instead, by the ring alone
    std::vector<std::shared_ptr<const void>> parts_kept{};
    engine::EraseWay way = engine::EraseWay::zero;
    std::chrono::steady_clock::time_point started{};
    // With the worker's lock:
    std::size_t moved = 0;
    bool is_finished = false;
    int error = 0;
  };
  using JobRef = std::shared_ptr<Job>;
  static constexpr unsigned kDepth = DirectDisk::kQueueBuffers;

  explicit DiskWorker(DirectDiskSetup setup);
  // The thread's life.
  void run();
  // True when the disk was closed in time, and the thread is at its end.
  [[nodiscard]] bool stop();

  [[nodiscard]] const DirectDiskSetup& setup() const { return setup_; }

  // One at a time; these wait. What is done with the memory that they share is done with their lock held.
  [[nodiscard]] core::Status open();
  [[nodiscard]] core::Status read(std::uint64_t start, std::uint64_t stop, std::uint64_t from, core::ByteSpan out);
  [[nodiscard]] core::Status write(std::uint64_t offset, core::ByteView data);
  [[nodiscard]] core::Status flush(const std::stop_token& stop);
  [[nodiscard]] core::Status eject();
  // False: not supported.
  [[nodiscard]] core::Result<bool> erase(engine::EraseWay way, core::Extent extent, const std::stop_token& stop);
  [[nodiscard]] core::Status zero_by_writing(core::Extent extent, const std::stop_token& stop);
  // Opens the ring where there is none yet, and can be one.
  [[nodiscard]] core::Status prepare_queue(const std::stop_token& stop);
  // What there is to say of how the disk is used.
  [[nodiscard]] std::vector<std::string> notes() const;

  // Several at a time.
  void begin(const JobRef& job);
  // Waits for one of `jobs` (null ones are not there): its number.
  [[nodiscard]] core::Result<unsigned> wait_for_any(const std::vector<JobRef>& jobs, const std::stop_token& stop);
  // Does a ring take what lies anywhere?
  [[nodiscard]] bool can_gather() const;
  // Those that were not started yet never are.
  void drop(const std::vector<JobRef>& jobs);

 private:
  [[nodiscard]] core::Failure timed_out(Kind kind) const;
  [[nodiscard]] core::Result<int> call(Job job, const std::stop_token& stop);
  [[nodiscard]] core::Status done(Job job, const std::stop_token& stop);
  [[nodiscard]] core::Status outcome(int error, std::uint64_t offset) const;
  void push(const JobRef& job);
  // On the thread:
  [[nodiscard]] int work(Job& job);
  [[nodiscard]] int open_file();
  [[nodiscard]] int open_ring();
  [[nodiscard]] int move(Job& job);
  [[nodiscard]] int move_parts(Job& job);
  void take_up(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool start_in_ring(const JobRef& job);
  void wait_in_ring(std::unique_lock<std::mutex>& lock);
  void settle(const DiskRing::Done& done, std::unique_lock<std::mutex>& lock);
  void finish(Job& job, int error);

  const DirectDiskSetup setup_;
  const AlignedBytes buffer_;       // the thread's while a call is pending, else the caller's
  std::unique_ptr<DiskFile> file_;  // the thread's
  std::unique_ptr<DiskRing> ring_;  // the thread's; gone before the file is; wake() with the lock
  std::vector<JobRef> in_ring_;     // the thread's; by their ids
  DiskFile::Identity opened_;
  std::mutex callers_;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable_any changed_;
  std::deque<JobRef> todo_;
  unsigned in_flight_ = 0;
  bool is_in_ring_ = false;  // the thread waits there
  int ring_error_ = 0;       // why there is no ring, or it is not used any more
  bool is_direct_ = true;
  bool given_up_ = false;        // a call did not end by its deadline: the disk is not used any more
  bool buffer_is_lost_ = false;  // whoever waited for a call left, and the call may still use the buffer
  bool was_left_ = false;        // somebody left without an answer
  bool stopping_ = false;
  bool closed_ = false;
};

}  // namespace imprint::devices
