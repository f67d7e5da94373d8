// SPDX-License-Identifier: GPL-3.0-or-later
// The parallel walk over an image's chunks.
#include "flash/ffu/chunk_verifier.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "flash/core/digest.hpp"
#include "flash/ffu/errors.hpp"

namespace imprint::ffu {
namespace {

// What the worker threads share. The first failure in file order is kept, so that the answer does not depend on timing.
struct Walk {
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> lowest_bad{UINT64_MAX};
  std::mutex mutex;
  std::optional<core::Error> error;

  void fail_at(std::uint64_t chunk, core::Error problem) {
    const std::scoped_lock lock(mutex);
    if (chunk < lowest_bad.load()) {
      lowest_bad = chunk;
      error = std::move(problem);
    }
  }
};

core::Status load_chunk(const OpenedImage& opened, const core::BlockSource& file, core::Extent extent,
                        core::ByteSpan out) {
  const std::uint64_t header_end = opened.header_area.size();
  std::uint64_t from_memory = 0;
  if (extent.offset < header_end) {
    from_memory = std::min(extent.length, header_end - extent.offset);
    std::copy_n(opened.header_area.begin() + static_cast<std::ptrdiff_t>(extent.offset), from_memory, out.begin());
  }
  if (from_memory == extent.length) return {};
  return file.read_at(extent.offset + from_memory, out.subspan(from_memory));
}

}  // namespace

core::Extent chunk_extent(const Image& image, std::uint64_t chunk) {
  const std::uint64_t offset = image.hashed_offset + chunk * image.chunk_size;
  return {offset, std::min<std::uint64_t>(image.chunk_size, image.file_size - offset)};
}

core::Status check_chunk(const Image& image, std::uint64_t chunk, core::ByteView bytes) {
  core::Sha256 digest;
  if (bytes.size() == image.chunk_size) {
    digest = core::sha256(bytes);
  } else {
    core::ByteBuffer extended(bytes.begin(), bytes.end());
    extended.resize(image.chunk_size);
    digest = core::sha256(extended);
  }
  if (!std::ranges::equal(digest, image.chunk_hash(chunk))) {
    return fail("image.hash-mismatch", "chunk " + std::to_string(chunk))
        .with("chunk", chunk)
        .with("offset", chunk_extent(image, chunk).offset);
  }
  return {};
}

core::Status verify_chunks(const OpenedImage& opened, const core::BlockSource& file, unsigned threads,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress, std::stop_token stop) {
  const Image& image = opened.image;
  const std::uint64_t total = image.file_size - image.hashed_offset;
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  Walk walk;
  const auto work = [&] {
    core::ByteBuffer buffer(image.chunk_size);
    for (;;) {
      const std::uint64_t chunk = walk.next.fetch_add(1);
      if (chunk >= image.chunk_count() || chunk > walk.lowest_bad.load() || stop.stop_requested()) return;
      const core::Extent extent = chunk_extent(image, chunk);
      const core::ByteSpan bytes = core::ByteSpan(buffer).first(extent.length);
      auto status = load_chunk(opened, file, extent, bytes);
      if (status) status = check_chunk(image, chunk, bytes);
      if (!status) {
        walk.fail_at(chunk, std::move(status).error());
        return;
      }
      const std::uint64_t done = walk.done_bytes.fetch_add(extent.length) + extent.length;
      if (progress) {
        const std::scoped_lock lock(walk.mutex);
        progress(done, total);
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 1; i < threads; ++i) workers.emplace_back(work);
    work();
  }
  if (walk.error) return std::unexpected(std::move(*walk.error));
  if (stop.stop_requested()) return core::fail("job.cancelled");
  return {};
}

}  // namespace imprint::ffu
