// SPDX-License-Identifier: GPL-3.0-or-later
// A disk read and written around the page cache, with a deadline on each call: the kernel can hold a call to a dying
// card for minutes, and a slot must not wait that long.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "devices/protocol/disk_file.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"

namespace imprint::devices {

struct DirectDiskSetup {
  std::filesystem::path node;
  DiskAccess access = DiskAccess::read;
  DiskFile::Identity identity;      // of the disk that is meant
  std::uint64_t size = 0;           // bytes
  std::chrono::milliseconds limit;  // of each call
  // Asked after a call failed: is the disk still there? One that was pulled answers with errors of any kind.
  std::function<bool()> is_there;
  OpenDiskFile open = open_block_device;
  std::stop_token stop = {};  // the job's: a request ends every wait
};

class DiskWorker;

// Thread-safe; calls are done by a thread of its own, from opening to closing. Once a call did not end by its deadline,
// all later ones fail the same way, and the thread is left to the kernel with its file and buffers. Holds kBufferBytes,
// and kQueueBuffers of the engine's for as long as there is a queue.
class DirectDisk : public std::enable_shared_from_this<DirectDisk> {
 public:
  static constexpr std::size_t kBufferBytes = 512U << 10;
  static constexpr unsigned kQueueBuffers = 4;

  // Exclusively. `device.disk-in-use`, `device.permission`, `device.not-present`, `device.disk-changed` when the node
  // leads to another disk than is meant, `device.timed-out`, `io.open-failed`.
  [[nodiscard]] static core::Result<std::shared_ptr<DirectDisk>> open(DirectDiskSetup setup);
  // Waits for the disk to be closed, but no longer than two seconds, or half a second where it hangs.
  ~DirectDisk();
  DirectDisk(const DirectDisk&) = delete;
  DirectDisk& operator=(const DirectDisk&) = delete;

  [[nodiscard]] std::uint64_t size() const;
  // Any offset and length for reads; multiples of the sector for writes. `io.out-of-range`, `device.timed-out`,
  // `device.disconnected` when the disk has gone, `device.transfer-failed` for what the medium refuses.
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out);
  [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data);
  // Written data are on stable storage.
  [[nodiscard]] core::Status flush();
  // `device.unsupported-command` where the disk has nothing to eject.
  [[nodiscard]] core::Status eject();
  // Several transfers in flight; one after the other where the kernel refuses that, which the queue's notes then say.
  // Keeps the disk open. A request that hangs keeps its buffer when the queue is destroyed.
  [[nodiscard]] core::Result<std::unique_ptr<engine::QueuedDisk>> open_queue();

 private:
  explicit DirectDisk(std::shared_ptr<DiskWorker> worker);
  std::shared_ptr<DiskWorker> worker_;
  std::thread thread_;
};

}  // namespace imprint::devices
