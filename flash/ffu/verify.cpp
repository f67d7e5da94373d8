// SPDX-License-Identifier: GPL-3.0-or-later
// The parallel walk over an image's units, and what verification does with it.
#include "flash/ffu/verify.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <vector>

#include "flash/core/sha256_lanes.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/unit_walk.hpp"

namespace imprint::ffu {
namespace {

constexpr unsigned kMaxThreads = 16;  // each has buffers of its own; more would not be quicker than memory is

// What the threads share. The first failure in file order is kept, so that the answer does not depend on timing.
struct Walk {
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> lowest_bad{UINT64_MAX};
  std::mutex mutex;
  std::uint64_t done_bytes = 0;
  std::optional<core::Error> error;

  void fail_at(std::uint64_t unit, core::Error problem) {
    const std::scoped_lock lock(mutex);
    if (unit < lowest_bad.load()) {
      lowest_bad = unit;
      error = std::move(problem);
    }
  }
};

std::uint64_t stored_bytes(const Image& image, std::uint64_t first, std::uint64_t end) {
  if (first == end) return 0;
  return hashed_unit(image, end - 1).stored.end() - hashed_unit(image, first).stored.offset;
}

}  // namespace

core::Status walk_units(const Image& image, UnitRange range, std::uint64_t batch, unsigned threads,
                        const std::function<core::Status(std::uint64_t, std::uint64_t)>& work, const Progress& progress,
                        const std::stop_token& stop) {
  const std::uint64_t total = stored_bytes(image, range.first, range.end);
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  threads = std::min(threads, kMaxThreads);
  Walk walk;
  walk.next = range.first;
  const auto run = [&] {
    for (;;) {
      const std::uint64_t first = walk.next.fetch_add(batch);
      if (first >= range.end || first > walk.lowest_bad.load() || stop.stop_requested()) return;
      const std::uint64_t end = std::min(range.end, first + batch);
      core::Status status;
      try {
        status = work(first, end - first);
      } catch (const std::bad_alloc&) {  // must not leave the thread
        status = core::fail("io.out-of-memory");
      }
      if (!status) {
        walk.fail_at(first, std::move(status).error());
        return;
      }
      if (progress) {
        const std::scoped_lock lock(walk.mutex);
        walk.done_bytes += stored_bytes(image, first, end);
        progress(walk.done_bytes, total);
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 1; i < threads; ++i) workers.emplace_back(run);
    run();
  }
  if (walk.error) return std::unexpected(std::move(*walk.error));
  if (stop.stop_requested()) return core::fail("job.cancelled");
  return {};
}

core::Status verify_units(const OpenedImage& opened, const core::BlockSource& file, unsigned threads,
                          const Progress& progress, std::stop_token stop) {
  const UnitReader reader(opened, file);
  // Compressed blocks are held whole; chunks of the file only step by step, so that the lanes can always be full.
  const std::uint64_t batch = opened.image.is_compressed() ? reader.batch_size() : core::Sha256Lanes::kMaxLanes;
  return walk_units(
      opened.image, {0, hashed_units(opened.image)}, batch, threads,
      [&](std::uint64_t first, std::uint64_t count) { return reader.check(first, count); }, progress, stop);
}

core::Status check_locations(const Image& image) {
  for (std::size_t i = 0; i < image.stores.size(); ++i) {
    const auto size = disk_bytes_for(image, i, std::nullopt);
    if (!size) continue;  // the manifest does not say
    IMPRINT_TRY(const auto map, DiskMap::build(image.stores[i], *size));
  }
  return {};
}

}  // namespace imprint::ffu
