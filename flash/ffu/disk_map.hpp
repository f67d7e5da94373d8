// SPDX-License-Identifier: GPL-3.0-or-later
// Which byte of an FFU's plain payload ends up where on a disk, after all descriptors were applied in order: the last
// write to a place wins.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

struct MappedRun {
  std::uint64_t disk_offset = 0;   // bytes
  std::uint64_t length = 0;        // bytes
  std::uint64_t plain_offset = 0;  // bytes from the plain image's start
  [[nodiscard]] std::uint64_t disk_end() const { return disk_offset + length; }
};

class DiskMap {
 public:
  // For a disk of `disk_bytes`. `ffu.location-out-of-disk` names the descriptor and the location's offset in the file.
  [[nodiscard]] static core::Result<DiskMap> build(const Store& store, std::uint64_t disk_bytes);

  [[nodiscard]] const std::vector<MappedRun>& runs() const { return runs_; }  // ascending, none overlap
  [[nodiscard]] std::uint64_t disk_bytes() const { return disk_bytes_; }
  [[nodiscard]] std::uint64_t described_bytes() const;
  // The runs that touch [offset, offset + length), cut to it.
  [[nodiscard]] std::vector<MappedRun> within(std::uint64_t offset, std::uint64_t length) const;

 private:
  std::vector<MappedRun> runs_;
  std::uint64_t disk_bytes_ = 0;
};

// The disk that a store describes; what it leaves out reads as zeros and is a hole. `plain` is the plain image: one
// that checks what it reads (PlainSource, or engine::VerifiedImage where bytes are read again and again).
class DescribedDisk final : public core::BlockSource {
 public:
  DescribedDisk(DiskMap map, std::shared_ptr<const core::BlockSource> plain)
      : map_(std::move(map)), plain_(std::move(plain)) {}
  [[nodiscard]] std::uint64_t size() const override { return map_.disk_bytes(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override;
  [[nodiscard]] core::Result<std::optional<core::Extent>> next_data(std::uint64_t from) const override;
  [[nodiscard]] const DiskMap& map() const { return map_; }

 private:
  DiskMap map_;
  std::shared_ptr<const core::BlockSource> plain_;
};

// The size of the disk that store `index` is made for: `requested` where given, or MinSectorCount of the manifest.
// `ffu.store-missing`, `ffu.disk-size-unknown`.
[[nodiscard]] core::Result<std::uint64_t> disk_bytes_for(const Image& image, std::size_t index,
                                                         std::optional<std::uint64_t> requested);

}  // namespace imprint::ffu
