// SPDX-License-Identifier: GPL-3.0-or-later
// The shared cache of units.
#include "flash/engine/verified_image.hpp"

#include <algorithm>

#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::engine {
namespace {

class VerifiedSource final : public core::BlockSource {
 public:
  explicit VerifiedSource(std::shared_ptr<VerifiedImage> image) : image_(std::move(image)) {}
  [[nodiscard]] std::uint64_t size() const override { return image_->image().plain_size; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    return image_->read_plain(offset, out);
  }

 private:
  std::shared_ptr<VerifiedImage> image_;
};

// The most that one cached unit takes: a compressed block is kept both ways.
std::uint64_t unit_memory(const ffu::Image& image) {
  if (!image.is_compressed()) return image.chunk_size;
  return std::max<std::uint64_t>(image.chunk_size, std::uint64_t{2} * image.stores.front().block_size);
}

}  // namespace

VerifiedImage::VerifiedImage(std::shared_ptr<const core::BlockSource> file, ffu::OpenedImage opened,
                             std::uint64_t cache_bytes)
    : file_(std::move(file)),
      opened_(std::move(opened)),
      reader_(opened_, *file_),
      identity_(core::to_hex(core::sha256(opened_.header_area))),
      capacity_(std::max<std::uint64_t>(2, cache_bytes / unit_memory(opened_.image))) {}

core::Result<std::shared_ptr<VerifiedImage>> VerifiedImage::open(std::shared_ptr<const core::BlockSource> file,
                                                                 std::uint64_t cache_bytes) {
  IMPRINT_TRY(auto opened, ffu::open_image(*file));
  return std::shared_ptr<VerifiedImage>(new VerifiedImage(std::move(file), std::move(opened), cache_bytes));
}

core::Result<VerifiedImage::Unit> VerifiedImage::unit(std::uint64_t index) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto found = entries_.find(index);
    if (found == entries_.end()) break;
    if (found->second.unit) {
      uses_.splice(uses_.begin(), uses_, found->second.use);
      ++statistics_.units_served;
      return found->second.unit;
    }
    loaded_.wait(lock);  // the loading thread always ends the wait: it fills the entry or takes it away
  }
  uses_.push_front(index);
  entries_.emplace(index, Entry{nullptr, uses_.begin()});
  lock.unlock();
  // Whatever ends the load, also an exception for want of memory: the entry is filled or taken away, and who waits is
  // told.
  const Pending pending(*this, index);
  IMPRINT_TRY(auto loaded, reader_.load(index, spares_->take()));
  auto owned = std::make_unique<ffu::UnitReader::Unit>(std::move(loaded));
  Unit shared(owned.release(), [spares = spares_](ffu::UnitReader::Unit* unit) {
    const std::unique_ptr<ffu::UnitReader::Unit> owner(unit);
    spares->give(std::move(*unit));
  });
  pending.keep(shared);
  return shared;
}

VerifiedImage::Pending::~Pending() {
  const std::scoped_lock lock(image_.mutex_);
  const auto entry = image_.entries_.find(index_);
  if (entry != image_.entries_.end() && !entry->second.unit) {
    // Not kept: the next reader tries again, so that one bad read of the disk does not stay.
    image_.uses_.erase(entry->second.use);
    image_.entries_.erase(entry);
  }
  image_.loaded_.notify_all();
}

void VerifiedImage::Pending::keep(Unit unit) const {
  const std::scoped_lock lock(image_.mutex_);
  const auto entry = image_.entries_.find(index_);  // there: an entry without bytes is never evicted
  entry->second.unit = std::move(unit);
  image_.uses_.splice(image_.uses_.begin(), image_.uses_, entry->second.use);
  ++image_.statistics_.units_loaded;
  ++image_.statistics_.units_served;
  image_.evict();
}

ffu::UnitReader::Unit VerifiedImage::Spares::take() {
  const std::scoped_lock lock(mutex_);
  if (units_.empty()) return {};
  ffu::UnitReader::Unit unit = std::move(units_.back());
  units_.pop_back();
  return unit;
}

void VerifiedImage::Spares::give(ffu::UnitReader::Unit unit) {
  const std::scoped_lock lock(mutex_);
  if (units_.size() < kMost) units_.push_back(std::move(unit));
}

void VerifiedImage::evict() {
  auto it = uses_.end();
  while (entries_.size() > capacity_ && it != uses_.begin()) {
    --it;
    const auto entry = entries_.find(*it);
    if (!entry->second.unit) continue;  // being loaded
    entries_.erase(entry);
    it = uses_.erase(it);
  }
}

core::Status VerifiedImage::read(std::uint64_t offset, core::ByteSpan out) { return copy(offset, out, false); }

core::Status VerifiedImage::read_plain(std::uint64_t offset, core::ByteSpan out) { return copy(offset, out, true); }

core::Status VerifiedImage::copy(std::uint64_t offset, core::ByteSpan out, bool plain) {
  const ffu::Image& image = opened_.image;
  const std::uint64_t size = plain ? image.plain_size : image.file_size;
  if (offset > size || out.size() > size - offset) {
    return core::fail("io.out-of-range").with("offset", offset).with("length", out.size()).with("size", size);
  }
  // Before the first unit lie the security header, the catalog and the table, which were parsed and judged from memory.
  if (offset < image.hashed_offset) {
    const std::uint64_t count = std::min<std::uint64_t>(out.size(), image.hashed_offset - offset);
    std::copy_n(opened_.header_area.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    offset += count;
    out = out.subspan(count);
  }
  while (!out.empty()) {
    const std::uint64_t index = plain ? ffu::unit_at_plain(image, offset) : ffu::unit_at_stored(image, offset);
    if (index == ffu::hashed_units(image)) {  // behind the last compressed block: zeros, as the parser made sure
      std::ranges::fill(out, std::uint8_t{0});
      return {};
    }
    IMPRINT_TRY(const auto loaded, unit(index));
    const core::ByteBuffer& bytes = plain ? loaded->plain_bytes() : loaded->stored;
    const ffu::HashedUnit place = ffu::hashed_unit(image, index);
    const std::uint64_t inner = offset - (plain ? place.plain.offset : place.stored.offset);
    const std::uint64_t count = std::min<std::uint64_t>(out.size(), bytes.size() - inner);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(inner), count, out.begin());
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

std::shared_ptr<const core::BlockSource> VerifiedImage::as_plain_source() {
  return std::make_shared<VerifiedSource>(shared_from_this());
}

VerifiedImage::Statistics VerifiedImage::statistics() const {
  const std::scoped_lock lock(mutex_);
  return statistics_;
}

}  // namespace imprint::engine
