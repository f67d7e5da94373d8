// SPDX-License-Identifier: GPL-3.0-or-later
// A queue of one over plain sinks and sources: what disks without a queue of their own are driven by.
#include <new>
#include <optional>
#include <utility>

#include "flash/core/errors.hpp"
#include "flash/engine/queued_disk.hpp"

namespace imprint::engine {
namespace {

constexpr std::size_t kAlignment = 4096;

struct AlignedDelete {
  void operator()(std::uint8_t* bytes) const { ::operator delete[](bytes, std::align_val_t{kAlignment}); }
};

class OneByOne final : public QueuedDisk {
 public:
  OneByOne(std::uint64_t size, std::unique_ptr<core::BlockSink> own_sink, core::BlockSink* sink,
           std::shared_ptr<const core::BlockSource> own_source, const core::BlockSource* source)
      : size_(size),
        own_sink_(std::move(own_sink)),
        own_source_(std::move(own_source)),
        sink_(sink),
        source_(source),
        buffer_(new(std::align_val_t{kAlignment}) std::uint8_t[kBufferBytes]) {}

  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] unsigned buffers() const override { return 1; }
  [[nodiscard]] core::ByteSpan buffer(unsigned /*number*/) override { return {buffer_.get(), kBufferBytes}; }

  [[nodiscard]] core::Status start(const Request& request) override {
    const core::ByteSpan bytes = buffer(0).subspan(request.from, request.length);
    const bool is_read = request.way == Request::Way::read;
    if (is_read ? source_ == nullptr : sink_ == nullptr) return core::fail("io.out-of-range", "not opened for this");
    result_ = is_read ? source_->read_at(request.offset, bytes) : sink_->write_at(request.offset, bytes);
    return {};
  }

  [[nodiscard]] core::Result<unsigned> finish(const std::stop_token& stop) override {
    if (stop.stop_requested()) return core::fail("job.cancelled");
    IMPRINT_CHECK(std::exchange(result_, core::Status{}));
    return 0U;
  }

  [[nodiscard]] core::Status flush(const std::stop_token& stop) override {
    if (stop.stop_requested()) return core::fail("job.cancelled");
    return sink_ == nullptr ? core::Status{} : sink_->flush();
  }

  [[nodiscard]] core::Result<bool> erase(EraseWay way, core::Extent extent, const std::stop_token& stop) override {
    if (way != EraseWay::zero) return false;
    if (sink_ == nullptr) return core::fail("io.out-of-range", "not opened for this");
    std::ranges::fill(buffer(0), std::uint8_t{0});
    for (std::uint64_t at = 0; at < extent.length; at += kBufferBytes) {
      if (stop.stop_requested()) return core::fail("job.cancelled");
      IMPRINT_CHECK(sink_->write_at(extent.offset + at,
                                    buffer(0).first(std::min<std::uint64_t>(kBufferBytes, extent.length - at))));
    }
    return true;
  }

 private:
  std::uint64_t size_;
  std::unique_ptr<core::BlockSink> own_sink_;
  std::shared_ptr<const core::BlockSource> own_source_;
  core::BlockSink* sink_;
  const core::BlockSource* source_;
  std::unique_ptr<std::uint8_t[], AlignedDelete> buffer_;
  core::Status result_;
};

}  // namespace

std::unique_ptr<QueuedDisk> one_by_one(std::uint64_t size, std::unique_ptr<core::BlockSink> sink,
                                       std::shared_ptr<const core::BlockSource> source) {
  core::BlockSink* const writes = sink.get();
  const core::BlockSource* const reads = source.get();
  return std::make_unique<OneByOne>(size, std::move(sink), writes, std::move(source), reads);
}

std::unique_ptr<QueuedDisk> one_by_one(std::uint64_t size, core::BlockSink* sink, const core::BlockSource* source) {
  return std::make_unique<OneByOne>(size, nullptr, sink, nullptr, source);
}

}  // namespace imprint::engine
