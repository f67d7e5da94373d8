// SPDX-License-Identifier: GPL-3.0-or-later
// One verified image for any number of targets: hashed units (chunks, or blocks of a compressed image) enter a bounded
// cache once, are checked against the signed table as they enter, and leave only from there. The file is never mapped:
// an evicted page would come back unchecked.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/image_file.hpp"
#include "flash/engine/phase_meter.hpp"
#include "flash/engine/target.hpp"
#include "flash/engine/unit_pool.hpp"
#include "flash/engine/write_plan.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/unit_reader.hpp"

namespace imprint::engine {

// Thread-safe. Memory: the header area and at most `cache_bytes` of units, plus those that are being copied or loaded
// right now.
class VerifiedImage : public ImageStream, public std::enable_shared_from_this<VerifiedImage> {
 public:
  static constexpr std::uint64_t kDefaultCacheBytes = 64ULL << 20;

  // Parses the headers and hashes them; the payload is hashed as it is read. `image.hash-mismatch` for the headers.
  [[nodiscard]] static core::Result<std::shared_ptr<VerifiedImage>> open(
      std::shared_ptr<const core::BlockSource> file, std::uint64_t cache_bytes = kDefaultCacheBytes);
  // The same, and whenever a unit is loaded the file has to be unchanged: else `image.changed`, now and from then on.
  [[nodiscard]] static core::Result<std::shared_ptr<VerifiedImage>> open_watched(
      std::shared_ptr<const WatchedSource> file, std::uint64_t cache_bytes = kDefaultCacheBytes);
  ~VerifiedImage() override;

  [[nodiscard]] const ffu::Image& image() const { return opened_.image; }
  [[nodiscard]] const ffu::OpenedImage& opened() const { return opened_; }
  [[nodiscard]] const core::BlockSource& file() const { return *file_; }
  // SHA-256 over the header area, lower-case hex: headers and hash table, and so the whole content.
  [[nodiscard]] const std::string& identity() const { return identity_; }

  [[nodiscard]] std::uint64_t size() const override { return opened_.image.file_size; }
  [[nodiscard]] core::Status read(std::uint64_t offset, core::ByteSpan out) override;
  [[nodiscard]] std::uint32_t shared_value(std::uint64_t family, std::uint64_t index,
                                           const std::function<std::uint32_t()>& compute) override;

  // The plain image (ffu/image.hpp), for formats that read an FFU as a disk. Keeps this image alive.
  [[nodiscard]] std::shared_ptr<const core::BlockSource> as_plain_source();
  // Fills `out` with plain bytes; the same errors as read(). What it waited for is added to `waited`.
  [[nodiscard]] core::Status read_plain(std::uint64_t offset, core::ByteSpan out, Starvation* waited = nullptr);
  // read() that says what it waited for.
  [[nodiscard]] core::Status read_stored(std::uint64_t offset, core::ByteSpan out, Starvation* waited);

  // From now on what is expected is loaded by threads of the image's own, many units side by side, ahead of whoever is
  // the fastest. Any number of calls; for ever.
  void start_reading_ahead();
  // Plain bytes where they lie in the cache, without a copy: parts one behind the other, which `kept` keeps. False
  // where some of them do not begin and end at multiples of UnitPool::kAlignment, or have to be put together first.
  [[nodiscard]] core::Result<bool> share_plain(std::uint64_t offset, std::uint64_t length,
                                               std::vector<core::ByteView>& parts,
                                               std::vector<std::shared_ptr<const void>>& kept, Starvation* waited);
  // These plain bytes will be wanted soon. As much is kept in mind as a quarter of the cache; nothing before
  // start_reading_ahead().
  void expect(std::uint64_t plain_offset, std::uint64_t length);

  // `image.changed` when the file is watched and not what it was.
  [[nodiscard]] core::Status check_unchanged() const;
  // False once a watched file was found to have been taken out of its folder, or replaced there: what is flashed is
  // what was verified, and no new opening gets it.
  [[nodiscard]] bool has_name() const { return !watched_ || watched_->has_name(); }

  // The plan of a disk, made by the first who asks and shared by all who ask for the same while it is among the last
  // few.
  struct PlanKey {
    std::uint64_t disk_bytes = 0;
    std::uint32_t sector_size = 0;
    bool refit = false;
    friend bool operator==(const PlanKey&, const PlanKey&) = default;
  };
  using Plan = core::Result<std::shared_ptr<const WritePlan>>;
  [[nodiscard]] Plan shared_plan(const PlanKey& key, const std::function<Plan()>& make);

  struct Statistics {
    std::uint64_t units_loaded = 0;  // read from the file and hashed
    std::uint64_t units_served = 0;  // copied out of the cache
  };
  [[nodiscard]] Statistics statistics() const;

 private:
  VerifiedImage(std::shared_ptr<const core::BlockSource> file, std::shared_ptr<const WatchedSource> watched,
                ffu::OpenedImage opened, std::uint64_t cache_bytes);
  // A whole chunk lies in a block; what was decompressed, or has bytes of the headers, as its reader made it.
  struct CachedUnit {
    UnitPool::Block block;
    ffu::UnitReader::Unit loaded;
    [[nodiscard]] core::ByteView stored() const { return block ? core::ByteView(block.bytes()) : loaded.stored; }
    [[nodiscard]] core::ByteView plain() const {
      return block ? core::ByteView(block.bytes()) : core::ByteView(loaded.plain_bytes());
    }
  };
  using Unit = std::shared_ptr<const CachedUnit>;
  struct Entry {
    Unit unit;                               // null while a thread loads it
    std::list<std::uint64_t>::iterator use;  // position in uses_
    Starvation cost;                         // of the load that brought it
  };
  struct Load {
    core::Result<CachedUnit> unit;
    Starvation cost;  // of all that were loaded with it
  };
  [[nodiscard]] core::Result<Unit> unit(std::uint64_t index, Starvation* waited);
  [[nodiscard]] core::Status copy(std::uint64_t offset, core::ByteSpan out, bool plain, Starvation* waited);
  // Reads and hashes units, whole chunks of them side by side.
  [[nodiscard]] std::vector<Load> load(std::span<const std::uint64_t> indices);
  [[nodiscard]] bool is_whole_chunk(const ffu::HashedUnit& unit) const;
  [[nodiscard]] Unit share(CachedUnit unit);
  void read_ahead(const std::stop_token& stop);
  [[nodiscard]] std::uint64_t batch_size() const;  // units that are worth loading at once
  // With the lock.
  void take_expected(std::vector<std::uint64_t>& batch);
  void begin(std::uint64_t index);
  void evict();
  // The same for units that are no whole chunks.
  class Spares {
   public:
    Spares() { units_.reserve(kMost); }
    [[nodiscard]] ffu::UnitReader::Unit take();
    void give(ffu::UnitReader::Unit unit);

   private:
    static constexpr std::size_t kMost = 16;
    std::mutex mutex_;
    std::vector<ffu::UnitReader::Unit> units_;
  };
  // Units that this thread is loading. Those that it did not keep are taken away at its end, and who waits is told.
  class Pending {
   public:
    Pending(VerifiedImage& image, const std::vector<std::uint64_t>& indices) : image_(image), indices_(indices) {}
    ~Pending();
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    void keep(std::uint64_t index, Unit unit, const Starvation& cost) const;

   private:
    VerifiedImage& image_;
    const std::vector<std::uint64_t>& indices_;
  };

  std::shared_ptr<const core::BlockSource> file_;
  std::shared_ptr<const WatchedSource> watched_;  // the same, or none
  ffu::OpenedImage opened_;
  ffu::UnitReader reader_;  // of the two above
  std::string identity_;
  std::uint64_t capacity_;  // units
  std::shared_ptr<UnitPool> pool_;
  std::shared_ptr<Spares> spares_ = std::make_shared<Spares>();  // units that are in use may outlive this image

  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::list<std::uint64_t> uses_;  // most recent first
  Statistics statistics_;
  bool reads_ahead_ = false;
  std::deque<std::uint64_t> ahead_;  // expected, and neither in entries_ nor taken up by a thread
  std::unordered_set<std::uint64_t> in_ahead_;
  std::condition_variable_any expected_;

  std::mutex plans_mutex_;
  std::list<std::pair<PlanKey, std::shared_ptr<const WritePlan>>> plans_;  // most recent first

  struct ValueShard {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, std::unordered_map<std::uint64_t, std::uint32_t>>
        values;  // family -> index -> value
  };
  std::array<ValueShard, 16> shards_;
  std::vector<std::jthread> readers_;  // last: they end before what they use
};

}  // namespace imprint::engine
