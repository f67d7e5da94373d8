// SPDX-License-Identifier: GPL-3.0-or-later
// A disk read and written around the page cache, with a deadline on each call: the kernel can hold a read from a dying
// card for minutes, and a slot must not wait that long.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "flash/core/block_io.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/result.hpp"

namespace imprint::devices {

// Thread-safe; calls are done one after the other by a thread of its own. Once a call did not end by its deadline, all
// later ones fail the same way, and the thread is left to the kernel with its file and buffer.
class DirectDisk {
 public:
  enum class Access { read, write };
  // Of `size` bytes. For writing alone, a block device is opened exclusively. `device.disk-in-use`,
  // `device.permission`, `device.not-present`, `io.open-failed`.
  [[nodiscard]] static core::Result<std::shared_ptr<DirectDisk>> open(const std::filesystem::path& node, Access access,
                                                                      std::uint64_t size,
                                                                      std::chrono::milliseconds limit);
  ~DirectDisk();
  DirectDisk(const DirectDisk&) = delete;
  DirectDisk& operator=(const DirectDisk&) = delete;

  [[nodiscard]] std::uint64_t size() const;
  // False where the file system refused to go around its cache (never so for a block device).
  [[nodiscard]] bool is_direct() const;
  // Any offset and length for reads; multiples of the sector for writes. `io.out-of-range`, `device.timed-out`,
  // `device.disconnected` when the disk has gone, `device.transfer-failed` for what the medium refuses.
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out);
  [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data);
  // Written data are on stable storage.
  [[nodiscard]] core::Status flush();

 private:
  class Worker;
  explicit DirectDisk(std::shared_ptr<Worker> worker);
  std::shared_ptr<Worker> worker_;
  std::thread thread_;
};

}  // namespace imprint::devices
