// SPDX-License-Identifier: GPL-3.0-or-later
// Sources and sinks of bytes at an offset: files, parts of them, memory, devices and what an FFU describes all look
// alike to the formats above. A source is never written to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "flash/core/bytes.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"

namespace imprint::core {

// Thread-safe: read_at may be called from several threads at once.
class BlockSource {
 public:
  BlockSource() = default;
  BlockSource(const BlockSource&) = delete;
  BlockSource& operator=(const BlockSource&) = delete;
  virtual ~BlockSource() = default;

  [[nodiscard]] virtual std::uint64_t size() const = 0;
  // Fills all of `out` or fails; `io.out-of-range` past the end, nothing is read then.
  [[nodiscard]] virtual Status read_at(std::uint64_t offset, ByteSpan out) const = 0;
  // The first run of data at or after `from`; zeros lie between (holes of a sparse file). Nothing at or after the end.
  // A source that cannot tell says that everything is data.
  [[nodiscard]] virtual Result<std::optional<Extent>> next_data(std::uint64_t from) const;

  // read_at into a new buffer. `length` is checked against the size first, so a lying field allocates nothing.
  [[nodiscard]] Result<ByteBuffer> read(std::uint64_t offset, std::uint64_t length) const;

 protected:
  [[nodiscard]] Status check_range(std::uint64_t offset, std::uint64_t length) const;
};

// Not thread-safe unless the implementation says so.
class BlockSink {
 public:
  BlockSink() = default;
  BlockSink(const BlockSink&) = delete;
  BlockSink& operator=(const BlockSink&) = delete;
  virtual ~BlockSink() = default;
  [[nodiscard]] virtual Status write_at(std::uint64_t offset, ByteView data) = 0;
  // Everything written is on stable storage when this returns.
  [[nodiscard]] virtual Status flush() = 0;
};

// A file or block device, read with pread. Holes are found with SEEK_DATA.
class FileSource final : public BlockSource {
 public:
  [[nodiscard]] static Result<std::unique_ptr<FileSource>> open(const std::filesystem::path& path);
  ~FileSource() override;
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] Status read_at(std::uint64_t offset, ByteSpan out) const override;
  [[nodiscard]] Result<std::optional<Extent>> next_data(std::uint64_t from) const override;

 private:
  FileSource(int fd, std::uint64_t size, std::string name) : fd_(fd), size_(size), name_(std::move(name)) {}
  int fd_;
  std::uint64_t size_;
  std::string name_;
};

// A new file (or one that is truncated) of a fixed size, sparse where nothing was written. Thread-safe for ranges that
// do not overlap. Writing past the size makes the file longer: callers check their ranges.
class FileSink final : public BlockSink {
 public:
  [[nodiscard]] static Result<std::unique_ptr<FileSink>> create(const std::filesystem::path& path, std::uint64_t size);
  ~FileSink() override;
  [[nodiscard]] Status write_at(std::uint64_t offset, ByteView data) override;
  [[nodiscard]] Status flush() override;

 private:
  FileSink(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  int fd_;
  std::string name_;
};

class MemorySource final : public BlockSource {
 public:
  explicit MemorySource(ByteBuffer bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] Status read_at(std::uint64_t offset, ByteSpan out) const override;

 private:
  ByteBuffer bytes_;
};

// A range of another source, as a source of its own: a partition of a disk.
class SliceSource final : public BlockSource {
 public:
  // `io.out-of-range` when the range does not lie in `parent`.
  [[nodiscard]] static Result<std::shared_ptr<SliceSource>> make(std::shared_ptr<const BlockSource> parent,
                                                                 std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] std::uint64_t size() const override { return length_; }
  [[nodiscard]] Status read_at(std::uint64_t offset, ByteSpan out) const override;
  [[nodiscard]] Result<std::optional<Extent>> next_data(std::uint64_t from) const override;

 private:
  SliceSource(std::shared_ptr<const BlockSource> parent, std::uint64_t offset, std::uint64_t length)
      : parent_(std::move(parent)), offset_(offset), length_(length) {}
  std::shared_ptr<const BlockSource> parent_;
  std::uint64_t offset_;
  std::uint64_t length_;
};

// Several sources laid over a disk of zeros: partition volumes and the sectors of the partition table, for the imaging
// engine. Pieces must not overlap and must lie in the disk (`io.out-of-range`).
class CompositeSource final : public BlockSource {
 public:
  explicit CompositeSource(std::uint64_t size) : size_(size) {}
  [[nodiscard]] Status add(std::uint64_t offset, std::shared_ptr<const BlockSource> piece);
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] Status read_at(std::uint64_t offset, ByteSpan out) const override;
  [[nodiscard]] Result<std::optional<Extent>> next_data(std::uint64_t from) const override;

 private:
  struct Piece {
    std::uint64_t offset;
    std::shared_ptr<const BlockSource> source;
  };
  std::uint64_t size_;
  std::vector<Piece> pieces_;  // by offset
};

}  // namespace imprint::core
