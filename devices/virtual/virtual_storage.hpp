// SPDX-License-Identifier: GPL-3.0-or-later
// The disk of a virtual device: full of old contents (a fill byte) wherever nothing was written, and as small on the
// host as what was written. Old contents show up an image that leaves out a block which it should have written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>

#include "flash/core/block_io.hpp"
#include "flash/core/extent_set.hpp"

namespace imprint::virtual_device {

// Thread-safe. The file has no name: its space is free again when the object goes, also after a crash.
class VirtualStorage final : public core::BlockSource, public core::BlockSink {
 public:
  static constexpr std::uint8_t kOldContents = 0xA5;

  // `folder` has to exist; `io.not-found`, `io.permission`, `io.write-failed`.
  [[nodiscard]] static core::Result<std::shared_ptr<VirtualStorage>> create(const std::filesystem::path& folder,
                                                                            std::uint64_t size,
                                                                            std::uint8_t fill = kOldContents);
  ~VirtualStorage() override;

  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override;
  // `io.out-of-range` past the end, `io.disk-full` when the host's disk is.
  [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override;
  // Virtual storage lives as long as its object; nothing has to reach a disk.
  [[nodiscard]] core::Status flush() override { return {}; }
  [[nodiscard]] core::ExtentSet written() const;
  // From now on reads and writes that touch these bytes fail (`io.read-failed`, `io.write-failed`) and move nothing;
  // an empty extent: none do.
  void set_bad(core::Extent bytes);

 private:
  // With the mutex held.
  [[nodiscard]] bool is_bad(std::uint64_t offset, std::uint64_t length) const {
    return bad_.length != 0 && offset < bad_.end() && bad_.offset < offset + length;
  }

  VirtualStorage(int file, std::uint64_t size, std::uint8_t fill) : file_(file), size_(size), fill_(fill) {}

  int file_;
  std::uint64_t size_;
  std::uint8_t fill_;
  mutable std::mutex mutex_;
  core::ExtentSet written_;
  core::Extent bad_{};
};

}  // namespace imprint::virtual_device
