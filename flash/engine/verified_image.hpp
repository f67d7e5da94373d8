// SPDX-License-Identifier: GPL-3.0-or-later
// One verified image for any number of targets: hashed units (chunks, or blocks of a compressed image) enter a bounded
// cache once, are checked against the signed table as they enter, and leave only from there. The file is never mapped:
// an evicted page would come back unchecked.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/target.hpp"
#include "flash/ffu/image.hpp"
#include "flash/ffu/unit_reader.hpp"

namespace imprint::engine {

// Thread-safe. Memory: the header area and at most `cache_bytes` of units, plus those that are being copied right now.
class VerifiedImage : public ImageStream, public std::enable_shared_from_this<VerifiedImage> {
 public:
  static constexpr std::uint64_t kDefaultCacheBytes = 64ULL << 20;

  // Parses the headers and hashes them; the payload is hashed as it is read. `image.hash-mismatch` for the headers.
  [[nodiscard]] static core::Result<std::shared_ptr<VerifiedImage>> open(
      std::shared_ptr<const core::BlockSource> file, std::uint64_t cache_bytes = kDefaultCacheBytes);

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
  // Fills `out` with plain bytes; the same errors as read().
  [[nodiscard]] core::Status read_plain(std::uint64_t offset, core::ByteSpan out);

  struct Statistics {
    std::uint64_t units_loaded = 0;  // read from the file and hashed
    std::uint64_t units_served = 0;  // copied out of the cache
  };
  [[nodiscard]] Statistics statistics() const;

 private:
  VerifiedImage(std::shared_ptr<const core::BlockSource> file, ffu::OpenedImage opened, std::uint64_t cache_bytes);
  using Unit = std::shared_ptr<const ffu::UnitReader::Unit>;
  [[nodiscard]] core::Result<Unit> unit(std::uint64_t index);
  [[nodiscard]] core::Status copy(std::uint64_t offset, core::ByteSpan out, bool plain);
  void evict();
  // Memory of units that nobody reads any more, for those that come. Allocated by one slot's thread and freed by
  // another's, units would leave holes in the heaps of all threads: megabytes a slot.
  class Spares {
   public:
    Spares() { units_.reserve(kMost); }
    [[nodiscard]] ffu::UnitReader::Unit take();
    void give(ffu::UnitReader::Unit unit);

   private:
    static constexpr std::size_t kMost = 8;
    std::mutex mutex_;
    std::vector<ffu::UnitReader::Unit> units_;
  };
  // A unit that this thread is loading.
  class Pending {
   public:
    Pending(VerifiedImage& image, std::uint64_t index) : image_(image), index_(index) {}
    ~Pending();
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    void keep(Unit unit) const;

   private:
    VerifiedImage& image_;
    std::uint64_t index_;
  };

  std::shared_ptr<const core::BlockSource> file_;
  ffu::OpenedImage opened_;
  ffu::UnitReader reader_;  // of the two above
  std::string identity_;
  std::uint64_t capacity_;                                       // units
  std::shared_ptr<Spares> spares_ = std::make_shared<Spares>();  // units that are in use may outlive this image

  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  struct Entry {
    Unit unit;                               // null while a thread loads it
    std::list<std::uint64_t>::iterator use;  // position in uses_
  };
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::list<std::uint64_t> uses_;  // most recent first
  Statistics statistics_;

  struct ValueShard {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, std::unordered_map<std::uint64_t, std::uint32_t>>
        values;  // family -> index -> value
  };
  std::array<ValueShard, 16> shards_;
};

}  // namespace imprint::engine
