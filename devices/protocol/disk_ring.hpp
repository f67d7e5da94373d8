// SPDX-License-Identifier: GPL-3.0-or-later
// Several transfers of one disk in flight, from one thread. A seam, so that a test can let any of them fail, fall short
// or hang.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>

#include "flash/core/bytes.hpp"

namespace imprint::devices {

// One thread, but for wake(). Destroyed with nothing in flight: until a transfer is done, the kernel uses its bytes.
class DiskRing {
 public:
  struct Transfer {
    bool is_read = false;
    unsigned id = 0;                          // comes back with its end
    std::uint64_t offset = 0;                 // bytes
    core::ByteSpan bytes;                     // as a DiskFile wants them
    std::span<const core::ByteView> parts{};  // to be written one behind the other, instead
  };
  struct Done {
    unsigned id = 0;
    std::expected<std::size_t, int> moved;  // bytes, or the errno
  };

  DiskRing() = default;
  DiskRing(const DiskRing&) = delete;
  DiskRing& operator=(const DiskRing&) = delete;
  virtual ~DiskRing() = default;

  // Or the errno; nothing was started then.
  [[nodiscard]] virtual std::expected<void, int> start(const Transfer& transfer) = 0;
  // One that is done; nothing after a wake(). May take as long as the kernel likes.
  [[nodiscard]] virtual std::expected<std::optional<Done>, int> wait() = 0;
  // Ends the present or the next wait(). From any thread.
  virtual void wake() = 0;
};

// io_uring on an open file, which outlives it. ENOSYS or EPERM where the system does not offer it.
[[nodiscard]] std::expected<std::unique_ptr<DiskRing>, int> open_ring(int file, unsigned depth);

}  // namespace imprint::devices
