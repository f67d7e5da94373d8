// SPDX-License-Identifier: GPL-3.0-or-later
// Hands batches of units out to threads.
#include "flash/ffu/unit_walk.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <optional>

#include "flash/core/errors.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/ffu/parallel.hpp"

namespace imprint::ffu {
namespace {

constexpr unsigned kMaxThreads = 16;               // more would not be quicker than memory is
constexpr std::uint64_t kBufferBytes = 32U << 20;  // of all threads together

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

core::Status walk_units(const Image& image, const WalkPlan& plan,
                        const std::function<core::Status(std::uint64_t, std::uint64_t)>& work, const Progress& progress,
                        const std::stop_token& stop) {
  const UnitRange range = plan.range;
  const std::uint64_t total = stored_bytes(image, range.first, range.end);
  const auto affordable =
      static_cast<unsigned>(std::clamp<std::uint64_t>(kBufferBytes / plan.batch_bytes, 1, kMaxThreads));
  const unsigned threads = std::min(plan.threads == 0 ? usable_cores() : plan.threads, affordable);
  Walk walk;
  walk.next = range.first;
  const auto run = [&] {
    for (;;) {
      const std::uint64_t first = walk.next.fetch_add(plan.batch);
      if (first >= range.end || first > walk.lowest_bad.load() || stop.stop_requested()) return;
      const std::uint64_t end = std::min(range.end, first + plan.batch);
      core::Status status;
      try {
        status = work(first, end - first);
        if (status && progress) {
          const std::scoped_lock lock(walk.mutex);
          walk.done_bytes += stored_bytes(image, first, end);
          progress(walk.done_bytes, total);
        }
      } catch (const std::bad_alloc&) {  // must not leave the thread
        status = core::fail("io.out-of-memory");
      }
      if (!status) {
        walk.fail_at(first, std::move(status).error());
        return;
      }
    }
  };
  run_on_threads(threads, run);
  if (walk.error) return std::unexpected(std::move(*walk.error));
  if (stop.stop_requested()) return core::fail("job.cancelled");
  return {};
}

}  // namespace imprint::ffu
