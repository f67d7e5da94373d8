// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs in, answers out: one after the other by the disk's file, or several in flight where it has a ring.
#include "devices/protocol/disk_worker.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices {
namespace {

constexpr std::size_t kAlignment = 4096;
constexpr std::chrono::seconds kCloseLimit{2};
// Whoever left did so because the disk hangs, or because nobody wants to wait.
constexpr std::chrono::milliseconds kCloseLimitWhenLeft{500};

std::string words(int error) { return std::generic_category().message(error); }

int errno_of(const std::expected<void, int>& done) { return done ? 0 : done.error(); }

bool means_gone(int error) { return error == ENODEV || error == ENXIO || error == ENOMEDIUM || error == ESHUTDOWN; }

core::Failure failed_to_open(int error, const std::string& node) {
  if (error == EBUSY) return fail("device.disk-in-use", words(error)).with("disk", node);
  if (error == EACCES || error == EPERM) return fail("device.permission", words(error)).with("disk", node);
  if (error == ENOENT || means_gone(error)) return fail("device.not-present", words(error)).with("disk", node);
  return core::fail_errno(error, "io.open-failed", node);
}

}  // namespace

AlignedBytes::AlignedBytes(std::size_t size)
    : bytes_(new(std::align_val_t{kAlignment}) std::uint8_t[size]), size_(size) {}

void AlignedBytes::Delete::operator()(std::uint8_t* bytes) const {
  ::operator delete[](bytes, std::align_val_t{kAlignment});
}

DiskWorker::DiskWorker(DirectDiskSetup setup)
    : setup_(std::move(setup)), buffer_(DirectDisk::kBufferBytes), in_ring_(kDepth) {}

void DiskWorker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (in_flight_ == 0) changed_.wait(lock, [&] { return !todo_.empty() || stopping_; });
    if (stopping_) {
      for (const JobRef& job : std::exchange(todo_, {})) finish(*job, ECANCELED);
      if (in_flight_ == 0) break;
    }
    take_up(lock);
    if (in_flight_ > 0) wait_in_ring(lock);
  }
  auto ring = std::move(ring_);
  lock.unlock();
  ring.reset();
  file_.reset();
  lock.lock();
  closed_ = true;
  changed_.notify_all();
}

void DiskWorker::take_up(std::unique_lock<std::mutex>& lock) {
  while (!todo_.empty()) {
    const JobRef job = std::move(todo_.front());
    todo_.pop_front();
    const bool goes_into_ring = ring_ && ring_error_ == 0 && job->is_queued;
    lock.unlock();
    int error = 0;
    const bool is_started = goes_into_ring && start_in_ring(job);
    if (!is_started) {
      try {
        error = work(*job);
      } catch (const std::bad_alloc&) {
        error = ENOMEM;  // one disk's, and not the end of the program
      }
    }
    lock.lock();
    if (is_started) {
      ++in_flight_;
    } else {
      finish(*job, error);
    }
  }
}

bool DiskWorker::start_in_ring(const JobRef& job) {
  const auto place = std::ranges::find(in_ring_, nullptr);
  if (place == in_ring_.end()) return false;
  const auto id = static_cast<unsigned>(place - in_ring_.begin());
  if (!ring_->start({job->kind == Kind::read, id, job->offset, job->bytes, job->parts})) return false;
  *place = job;
  return true;
}

void DiskWorker::wait_in_ring(std::unique_lock<std::mutex>& lock) {
  is_in_ring_ = true;
  lock.unlock();
  const auto done = ring_->wait();
  lock.lock();
  is_in_ring_ = false;
  if (done) {
    if (*done) settle(**done, lock);
    return;
  }
  // The kernel does not answer for what is in flight any more. Nothing may use that memory again.
  for (JobRef& job : in_ring_) {
    if (!job) continue;
    static_cast<void>(new JobRef(std::make_shared<Job>(*job)));  // with its memory: never freed
    finish(*job, done.error());
    job.reset();
    --in_flight_;
  }
}

void DiskWorker::settle(const DiskRing::Done& done, std::unique_lock<std::mutex>& lock) {
  const JobRef job = std::move(in_ring_[done.id]);
  --in_flight_;
  int error = done.moved ? 0 : done.moved.error();
  if (done.moved && *done.moved == 0) error = ENXIO;  // a disk that became shorter is not the one that was there
  const bool is_refused = error == EINVAL || error == EOPNOTSUPP;
  if (is_refused && ring_error_ == 0) ring_error_ = error;
  if (error != 0 && error != EINTR && error != EAGAIN && !is_refused) {
    finish(*job, error);
    return;
  }
  if (done.moved) job->moved += *done.moved;
  if (job->moved == job->length) {
    finish(*job, 0);
    return;
  }
  // The rest, the old way.
  lock.unlock();
  error = move(*job);
  lock.lock();
  finish(*job, error);
}

void DiskWorker::finish(Job& job, int error) {
  job.parts_kept.clear();
  job.error = error;
  job.is_finished = true;
  changed_.notify_all();
}

bool DiskWorker::stop() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  if (is_in_ring_) ring_->wake();
  changed_.notify_all();
  const std::chrono::milliseconds limit = was_left_ ? kCloseLimitWhenLeft : kCloseLimit;
  return changed_.wait_for(lock, limit, [&] { return closed_; });
}

void DiskWorker::push(const JobRef& job) {
  job->started = std::chrono::steady_clock::now();
  todo_.push_back(job);
  if (is_in_ring_) ring_->wake();
  changed_.notify_all();
}

void DiskWorker::begin(const JobRef& job) {
  const std::scoped_lock lock(mutex_);
  push(job);
}

bool DiskWorker::can_gather() const {
  const std::scoped_lock lock(mutex_);
  return ring_ && ring_error_ == 0;
}

void DiskWorker::drop(const std::vector<JobRef>& jobs) {
  const std::scoped_lock lock(mutex_);
  for (const JobRef& job : jobs) {
    if (job && !job->is_finished) was_left_ = true;
    std::erase(todo_, job);
  }
}

core::Result<unsigned> DiskWorker::wait_for_any(const std::vector<JobRef>& jobs, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  auto oldest = std::chrono::steady_clock::time_point::max();
  Kind kind = Kind::read;
  for (const JobRef& job : jobs) {
    if (!job || job->started > oldest) continue;
    oldest = job->started;
    kind = job->kind;
  }
  if (given_up_) return timed_out(kind);
  const auto find = [&] {
    return std::ranges::find_if(jobs, [](const JobRef& job) { return job && job->is_finished; });
  };
  if (!changed_.wait_until(lock, stop, oldest + setup_.limit, [&] { return find() != jobs.end(); })) {
    was_left_ = true;
    if (stop.stop_requested()) return core::fail("job.cancelled");
    given_up_ = true;
    return timed_out(kind);
  }
  const auto found = find();
  const int error = (*found)->error;
  const std::uint64_t offset = (*found)->offset;
  lock.unlock();
  IMPRINT_CHECK(outcome(error, offset));
  return static_cast<unsigned>(found - jobs.begin());
}

core::Status DiskWorker::open() {
  const std::scoped_lock one_at_a_time(callers_);
  IMPRINT_TRY(const int error, call({.kind = Kind::open}, setup_.stop));
  if (error != 0) return failed_to_open(error, setup_.node.native());
  if (opened_ != setup_.identity) {
    return fail("device.disk-changed")
        .with("disk", setup_.node.native())
        .with("expected", setup_.identity.number)
        .with("actual", opened_.number);
  }
  return {};
}

// Whole pages around [from, from + out.size()), of which `out` is filled.
core::Status DiskWorker::read(std::uint64_t start, std::uint64_t stop, std::uint64_t from, core::ByteSpan out) {
  const std::scoped_lock one_at_a_time(callers_);
  const auto length = stop - start;
  IMPRINT_CHECK(done({.kind = Kind::read, .offset = start, .length = length, .bytes = buffer_.span().first(length)},
                     setup_.stop));
  std::copy_n(buffer_.span().begin() + static_cast<std::ptrdiff_t>(from - start), out.size(), out.begin());
  return {};
}

core::Status DiskWorker::write(std::uint64_t offset, core::ByteView data) {
  const std::scoped_lock one_at_a_time(callers_);
  {
    const std::scoped_lock lock(mutex_);
    if (given_up_ || buffer_is_lost_) return timed_out(Kind::write);
  }
  std::ranges::copy(data, buffer_.span().begin());
  return done(
      {.kind = Kind::write, .offset = offset, .length = data.size(), .bytes = buffer_.span().first(data.size())},
      setup_.stop);
}

core::Status DiskWorker::flush(const std::stop_token& stop) {
  const std::scoped_lock one_at_a_time(callers_);
  return done({.kind = Kind::flush}, stop);
}

core::Status DiskWorker::eject() {
  const std::scoped_lock one_at_a_time(callers_);
  IMPRINT_TRY(const int error, call({.kind = Kind::eject}, setup_.stop));
  if (error == 0) return {};
  return fail("device.unsupported-command", words(error)).with("during", "ejecting the disk");
}

core::Result<bool> DiskWorker::erase(engine::EraseWay way, core::Extent extent, const std::stop_token& stop) {
  const std::scoped_lock one_at_a_time(callers_);
  IMPRINT_TRY(const int error,
              call({.kind = Kind::erase, .offset = extent.offset, .length = extent.length, .way = way}, stop));
  if (error == EOPNOTSUPP) return false;
  IMPRINT_CHECK(outcome(error, extent.offset));
  return true;
}

core::Status DiskWorker::zero_by_writing(core::Extent extent, const std::stop_token& stop) {
  const std::scoped_lock one_at_a_time(callers_);
  {
    const std::scoped_lock lock(mutex_);
    if (given_up_ || buffer_is_lost_) return timed_out(Kind::erase);
  }
  std::ranges::fill(buffer_.span(), std::uint8_t{0});
  for (std::uint64_t at = 0; at < extent.length;) {
    const auto length = std::min<std::uint64_t>(buffer_.span().size(), extent.length - at);
    IMPRINT_CHECK(done(
        {.kind = Kind::write, .offset = extent.offset + at, .length = length, .bytes = buffer_.span().first(length)},
        stop));
    at += length;
  }
  return {};
}

core::Status DiskWorker::prepare_queue(const std::stop_token& stop) {
  const std::scoped_lock one_at_a_time(callers_);
  IMPRINT_TRY([[maybe_unused]] const int error, call({.kind = Kind::open_ring}, stop));
  return {};
}

std::vector<std::string> DiskWorker::notes() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> out;
  if (!is_direct_) out.emplace_back("through the page cache: the disk refuses O_DIRECT");
  if (ring_error_ != 0) out.push_back("one transfer at a time: io_uring refused it (" + words(ring_error_) + ")");
  return out;
}

core::Failure DiskWorker::timed_out(Kind kind) const {
  const auto* what = [kind] {
    switch (kind) {
      case Kind::open:
      case Kind::open_ring:
        return "opening the disk";
      case Kind::read:
        return "reading the disk";
      case Kind::write:
        return "writing the disk";
      case Kind::flush:
        return "flushing the disk";
      case Kind::eject:
        return "ejecting the disk";
      case Kind::erase:
        return "erasing the disk";
    }
    return "using the disk";
  }();
  return fail("device.timed-out").with("during", what).with("disk", setup_.node.native());
}

// What the thread made of it: 0, or an errno. With the callers' lock.
core::Result<int> DiskWorker::call(Job job, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const Kind kind = job.kind;
  if (given_up_ || buffer_is_lost_) return timed_out(kind);
  const auto shared = std::make_shared<Job>(std::move(job));
  push(shared);
  if (changed_.wait_until(lock, stop, shared->started + setup_.limit, [&] { return shared->is_finished; }))
    return shared->error;
  buffer_is_lost_ = was_left_ = true;
  if (stop.stop_requested()) return core::fail("job.cancelled");
  given_up_ = true;
  return timed_out(kind);
}

core::Status DiskWorker::done(Job job, const std::stop_token& stop) {
  const std::uint64_t offset = job.offset;
  IMPRINT_TRY(const int error, call(std::move(job), stop));
  return outcome(error, offset);
}

core::Status DiskWorker::outcome(int error, std::uint64_t offset) const {
  if (error == 0) return {};
  const bool is_gone = means_gone(error) || (setup_.is_there && !setup_.is_there());
  auto failure = is_gone ? fail("device.disconnected", words(error)) : fail("device.transfer-failed", words(error));
  return std::move(failure).with("disk", setup_.node.native()).with("offset", offset);
}

// Without a lock; 0, or an errno.
int DiskWorker::work(Job& job) {
  switch (job.kind) {
    case Kind::open:
      return open_file();
    case Kind::open_ring:
      return open_ring();
    case Kind::flush:
      return errno_of(file_->flush());
    case Kind::eject:
      return errno_of(file_->eject(setup_.limit));
    case Kind::erase:
      return errno_of(file_->erase(job.way, {job.offset, job.length}));
    case Kind::read:
    case Kind::write:
      return move(job);
  }
  return EINVAL;
}

int DiskWorker::open_file() {
  auto file = setup_.open(setup_.node, setup_.access);
  if (!file) return file.error();
  file_ = std::move(*file);
  const auto identity = file_->identity();
  if (!identity) return identity.error();
  opened_ = *identity;
  const std::scoped_lock lock(mutex_);
  is_direct_ = file_->is_direct();
  return 0;
}

int DiskWorker::open_ring() {
  std::unique_lock lock(mutex_);
  if (ring_ || ring_error_ != 0) return ring_error_;
  lock.unlock();
  auto ring = file_->ring(kDepth);
  lock.lock();
  if (ring) {
    ring_ = std::move(*ring);
  } else {
    ring_error_ = ring.error();
  }
  return ring_error_;
}

// What is left of a gathered write, part by part. A cut that is no multiple of a sector fails here, as it should.
int DiskWorker::move_parts(Job& job) {
  std::size_t start = 0;  // of the part
  for (const core::ByteView part : job.parts) {
    while (job.moved < start + part.size()) {
      const auto moved = file_->write(job.offset + job.moved, part.subspan(job.moved - start));
      if (!moved && moved.error() == EINTR) continue;
      if (!moved) return moved.error();
      if (*moved == 0) return ENXIO;
      job.moved += *moved;
    }
    start += part.size();
  }
  return 0;
}

int DiskWorker::move(Job& job) {
  if (!job.parts.empty()) return move_parts(job);
  while (job.moved < job.length) {
    const auto moved = job.kind == Kind::read ? file_->read(job.offset + job.moved, job.bytes.subspan(job.moved))
                                              : file_->write(job.offset + job.moved, job.bytes.subspan(job.moved));
    if (!moved && moved.error() == EINTR) continue;
    if (!moved) return moved.error();
    if (*moved == 0) return ENXIO;
    job.moved += *moved;
  }
  return 0;
}

}  // namespace imprint::devices
