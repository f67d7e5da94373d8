// SPDX-License-Identifier: GPL-3.0-or-later
// Batches of chunks and blocks, hashed side by side and compressed in parallel.
#include "flash/ffu/payload_writer.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

#include "flash/core/errors.hpp"
#include "flash/core/sha256_lanes.hpp"
#include "flash/ffu/parallel.hpp"

namespace imprint::ffu {
namespace {

constexpr std::uint64_t kBatchBytes = 2U << 20;

// As many pieces as are hashed side by side, within kBatchBytes; at least one.
std::uint64_t batch_of(std::uint64_t piece) {
  return piece * std::clamp<std::uint64_t>(kBatchBytes / piece, 1, core::Sha256Lanes::kMaxLanes);
}

void append_hashes(core::ByteView data, std::uint32_t piece, core::ByteBuffer& table) {
  std::vector<core::ByteView> pieces;
  for (std::size_t at = 0; at < data.size(); at += piece) pieces.push_back(data.subspan(at, piece));
  std::vector<core::Sha256> digests(pieces.size());
  core::sha256_many(pieces, digests);
  for (const core::Sha256& digest : digests) table.insert(table.end(), digest.begin(), digest.end());
}

}  // namespace

ChunkWriter::ChunkWriter(core::BlockSink& sink, std::uint64_t offset, std::uint32_t chunk_size)
    : sink_(sink), offset_(offset), chunk_size_(chunk_size), pending_(batch_of(chunk_size)) {}

core::Status ChunkWriter::advance(std::uint64_t count) {
  filled_ += count;
  return filled_ == pending_.size() ? flush() : core::Status{};
}

core::Status ChunkWriter::append(core::ByteView data) {
  while (!data.empty()) {
    const core::ByteView part = data.first(std::min(data.size(), space().size()));
    std::ranges::copy(part, space().begin());
    data = data.subspan(part.size());
    IMPRINT_CHECK(advance(part.size()));
  }
  return {};
}

core::Status ChunkWriter::flush() {
  const core::ByteView data = core::ByteView(pending_).first(filled_);
  append_hashes(data, chunk_size_, hash_table_);
  IMPRINT_CHECK(sink_.write_at(offset_, data));
  const auto last = std::ranges::find_if(data.rbegin(), data.rend(), [](std::uint8_t byte) { return byte != 0; });
  const auto zeros = static_cast<std::uint64_t>(last - data.rbegin());
  zero_tail_ = zeros == filled_ ? zero_tail_ + zeros : zeros;
  offset_ += filled_;
  filled_ = 0;
  return {};
}

core::Status ChunkWriter::finish() {
  if (filled_ == 0) return {};
  const std::uint64_t whole = core::round_up(filled_, chunk_size_);
  std::ranges::fill(core::ByteSpan(pending_).subspan(filled_, whole - filled_), std::uint8_t{0});
  filled_ = whole;
  return flush();
}

std::uint64_t BlockWriter::batch_bytes() const { return batch_of(block_size_); }

core::Status BlockWriter::append(core::ByteView blocks) {
  append_hashes(blocks, block_size_, hash_table_);
  const std::size_t count = blocks.size() / block_size_;
  std::vector<std::optional<core::ByteBuffer>> compressed(count);
  std::atomic<std::size_t> next{0};
  std::atomic<bool> out_of_memory{false};
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++)
        compressed[i] = compress(compression_, blocks.subspan(i * block_size_, block_size_));
    } catch (const std::bad_alloc&) {  // must not leave the thread
      out_of_memory = true;
    }
  };
  run_on_threads(static_cast<unsigned>(std::min<std::size_t>(usable_cores(), count)), work);
  if (out_of_memory) return core::fail("io.out-of-memory");
  core::ByteBuffer stored;
  for (std::size_t i = 0; i < count; ++i) {
    const core::ByteView bytes =
        compressed[i] ? core::ByteView(*compressed[i]) : blocks.subspan(i * block_size_, block_size_);
    stored.insert(stored.end(), bytes.begin(), bytes.end());
    stored_sizes_.push_back(static_cast<std::uint32_t>(bytes.size()));
  }
  IMPRINT_CHECK(sink_.write_at(offset_, stored));
  offset_ += stored.size();
  return {};
}

}  // namespace imprint::ffu
