// SPDX-License-Identifier: GPL-3.0-or-later
// The hashed part of an FFU on its way into a file: bytes in, hashes of chunks or blocks out. Private to this folder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/compression.hpp"

namespace imprint::ffu {

// Appends bytes to the sink in whole chunks and collects the hash of each. Memory: a few MiB, or one chunk.
class ChunkWriter {
 public:
  ChunkWriter(core::BlockSink& sink, std::uint64_t offset, std::uint32_t chunk_size);

  // Where the next bytes go, at least one; advance() says how many were put there.
  [[nodiscard]] core::ByteSpan space() { return core::ByteSpan(pending_).subspan(filled_); }
  core::Status advance(std::uint64_t count);
  core::Status append(core::ByteView data);
  // Zeros up to the end of the last chunk, as Microsoft's writer does.
  core::Status finish();

  [[nodiscard]] const core::ByteBuffer& hash_table() const { return hash_table_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }        // of the file, behind what was written
  [[nodiscard]] std::uint64_t zero_tail() const { return zero_tail_; }  // bytes of zeros at the end of it

 private:
  core::Status flush();
  core::BlockSink& sink_;
  std::uint64_t offset_;
  std::uint32_t chunk_size_;
  core::ByteBuffer pending_;
  std::uint64_t filled_ = 0;
  std::uint64_t zero_tail_ = 0;
  core::ByteBuffer hash_table_;
};

// Appends blocks to the sink, compressed where that makes them smaller, on all cores; the result does not depend on how
// many there are.
class BlockWriter {
 public:
  BlockWriter(core::BlockSink& sink, std::uint64_t offset, std::uint32_t block_size, Compression compression)
      : sink_(sink), offset_(offset), block_size_(block_size), compression_(compression) {}

  // Whole blocks.
  core::Status append(core::ByteView blocks);
  // How many bytes to hand in at once.
  [[nodiscard]] std::uint64_t batch_bytes() const;

  [[nodiscard]] const core::ByteBuffer& hash_table() const { return hash_table_; }
  [[nodiscard]] const std::vector<std::uint32_t>& stored_sizes() const {
    return stored_sizes_;
  }  // bytes, of each block
  [[nodiscard]] std::uint64_t offset() const { return offset_; }

 private:
  core::BlockSink& sink_;
  std::uint64_t offset_;
  std::uint32_t block_size_;
  Compression compression_;
  core::ByteBuffer hash_table_;
  std::vector<std::uint32_t> stored_sizes_;
};

}  // namespace imprint::ffu
