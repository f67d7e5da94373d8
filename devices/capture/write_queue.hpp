// SPDX-License-Identifier: GPL-3.0-or-later
// What is written to a file by a thread of its own, so that nobody who has something to say waits for a disk.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <thread>

#include "flash/core/bytes.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/result.hpp"

namespace imprint::capture {

// Thread-safe.
class WriteQueue {
 public:
  // Called by the queue's thread alone, in the order of the pushes; not again once it failed.
  using Write = std::function<core::Status(core::ByteView)>;
  // `most_bytes`: that wait to be written. `io.out-of-memory` where there is no thread.
  [[nodiscard]] static core::Result<std::unique_ptr<WriteQueue>> start(Write write, std::size_t most_bytes);
  // Waits for what was pushed, as settle() does. A write that hangs is left to the kernel, with all that it needs.
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // The pieces as one. Never waits for the disk: `capture.disk-too-slow` where too much is waiting already, and the
  // error of the write that failed; nothing is taken from then on.
  [[nodiscard]] core::Status push(std::initializer_list<core::ByteView> pieces);
  // Good when everything that was pushed is written. `capture.disk-too-slow` at the deadline, or the write's error.
  [[nodiscard]] core::Status settle(core::Deadline deadline);

 private:
  struct Shared;
  explicit WriteQueue(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace imprint::capture
