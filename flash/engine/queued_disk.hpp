// SPDX-License-Identifier: GPL-3.0-or-later
// A disk with several reads and writes in flight, which is what keeps one busy. Buffers belong to the disk: they lie as
// its hardware wants them, there are few of them, and they outlive a request that the kernel does not give back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"

namespace imprint::engine {

enum class EraseWay : std::uint8_t { discard, secure_discard, zero };

// One thread at a time. After an error or a cancelled wait it may only be destroyed, also with requests in flight.
class QueuedDisk {
 public:
  static constexpr std::size_t kBufferBytes = 1U << 20;

  struct Request {
    enum class Way : std::uint8_t { read, write } way = Way::write;
    unsigned buffer = 0;       // its number; nobody touches it until the request is finished
    std::size_t from = 0;      // where in the buffer
    std::uint64_t offset = 0;  // on the disk; like `from` and `length` a multiple of the disk's sector
    std::size_t length = 0;    // from + length <= kBufferBytes
  };

  QueuedDisk() = default;
  QueuedDisk(const QueuedDisk&) = delete;
  QueuedDisk& operator=(const QueuedDisk&) = delete;
  virtual ~QueuedDisk() = default;

  [[nodiscard]] virtual std::uint64_t size() const = 0;              // bytes
  [[nodiscard]] virtual unsigned buffers() const = 0;                // how many; as many requests may be in flight
  [[nodiscard]] virtual core::ByteSpan buffer(unsigned number) = 0;  // kBufferBytes, at a multiple of 4096
  // `io.out-of-range`. What becomes of the request, finish() says.
  [[nodiscard]] virtual core::Status start(const Request& request) = 0;
  // Writes bytes that lie elsewhere, at multiples of 4096, as does each one's length: the request of a buffer's number,
  // but not of its bytes. The disk keeps `kept` until the request is done. False where it takes buffers alone.
  struct Gather {
    unsigned buffer = 0;
    std::uint64_t offset = 0;
    std::vector<core::ByteView> parts;  // one behind the other on the disk, together no more than kBufferBytes
    std::vector<std::shared_ptr<const void>> kept;
  };
  [[nodiscard]] virtual core::Result<bool> start_gather(Gather& /*gather*/) { return false; }
  // Waits until any request is done, and says whose buffer is free again. At least one is in flight. The failure of a
  // request, `device.timed-out` when one does not end by its deadline, `job.cancelled` soon after a stop request.
  [[nodiscard]] virtual core::Result<unsigned> finish(const std::stop_token& stop) = 0;
  // What was written is on stable storage; none is in flight. The errors of finish().
  [[nodiscard]] virtual core::Status flush(const std::stop_token& stop) = 0;
  // False where the disk knows no such command. None is in flight. Everybody can zero.
  [[nodiscard]] virtual core::Result<bool> erase(EraseWay way, core::Extent extent, const std::stop_token& stop) = 0;
  // What is worth a line in the record: ways of this disk that cannot be gone.
  [[nodiscard]] virtual std::vector<std::string> notes() const { return {}; }
};

// One call after the other over a sink and a source of the same disk, either of which may be missing (`io.out-of-range`
// for what would need it).
[[nodiscard]] std::unique_ptr<QueuedDisk> one_by_one(std::uint64_t size, std::unique_ptr<core::BlockSink> sink,
                                                     std::shared_ptr<const core::BlockSource> source);
// The same over what somebody else owns, and which outlives it.
[[nodiscard]] std::unique_ptr<QueuedDisk> one_by_one(std::uint64_t size, core::BlockSink* sink,
                                                     const core::BlockSource* source);

}  // namespace imprint::engine
