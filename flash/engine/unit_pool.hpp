// SPDX-License-Identifier: GPL-3.0-or-later
// Memory for chunks: aligned, so that disks take them from where they lie, in large pages, and used again by whatever
// comes next. Allocated by one slot's thread and freed by another's, chunks would leave holes in every thread's heap.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "flash/core/bytes.hpp"

namespace imprint::engine {

// Thread-safe. Grows to the most that was in use at once, and keeps that.
class UnitPool : public std::enable_shared_from_this<UnitPool> {
 public:
  static constexpr std::size_t kAlignment = 4096;

  // Gives its memory back at its end, also after the pool's owner is gone.
  class Block {
   public:
    Block() = default;
    Block(std::shared_ptr<UnitPool> pool, core::ByteSpan bytes) : pool_(std::move(pool)), bytes_(bytes) {}
    ~Block() {
      if (pool_) pool_->give(bytes_);
    }
    Block(Block&& other) noexcept : pool_(std::move(other.pool_)), bytes_(other.bytes_) {}
    Block& operator=(Block&& other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    explicit operator bool() const { return pool_ != nullptr; }
    [[nodiscard]] core::ByteSpan bytes() const { return bytes_; }  // as many as a unit has

   private:
    std::shared_ptr<UnitPool> pool_;
    core::ByteSpan bytes_;
  };

  explicit UnitPool(std::size_t unit_bytes) : unit_bytes_(unit_bytes) {}
  [[nodiscard]] Block take();

 private:
  struct Delete {
    void operator()(std::uint8_t* bytes) const;
  };
  void give(core::ByteSpan bytes) noexcept;
  void grow();

  const std::size_t unit_bytes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<std::uint8_t[], Delete>> slabs_;
  std::vector<std::uint8_t*> free_;  // has room for all
};

}  // namespace imprint::engine
