// SPDX-License-Identifier: GPL-3.0-or-later
// The shared chunk cache.
#include "flash/engine/verified_image.hpp"

#include <algorithm>

#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "flash/engine/errors.hpp"
#include "flash/ffu/chunk_verifier.hpp"

namespace imprint::engine {
namespace {

class VerifiedSource final : public core::BlockSource {
 public:
  explicit VerifiedSource(std::shared_ptr<VerifiedImage> image) : image_(std::move(image)) {}
  [[nodiscard]] std::uint64_t size() const override { return image_->size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    return image_->read(offset, out);
  }

 private:
  std::shared_ptr<VerifiedImage> image_;
};

}  // namespace

VerifiedImage::VerifiedImage(std::shared_ptr<const core::BlockSource> file, ffu::OpenedImage opened,
                             std::uint64_t cache_bytes)
    : file_(std::move(file)),
      opened_(std::move(opened)),
      identity_(core::to_hex(core::sha256(opened_.header_area))),
      capacity_(std::max<std::uint64_t>(2, cache_bytes / opened_.image.chunk_size)) {}

core::Result<std::shared_ptr<VerifiedImage>> VerifiedImage::open(std::shared_ptr<const core::BlockSource> file,
                                                                 std::uint64_t cache_bytes) {
  IMPRINT_TRY(auto opened, ffu::open_image(*file));
  std::shared_ptr<VerifiedImage> image(new VerifiedImage(std::move(file), std::move(opened), cache_bytes));
  IMPRINT_CHECK(image->check_header_chunks());
  return image;
}

// The headers that were parsed have to be the headers that were hashed: from the same memory, before anything is used.
core::Status VerifiedImage::check_header_chunks() const {
  const ffu::Image& image = opened_.image;
  for (std::uint64_t index = 0; index < image.chunk_count(); ++index) {
    const core::Extent extent = ffu::chunk_extent(image, index);
    if (extent.offset >= image.payload_offset) break;
    if (extent.end() <= image.payload_offset) {
      IMPRINT_CHECK(
          ffu::check_chunk(image, index, core::ByteView(opened_.header_area).subspan(extent.offset, extent.length)));
    } else {
      IMPRINT_TRY(const auto loaded, load(index));
    }
  }
  return {};
}

core::Result<std::shared_ptr<const core::ByteBuffer>> VerifiedImage::load(std::uint64_t index) const {
  const core::Extent extent = ffu::chunk_extent(opened_.image, index);
  auto bytes = std::make_shared<core::ByteBuffer>(extent.length);
  std::uint64_t from_memory = 0;
  if (extent.offset < opened_.header_area.size()) {
    from_memory = std::min<std::uint64_t>(extent.length, opened_.header_area.size() - extent.offset);
    std::copy_n(opened_.header_area.begin() + static_cast<std::ptrdiff_t>(extent.offset), from_memory, bytes->begin());
  }
  if (from_memory < extent.length) {
    auto status = file_->read_at(extent.offset + from_memory, core::ByteSpan(*bytes).subspan(from_memory));
    if (!status) return fail("image.read-failed").with("offset", extent.offset).caused_by(std::move(status).error());
  }
  IMPRINT_CHECK(ffu::check_chunk(opened_.image, index, *bytes));
  return bytes;
}

core::Result<std::shared_ptr<const core::ByteBuffer>> VerifiedImage::chunk(std::uint64_t index) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto found = entries_.find(index);
    if (found == entries_.end()) break;
    if (found->second.bytes) {
      uses_.splice(uses_.begin(), uses_, found->second.use);
      ++statistics_.chunks_served;
      return found->second.bytes;
    }
    loaded_.wait(lock);  // the loading thread always ends the wait: it fills the entry or takes it away
  }
  uses_.push_front(index);
  entries_.emplace(index, Entry{nullptr, uses_.begin()});
  lock.unlock();
  // Whatever ends the load, also an exception for want of memory: the entry is filled or taken away, and who waits is
  // told.
  const Pending pending(*this, index);
  auto loaded = load(index);
  if (loaded) pending.keep(*loaded);
  return loaded;
}

VerifiedImage::Pending::~Pending() {
  const std::scoped_lock lock(image_.mutex_);
  const auto entry = image_.entries_.find(index_);
  if (entry != image_.entries_.end() && !entry->second.bytes) {
    // Not kept: the next reader tries again, so that one bad read of the disk does not stay.
    image_.uses_.erase(entry->second.use);
    image_.entries_.erase(entry);
  }
  image_.loaded_.notify_all();
}

void VerifiedImage::Pending::keep(std::shared_ptr<const core::ByteBuffer> bytes) const {
  const std::scoped_lock lock(image_.mutex_);
  const auto entry = image_.entries_.find(index_);  // there: an entry without bytes is never evicted
  entry->second.bytes = std::move(bytes);
  image_.uses_.splice(image_.uses_.begin(), image_.uses_, entry->second.use);
  ++image_.statistics_.chunks_loaded;
  ++image_.statistics_.chunks_served;
  image_.evict();
}

void VerifiedImage::evict() {
  auto it = uses_.end();
  while (entries_.size() > capacity_ && it != uses_.begin()) {
    --it;
    const auto entry = entries_.find(*it);
    if (!entry->second.bytes) continue;  // being loaded
    entries_.erase(entry);
    it = uses_.erase(it);
  }
}

core::Status VerifiedImage::read(std::uint64_t offset, core::ByteSpan out) {
  const ffu::Image& image = opened_.image;
  if (offset > image.file_size || out.size() > image.file_size - offset) {
    return core::fail("io.out-of-range")
        .with("offset", offset)
        .with("length", out.size())
        .with("size", image.file_size);
  }
  // Before the first chunk lie the security header, the catalog and the table, which were parsed and judged from
  // memory.
  if (offset < image.hashed_offset) {
    const std::uint64_t count = std::min<std::uint64_t>(out.size(), image.hashed_offset - offset);
    std::copy_n(opened_.header_area.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    offset += count;
    out = out.subspan(count);
  }
  while (!out.empty()) {
    const std::uint64_t index = (offset - image.hashed_offset) / image.chunk_size;
    IMPRINT_TRY(const auto bytes, chunk(index));
    const std::uint64_t inner = (offset - image.hashed_offset) % image.chunk_size;
    const std::uint64_t count = std::min<std::uint64_t>(out.size(), bytes->size() - inner);
    std::copy_n(bytes->begin() + static_cast<std::ptrdiff_t>(inner), count, out.begin());
    offset += count;
    out = out.subspan(count);
  }
  return {};
}

std::uint32_t VerifiedImage::shared_value(std::uint64_t family, std::uint64_t index,
                                          const std::function<std::uint32_t()>& compute) {
  ValueShard& shard = shards_[index % shards_.size()];
  // Held while computing: others who ask for the same value would have to wait for it anyway.
  const std::scoped_lock lock(shard.mutex);
  auto& values = shard.values[family];
  const auto found = values.find(index);
  if (found != values.end()) return found->second;
  return values.emplace(index, compute()).first->second;
}

std::shared_ptr<const core::BlockSource> VerifiedImage::as_source() {
  return std::make_shared<VerifiedSource>(shared_from_this());
}

VerifiedImage::Statistics VerifiedImage::statistics() const {
  const std::scoped_lock lock(mutex_);
  return statistics_;
}

}  // namespace imprint::engine
