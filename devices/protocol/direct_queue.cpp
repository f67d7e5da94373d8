// SPDX-License-Identifier: GPL-3.0-or-later
// A disk's queue: its buffers, and which of them are in flight.
#include <utility>

#include "devices/protocol/direct_disk.hpp"
#include "devices/protocol/disk_worker.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices {
namespace {

class DirectQueue final : public engine::QueuedDisk {
 public:
  DirectQueue(std::shared_ptr<DirectDisk> disk, std::shared_ptr<DiskWorker> worker)
      : disk_(std::move(disk)), worker_(std::move(worker)), jobs_(DiskWorker::kDepth) {
    for (unsigned i = 0; i < DiskWorker::kDepth; ++i)
      buffers_.push_back(std::make_shared<const AlignedBytes>(kBufferBytes));
  }
  // What the kernel works on keeps its buffer.
  ~DirectQueue() override { worker_->drop(jobs_); }
  DirectQueue(const DirectQueue&) = delete;
  DirectQueue& operator=(const DirectQueue&) = delete;

  [[nodiscard]] std::uint64_t size() const override { return disk_->size(); }
  [[nodiscard]] unsigned buffers() const override { return DiskWorker::kDepth; }
  [[nodiscard]] core::ByteSpan buffer(unsigned number) override { return buffers_.at(number)->span(); }

  [[nodiscard]] core::Status start(const Request& request) override {
    std::uint64_t end = 0;
    if (!core::checked_add(request.offset, request.length, end) || end > size()) {
      return core::fail("io.out-of-range")
          .with("offset", request.offset)
          .with("length", request.length)
          .with("size", size());
    }
    auto job = std::make_shared<DiskWorker::Job>();
    job->kind = request.way == Request::Way::read ? DiskWorker::Kind::read : DiskWorker::Kind::write;
    job->offset = request.offset;
    job->length = request.length;
    job->bytes = buffer(request.buffer).subspan(request.from, request.length);
    job->kept = buffers_[request.buffer];
    jobs_[request.buffer] = job;
    worker_->begin(job);
    return {};
  }

  [[nodiscard]] core::Result<unsigned> finish(const std::stop_token& stop) override {
    IMPRINT_TRY(const unsigned number, worker_->wait_for_any(jobs_, stop));
    jobs_[number].reset();
    return number;
  }

  [[nodiscard]] core::Status flush(const std::stop_token& stop) override { return worker_->flush(stop); }

  [[nodiscard]] core::Result<bool> erase(engine::EraseWay way, core::Extent extent,
                                         const std::stop_token& stop) override {
    IMPRINT_TRY(const bool is_done, worker_->erase(way, extent, stop));
    if (is_done || way != engine::EraseWay::zero) return is_done;
    IMPRINT_CHECK(worker_->zero_by_writing(extent, stop));
    return true;
  }

  [[nodiscard]] std::vector<std::string> notes() const override { return worker_->notes(); }

 private:
  std::shared_ptr<DirectDisk> disk_;
  std::shared_ptr<DiskWorker> worker_;
  std::vector<std::shared_ptr<const AlignedBytes>> buffers_;
  std::vector<DiskWorker::JobRef> jobs_;  // by buffer
};

}  // namespace

core::Result<std::unique_ptr<engine::QueuedDisk>> DirectDisk::open_queue() {
  IMPRINT_CHECK(worker_->prepare_queue(worker_->setup().stop));
  return std::make_unique<DirectQueue>(shared_from_this(), worker_);
}

}  // namespace imprint::devices
