// SPDX-License-Identifier: GPL-3.0-or-later
// Slabs of large pages, cut into units.
#include "flash/engine/unit_pool.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace imprint::engine {
namespace {

constexpr std::size_t kSlab = 2U << 20;  // a large page

}  // namespace

void UnitPool::Delete::operator()(std::uint8_t* bytes) const { ::operator delete[](bytes, std::align_val_t{kSlab}); }

UnitPool::Block UnitPool::take() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) grow();
  std::uint8_t* const bytes = free_.back();
  free_.pop_back();
  return {shared_from_this(), {bytes, unit_bytes_}};
}

void UnitPool::give(core::ByteSpan bytes) noexcept {
  const std::scoped_lock lock(mutex_);
  free_.push_back(bytes.data());
}

void UnitPool::grow() {
  const std::size_t step = core::round_up(unit_bytes_, kAlignment);
  const std::size_t units = std::max<std::size_t>(1, kSlab / step);
  const std::size_t size = core::round_up(units * step, kSlab);
  std::unique_ptr<std::uint8_t[], Delete> slab(new (std::align_val_t{kSlab}) std::uint8_t[size]);
  // Where the kernel has no large page to spare it gives small ones.
  static_cast<void>(::madvise(slab.get(), size, MADV_HUGEPAGE));
  free_.reserve((slabs_.size() + 1) * units);
  slabs_.push_back(std::move(slab));
  for (std::size_t i = 0; i < units; ++i) free_.push_back(slabs_.back().get() + i * step);
}

}  // namespace imprint::engine
