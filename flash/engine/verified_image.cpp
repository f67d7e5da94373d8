// SPDX-License-Identifier: GPL-3.0-or-later
// The shared cache of units.
#include "flash/engine/verified_image.hpp"

#include <algorithm>
#include <new>
#include <optional>
#include <system_error>

#include "flash/core/digest.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/sha256_lanes.hpp"
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

constexpr std::size_t kBatch = core::Sha256Lanes::kMaxLanes;  // units that are loaded at once
constexpr std::size_t kReaders = 2;
constexpr std::uint64_t kStreamAhead = 4U << 20;

// Who waited for a load waited for its parts.
Starvation share_of(std::chrono::nanoseconds stood, const Starvation& cost) {
  const auto all = cost.source + cost.hash;
  if (all.count() <= 0) return {stood, {}, {}};
  const double part = static_cast<double>(cost.source.count()) / static_cast<double>(all.count());
  const std::chrono::nanoseconds source(static_cast<std::int64_t>(static_cast<double>(stood.count()) * part));
  return {source, stood - source, {}};
}

// The most that one cached unit takes: a compressed block is kept both ways.
std::uint64_t unit_memory(const ffu::Image& image) {
  if (!image.is_compressed()) return image.chunk_size;
  return std::max<std::uint64_t>(image.chunk_size, std::uint64_t{2} * image.stores.front().block_size);
}

}  // namespace

VerifiedImage::VerifiedImage(std::shared_ptr<const core::BlockSource> file,
                             std::shared_ptr<const WatchedSource> watched, ffu::OpenedImage opened,
                             std::uint64_t cache_bytes)
    : file_(std::move(file)),
      watched_(std::move(watched)),
      opened_(std::move(opened)),
      reader_(opened_, *file_),
      identity_(core::to_hex(core::sha256(opened_.header_area))),
      capacity_(std::max<std::uint64_t>(2, cache_bytes / unit_memory(opened_.image))),
      pool_(std::make_shared<UnitPool>(opened_.image.chunk_size)) {}

VerifiedImage::~VerifiedImage() = default;

core::Result<std::shared_ptr<VerifiedImage>> VerifiedImage::open(std::shared_ptr<const core::BlockSource> file,
                                                                 std::uint64_t cache_bytes) {
  IMPRINT_TRY(auto opened, ffu::open_image(*file));
  return std::shared_ptr<VerifiedImage>(new VerifiedImage(std::move(file), nullptr, std::move(opened), cache_bytes));
}

core::Result<std::shared_ptr<VerifiedImage>> VerifiedImage::open_watched(std::shared_ptr<const WatchedSource> file,
                                                                         std::uint64_t cache_bytes) {
  IMPRINT_TRY(auto opened, ffu::open_image(*file));
  IMPRINT_CHECK(file->check_unchanged());
  auto watched = file;
  return std::shared_ptr<VerifiedImage>(
      new VerifiedImage(std::move(file), std::move(watched), std::move(opened), cache_bytes));
}

core::Status VerifiedImage::check_unchanged() const { return watched_ ? watched_->check_unchanged() : core::Status{}; }

core::Result<VerifiedImage::Unit> VerifiedImage::unit(std::uint64_t index, Starvation* waited) {
  std::vector<std::uint64_t> batch;  // this unit, and others that are expected
  // Whatever ends the load, also an exception for want of memory: the entries are filled or taken away, and who waits
  // is told. Ends after the lock, which it takes.
  std::optional<Pending> pending;
  std::unique_lock lock(mutex_);
  std::chrono::nanoseconds stood{0};
  for (;;) {
    const auto found = entries_.find(index);
    if (found == entries_.end()) break;
    if (found->second.unit) {
      uses_.splice(uses_.begin(), uses_, found->second.use);
      ++statistics_.units_served;
      if (waited != nullptr && stood.count() > 0) *waited += share_of(stood, found->second.cost);
      return found->second.unit;
    }
    const Waiting waiting(stood);
    loaded_.wait(lock);  // the loading thread always ends the wait: it fills the entry or takes it away
  }
  batch.reserve(kBatch);
  batch.push_back(index);
  pending.emplace(*this, batch);
  begin(index);
  if (in_ahead_.erase(index) != 0) {
    std::erase(ahead_, index);
    take_expected(batch);
  }
  lock.unlock();
  std::vector<Load> loads = load(batch);
  if (waited != nullptr) {
    *waited += loads.front().cost;
    waited->source += stood;  // for a load that brought nothing
  }
  Unit mine;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!loads[i].unit) continue;
    Unit shared = share(std::move(*loads[i].unit));
    if (i == 0) mine = shared;
    pending->keep(batch[i], std::move(shared), loads[i].cost);
  }
  if (!mine) return std::unexpected(std::move(loads.front().unit).error());
  const std::scoped_lock counting(mutex_);
  ++statistics_.units_served;
  return mine;
}

void VerifiedImage::begin(std::uint64_t index) {
  uses_.push_front(index);
  try {
    entries_.emplace(index, Entry{nullptr, uses_.begin(), {}});
  } catch (...) {
    uses_.pop_front();
    throw;
  }
}

std::uint64_t VerifiedImage::batch_size() const {
  return std::clamp<std::uint64_t>(std::min(reader_.batch_size(), capacity_ / 8), 1, kBatch);
}

void VerifiedImage::take_expected(std::vector<std::uint64_t>& batch) {
  while (!ahead_.empty() && batch.size() < batch_size()) {
    const std::uint64_t index = ahead_.front();
    ahead_.pop_front();
    in_ahead_.erase(index);
    if (entries_.contains(index)) continue;
    begin(index);
    batch.push_back(index);  // has room
  }
}

bool VerifiedImage::is_whole_chunk(const ffu::HashedUnit& unit) const {
  return !unit.is_compressed && unit.stored.length == unit.hashed_size &&
         unit.stored.offset >= opened_.header_area.size();
}

std::vector<VerifiedImage::Load> VerifiedImage::load(std::span<const std::uint64_t> indices) {
  Starvation cost;
  std::vector<Load> loads;
  loads.reserve(indices.size());
  for (std::size_t i = 0; i < indices.size(); ++i) loads.push_back({CachedUnit{}, {}});
  std::vector<bool> good(indices.size());
  std::array<core::ByteView, kBatch> bytes;
  std::array<core::Sha256, kBatch> digests{};
  std::array<std::size_t, kBatch> whole{};
  std::size_t count = 0;
  {
    const Waiting waiting(cost.source);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const ffu::HashedUnit unit = ffu::hashed_unit(opened_.image, indices[i]);
      if (!is_whole_chunk(unit)) continue;
      UnitPool::Block into = pool_->take();
      if (!file_->read_at(unit.stored.offset, into.bytes())) continue;  // asked again below, for the error
      bytes[count] = into.bytes();
      loads[i].unit->block = std::move(into);
      whole[count++] = i;
    }
  }
  {
    const Waiting waiting(cost.hash);
    core::sha256_many(std::span(bytes).first(count), std::span(digests).first(count));
    for (std::size_t i = 0; i < count; ++i) {
      auto checked = ffu::check_unit_digest(opened_.image, indices[whole[i]], digests[i]);
      good[whole[i]] = true;
      if (!checked) loads[whole[i]].unit = std::unexpected(std::move(checked).error());
    }
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (good[i]) continue;
      auto loaded = reader_.load(indices[i], spares_->take());
      if (loaded) {
        loads[i].unit->loaded = std::move(*loaded);
      } else {
        loads[i].unit = std::unexpected(std::move(loaded).error());
      }
    }
  }
  // A file that was changed is not called a bad image.
  const auto unchanged = check_unchanged();
  for (Load& one : loads) {
    if (!unchanged) one.unit = std::unexpected(unchanged.error());
    one.cost = cost;
  }
  return loads;
}

VerifiedImage::Unit VerifiedImage::share(CachedUnit unit) {
  auto owned = std::make_unique<CachedUnit>(std::move(unit));
  return {owned.release(), [spares = spares_](CachedUnit* one) {
            const std::unique_ptr<CachedUnit> owner(one);
            if (!one->block) spares->give(std::move(one->loaded));
          }};
}

core::Result<bool> VerifiedImage::share_plain(std::uint64_t offset, std::uint64_t length,
                                              std::vector<core::ByteView>& parts,
                                              std::vector<std::shared_ptr<const void>>& kept, Starvation* waited) {
  const ffu::Image& image = opened_.image;
  if (offset < image.hashed_offset || length > image.plain_size || offset > image.plain_size - length) return false;
  while (length > 0) {
    const std::uint64_t index = ffu::unit_at_plain(image, offset);
    if (index >= ffu::hashed_units(image)) return false;
    const ffu::HashedUnit place = ffu::hashed_unit(image, index);
    const std::uint64_t inner = offset - place.plain.offset;
    const std::uint64_t count = std::min(length, place.plain.end() - offset);
    if (inner % UnitPool::kAlignment != 0 || count % UnitPool::kAlignment != 0 || !is_whole_chunk(place)) return false;
    IMPRINT_TRY(Unit loaded, unit(index, waited));
    if (!loaded->block) return false;
    parts.push_back(loaded->plain().subspan(inner, count));
    kept.push_back(std::move(loaded));
    offset += count;
    length -= count;
  }
  return true;
}

void VerifiedImage::start_reading_ahead() {
  const std::scoped_lock lock(mutex_);
  if (std::exchange(reads_ahead_, true)) return;
  try {
    while (readers_.size() < kReaders) readers_.emplace_back([this](const std::stop_token& stop) { read_ahead(stop); });
  } catch (const std::system_error&) {
    return;  // no thread: who needs a unit loads what is expected along with it
  }
}

void VerifiedImage::expect(std::uint64_t plain_offset, std::uint64_t length) {
  const ffu::Image& image = opened_.image;
  std::uint64_t end = std::min(plain_offset + length, image.plain_size);
  plain_offset = std::max(plain_offset, image.hashed_offset);
  if (plain_offset >= end) return;
  const std::uint64_t units = ffu::hashed_units(image);
  const std::uint64_t last = std::min(ffu::unit_at_plain(image, end - 1), units - 1);
  const std::scoped_lock lock(mutex_);
  if (!reads_ahead_) return;
  bool is_new = false;
  for (std::uint64_t index = ffu::unit_at_plain(image, plain_offset); index <= last; ++index) {
    if (ahead_.size() >= capacity_ / 4) break;
    if (entries_.contains(index) || !in_ahead_.insert(index).second) continue;
    ahead_.push_back(index);
    is_new = true;
  }
  if (is_new && ahead_.size() >= batch_size()) expected_.notify_one();
}

void VerifiedImage::read_ahead(const std::stop_token& stop) {
  std::vector<std::uint64_t> batch;
  batch.reserve(kBatch);
  for (;;) {
    batch.clear();
    try {
      const Pending pending(*this, batch);
      std::unique_lock lock(mutex_);
      // Fewer than are hashed side by side are left to who needs them, or until there are more.
      if (!expected_.wait(lock, stop, [this] { return ahead_.size() >= batch_size(); })) return;
      take_expected(batch);
      lock.unlock();
      std::vector<Load> loads = load(batch);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        // What failed is asked for again by who needs it, and fails there.
        if (loads[i].unit) pending.keep(batch[i], share(std::move(*loads[i].unit)), loads[i].cost);
      }
    } catch (const std::bad_alloc&) {
      continue;  // whoever needs the units says so
    }
  }
}

VerifiedImage::Plan VerifiedImage::shared_plan(const PlanKey& key, const std::function<Plan()>& make) {
  constexpr std::size_t kMost = 4;
  const std::scoped_lock lock(plans_mutex_);  // held while it is made: others who ask would have to wait anyway
  const auto found = std::ranges::find(plans_, key, [](const auto& one) { return one.first; });
  if (found != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, found);
    return plans_.front().second;
  }
  IMPRINT_TRY(auto plan, make());
  plans_.emplace_front(key, plan);
  if (plans_.size() > kMost) plans_.pop_back();
  return plan;
}

VerifiedImage::Pending::~Pending() {
  const std::scoped_lock lock(image_.mutex_);
  for (const std::uint64_t index : indices_) {
    const auto entry = image_.entries_.find(index);
    if (entry == image_.entries_.end() || entry->second.unit) continue;
    // Not kept: the next reader tries again, so that one bad read of the disk does not stay.
    image_.uses_.erase(entry->second.use);
    image_.entries_.erase(entry);
  }
  image_.loaded_.notify_all();
}

void VerifiedImage::Pending::keep(std::uint64_t index, Unit unit, const Starvation& cost) const {
  const std::scoped_lock lock(image_.mutex_);
  const auto entry = image_.entries_.find(index);  // there: an entry without bytes is never evicted
  entry->second.unit = std::move(unit);
  entry->second.cost = cost;
  image_.uses_.splice(image_.uses_.begin(), image_.uses_, entry->second.use);
  ++image_.statistics_.units_loaded;
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

core::Status VerifiedImage::read(std::uint64_t offset, core::ByteSpan out) { return copy(offset, out, false, nullptr); }

core::Status VerifiedImage::read_stored(std::uint64_t offset, core::ByteSpan out, Starvation* waited) {
  IMPRINT_CHECK(copy(offset, out, false, waited));
  // Streams go on where they are. A compressed image is none.
  if (!opened_.image.is_compressed()) expect(offset + out.size(), kStreamAhead);
  return {};
}

core::Status VerifiedImage::read_plain(std::uint64_t offset, core::ByteSpan out, Starvation* waited) {
  return copy(offset, out, true, waited);
}

core::Status VerifiedImage::copy(std::uint64_t offset, core::ByteSpan out, bool plain, Starvation* waited) {
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
    IMPRINT_TRY(const auto loaded, unit(index, waited));
    const core::ByteView bytes = plain ? loaded->plain() : loaded->stored();
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
