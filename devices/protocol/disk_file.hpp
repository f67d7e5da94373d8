// SPDX-License-Identifier: GPL-3.0-or-later
// The seam below a disk: the kernel's calls on a block device, any of which a test can let fail, hang or tell of
// another disk.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "devices/protocol/disk_ring.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices {

// An open disk, closed with its destruction. Every call may take as long as the kernel likes. One thread at a time.
class DiskFile {
 public:
  DiskFile() = default;
  DiskFile(const DiskFile&) = delete;
  DiskFile& operator=(const DiskFile&) = delete;
  virtual ~DiskFile() = default;

  // The kernel's number for the disk ("8:16"), and the one that is another for each medium that it has seen.
  struct Identity {
    std::string number;
    std::uint64_t sequence = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  // Each returns what it is about, or the errno.
  [[nodiscard]] virtual std::expected<Identity, int> identity() = 0;
  [[nodiscard]] virtual std::expected<std::size_t, int> read(std::uint64_t offset, core::ByteSpan out) = 0;
  [[nodiscard]] virtual std::expected<std::size_t, int> write(std::uint64_t offset, core::ByteView data) = 0;
  [[nodiscard]] virtual std::expected<void, int> flush() = 0;
  // Lets the medium go (SCSI START STOP UNIT with LOEJ).
  [[nodiscard]] virtual std::expected<void, int> eject(std::chrono::milliseconds limit) = 0;
  // EOPNOTSUPP where the disk knows no such command.
  [[nodiscard]] virtual std::expected<void, int> erase(engine::EraseWay /*way*/, core::Extent /*extent*/) {
    return std::unexpected(EOPNOTSUPP);
  }
  // `depth` transfers in flight at once, or why there are none. It does not outlive the disk.
  [[nodiscard]] virtual std::expected<std::unique_ptr<DiskRing>, int> ring(unsigned /*depth*/) {
    return std::unexpected(ENOSYS);
  }
  // False where the disk refuses to be used around the page cache. Reads then throw away what is cached of the place.
  [[nodiscard]] virtual bool is_direct() const { return true; }
};

enum class DiskAccess { read, write };
// Around the page cache; buffers, offsets and lengths are multiples of the disk's sector, buffers lie at multiples of
// 4096. Exclusively, so that nothing is mounted from the disk, or built upon it, until it is closed; EBUSY where
// something is.
using OpenDiskFile =
    std::function<std::expected<std::unique_ptr<DiskFile>, int>(const std::filesystem::path& node, DiskAccess access)>;
[[nodiscard]] std::expected<std::unique_ptr<DiskFile>, int> open_block_device(const std::filesystem::path& node,
                                                                              DiskAccess access);

}  // namespace imprint::devices
