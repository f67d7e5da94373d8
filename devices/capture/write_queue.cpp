// SPDX-License-Identifier: GPL-3.0-or-later
// A deque and a thread.
#include "devices/capture/write_queue.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>

#include "devices/capture/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::capture {
namespace {

constexpr std::chrono::seconds kEndLimit{10};

}  // namespace

struct WriteQueue::Shared {
  Write write;
  std::size_t most_bytes = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<core::ByteBuffer> waiting;
  std::size_t bytes = 0;  // of those, and of the one that is being written
  std::optional<core::Error> error;
  bool ending = false;
  bool ended = false;

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return !waiting.empty() || ending; });
      if (waiting.empty()) break;
      const core::ByteBuffer next = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      auto done = write(next);
      lock.lock();
      bytes -= next.size();
      if (!done) refuse(std::move(done).error());
      changed.notify_all();
    }
    write = nullptr;  // with what it holds, by this thread: closing a file may take its time, too
    ended = true;
    changed.notify_all();
  }

  // With the lock held. What is taken before the first error is all that there will ever be.
  void refuse(core::Error why) {
    if (!error) error = std::move(why);
    for (const auto& one : waiting) bytes -= one.size();
    waiting.clear();
  }
};

core::Result<std::unique_ptr<WriteQueue>> WriteQueue::start(Write write, std::size_t most_bytes) {
  auto shared = std::make_shared<Shared>();
  shared->write = std::move(write);
  shared->most_bytes = most_bytes;
  try {
    return std::unique_ptr<WriteQueue>(new WriteQueue(std::move(shared)));
  } catch (const std::system_error&) {
    return core::fail("io.out-of-memory", "no thread for the recording");
  }
}

WriteQueue::WriteQueue(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)), thread_([shared = shared_] { shared->run(); }) {}

WriteQueue::~WriteQueue() {
  std::unique_lock lock(shared_->mutex);
  shared_->ending = true;
  shared_->changed.notify_all();
  const bool ended = shared_->changed.wait_for(lock, kEndLimit, [this] { return shared_->ended; });
  lock.unlock();
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

core::Status WriteQueue::push(std::initializer_list<core::ByteView> pieces) {
  core::ByteBuffer joined;
  std::size_t size = 0;
  for (const core::ByteView piece : pieces) size += piece.size();
  joined.reserve(size);
  for (const core::ByteView piece : pieces) joined.insert(joined.end(), piece.begin(), piece.end());
  const std::scoped_lock lock(shared_->mutex);
  if (shared_->error) return core::Failure(*shared_->error);
  if (shared_->bytes + size > shared_->most_bytes) {
    // What waits is still written; only nothing follows it.
    shared_->error = fail("capture.disk-too-slow").with("waiting_bytes", shared_->bytes).error();
    return core::Failure(*shared_->error);
  }
  shared_->bytes += size;
  shared_->waiting.push_back(std::move(joined));
  shared_->changed.notify_all();
  return {};
}

core::Status WriteQueue::settle(core::Deadline deadline) {
  std::unique_lock lock(shared_->mutex);
  const bool done = shared_->changed.wait_until(lock, deadline.at(), [this] { return shared_->bytes == 0; });
  if (shared_->error) return core::Failure(*shared_->error);
  if (done) return {};
  return fail("capture.disk-too-slow", "not all of the recording is written yet").with("waiting_bytes", shared_->bytes);
}

}  // namespace imprint::capture
