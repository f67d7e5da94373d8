// SPDX-License-Identifier: GPL-3.0-or-later
// A device as the wire sees it: bulk transfers in and out, a halt, and what its USB descriptors say. Each protocol has
// an implementation; cables, buses and the USB/IP server know only this.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "devices/protocol/usb_identity.hpp"
#include "flash/core/bytes.hpp"

namespace imprint::virtual_device {

class VirtualStorage;

// Thread-safe.
class VirtualDevice {
 public:
  VirtualDevice() = default;
  VirtualDevice(const VirtualDevice&) = delete;
  VirtualDevice& operator=(const VirtualDevice&) = delete;
  virtual ~VirtualDevice() = default;

  enum class Outcome {
    taken,
    busy,          // too many answers wait; a real endpoint would answer NAK until the host reads
    disconnected,  // the fault script pulled the cable: the transfer did not arrive
    rebooting      // taken, and the device is gone now
  };
  // One OUT transfer.
  [[nodiscard]] virtual Outcome receive(core::ByteView transfer) = 0;

  struct Reply {
    enum class Kind { none, data, stall, overflow } kind = Kind::none;
    std::size_t size = 0;  // bytes put into the buffer
    bool leaves = false;   // the device is gone once the host has this
  };
  // One IN transfer. As on USB, one that does not fit goes on in the next read where the buffer is a multiple of the
  // endpoint's packet, and is lost as an overflow where it is not.
  [[nodiscard]] virtual Reply reply(core::ByteSpan buffer) = 0;
  // The host cleared the halt.
  virtual void clear_halt() = 0;
  // Power was lost: everything is forgotten but the disk.
  virtual void power_cut() = 0;

  // In mass-storage mode: what the host's kernel would make a disk of.
  struct Disk {
    std::shared_ptr<VirtualStorage> storage;
    std::uint32_t sector_size = 0;  // bytes
  };
  [[nodiscard]] virtual std::optional<Disk> disk() const { return std::nullopt; }

  // What its descriptors say.
  [[nodiscard]] virtual devices::UsbIdentity usb_identity() const = 0;
  // Of the link, both ways together; 0: as fast as it goes.
  [[nodiscard]] virtual std::uint64_t bytes_per_second() const = 0;
  // Of each transfer, beside the time that its bytes take.
  [[nodiscard]] virtual std::chrono::milliseconds latency() const { return {}; }
  // How long a transfer has the link.
  [[nodiscard]] std::chrono::duration<double> link_time(std::size_t bytes) const {
    const std::uint64_t rate = bytes_per_second();
    const std::chrono::duration<double> moving(rate == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(rate));
    return latency() + moving;
  }
};

}  // namespace imprint::virtual_device
