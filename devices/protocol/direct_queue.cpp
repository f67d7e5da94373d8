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
      : disk_(std::move(disk)), worker_(std::move(worker)), jobs_(DiskWorker::kDepth), buffers_(DiskWorker::kDepth) {}
  // What the kernel works on keeps its buffer.
  ~DirectQueue() override { worker_->drop(jobs_); }
  DirectQueue(const DirectQueue&) = delete;
  DirectQueue& operator=(const DirectQueue&) = delete;

  [[nodiscard]] std::uint64_t size() const override { return disk_->size(); }
  [[nodiscard]] unsigned buffers() const override { return DiskWorker::kDepth; }
  [[nodiscard]] core::ByteSpan buffer(unsigned number) override {
    if (!buffers_.at(number)) buffers_[number] = std::make_shared<const AlignedBytes>(kBufferBytes);
    return buffers_[number]->span();
  }

  [[nodiscard]] core::Status start(const Request& request) override {
    IMPRINT_CHECK(check_range(request.offset, request.length));
    auto job = std::make_shared<DiskWorker::Job>();
    job->kind = request.way == Request::Way::read ? DiskWorker::Kind::read : DiskWorker::Kind::write;
    job->offset = request.offset;
    job->length = request.length;
    job->bytes = buffer(request.buffer).subspan(request.from, request.length);
    job->kept = buffers_[request.buffer];
    job->is_queued = true;
    jobs_[request.buffer] = job;
    worker_->begin(job);
    return {};
  }

  [[nodiscard]] core::Result<bool> start_gather(Gather& gather) override {
    if (!worker_->can_gather()) return false;
    std::uint64_t length = 0;
    for (const core::ByteView part : gather.parts) length += part.size();
    IMPRINT_CHECK(check_range(gather.offset, length));
    auto job = std::make_shared<DiskWorker::Job>();
    job->kind = DiskWorker::Kind::write;
    job->offset = gather.offset;
    job->length = length;
    job->parts = std::move(gather.parts);
    job->parts_kept = std::move(gather.kept);
    job->is_queued = true;
    jobs_[gather.buffer] = job;
    worker_->begin(job);
    return true;
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
  [[nodiscard]] core::Status check_range(std::uint64_t offset, std::uint64_t length) const {
    std::uint64_t end = 0;
    if (core::checked_add(offset, length, end) && end <= size()) return {};
    return core::fail("io.out-of-range").with("offset", offset).with("length", length).with("size", size());
  }

  std::shared_ptr<DirectDisk> disk_;
  std::shared_ptr<DiskWorker> worker_;
  std::vector<DiskWorker::JobRef> jobs_;                      // by buffer
  std::vector<std::shared_ptr<const AlignedBytes>> buffers_;  // each from its first use
};

}  // namespace

core::Result<std::unique_ptr<engine::QueuedDisk>> DirectDisk::open_queue() {
  IMPRINT_CHECK(worker_->prepare_queue(worker_->setup().stop));
  return std::make_unique<DirectQueue>(shared_from_this(), worker_);
}

}  // namespace imprint::devices
