// SPDX-License-Identifier: GPL-3.0-or-later
// Reads hashed units of an image: from the file, decompressed where they are compressed, and checked against the hash
// table before a byte of them is handed on.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/compression.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

// Thread-safe. Keeps references: the image and the file outlive it.
class UnitReader {
 public:
  UnitReader(const OpenedImage& opened, const core::BlockSource& file) : opened_(opened), file_(file) {}

  // The unit's bytes as they lie in the file and as they are plain. In an uncompressed unit `plain` stays empty: it is
  // `stored`. `image.hash-mismatch`, `image.read-failed`; nothing is valid then.
  struct Unit {
    core::ByteBuffer stored;
    core::ByteBuffer plain;
    [[nodiscard]] const core::ByteBuffer& plain_bytes() const { return plain.empty() ? stored : plain; }
  };
  // `reused`: a unit that is not needed any more; its memory is used again.
  [[nodiscard]] core::Result<Unit> load(std::uint64_t index, Unit reused = {}) const;

  // The plain bytes of units [first, first + count), one behind the other, hashed side by side. `out` has exactly their
  // size. On an error `out` holds bytes that nobody vouches for.
  [[nodiscard]] core::Status load_plain(std::uint64_t first, std::uint64_t count, core::ByteSpan out) const;
  // The same without keeping the bytes: for verification. Needs memory for a part of each unit only, where units are
  // not compressed.
  [[nodiscard]] core::Status check(std::uint64_t first, std::uint64_t count) const;

  // How many units are worth loading at once: as many as are hashed side by side, within about 2 MiB.
  [[nodiscard]] std::uint64_t batch_size() const;
  // Memory that such a batch takes at most.
  [[nodiscard]] std::uint64_t batch_bytes() const;

 private:
  [[nodiscard]] std::uint64_t unit_bytes() const;  // of the largest unit
  [[nodiscard]] core::Status read_stored(core::Extent extent, core::ByteSpan out) const;
  [[nodiscard]] core::Status read_plain(const HashedUnit& unit, core::ByteSpan out) const;
  [[nodiscard]] core::Status settle(const HashedUnit& unit, core::ByteView stored, core::ByteSpan plain) const;
  [[nodiscard]] core::Status load_batch(std::uint64_t first, std::uint64_t count, core::ByteSpan bytes) const;
  [[nodiscard]] core::Status check_slowly(std::uint64_t index, core::ByteSpan plain) const;
  [[nodiscard]] core::Status check_one_by_one(std::uint64_t first, std::uint64_t count) const;
  [[nodiscard]] core::Status check_in_steps(std::uint64_t first, std::uint64_t count) const;

  const OpenedImage& opened_;
  const core::BlockSource& file_;
  // What the header's number for the compression turned out to mean; none: no compressed block was seen yet.
  mutable std::atomic<Compression> settled_{Compression::none};
};

// The plain image as a source: every byte is checked each time it is read. Long reads are the quick ones. Keeps the
// opened image and the file alive.
class PlainSource final : public core::BlockSource {
 public:
  PlainSource(std::shared_ptr<const OpenedImage> opened, std::shared_ptr<const core::BlockSource> file)
      : opened_(std::move(opened)), file_(std::move(file)), reader_(*opened_, *file_) {}
  [[nodiscard]] std::uint64_t size() const override { return opened_->image.plain_size; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override;
  [[nodiscard]] const UnitReader& reader() const { return reader_; }
  [[nodiscard]] const OpenedImage& opened() const { return *opened_; }

 private:
  std::shared_ptr<const OpenedImage> opened_;
  std::shared_ptr<const core::BlockSource> file_;
  UnitReader reader_;
};

}  // namespace imprint::ffu
