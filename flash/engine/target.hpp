// SPDX-License-Identifier: GPL-3.0-or-later
// What the engine asks of a device, and what it gives it. devices/protocol implements targets; the engine knows no USB.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"

namespace imprint::engine {

struct DiskGeometry {
  std::uint32_t sector_size = 0;  // bytes
  std::uint64_t size = 0;         // bytes
};

struct DeviceIdentity {
  std::string protocol;              // "simple-io"
  std::string platform_id;           // "Manufacturer.Family.Product.Version", control characters replaced
  std::string serial;                // the device's own, e.g. Simple I/O's serial GUID
  std::string unique_id;             // the device's unique id, when the protocol has one
  std::optional<DiskGeometry> disk;  // when the device can tell
};

// The bytes of one verified image for one target: every byte that comes out was checked. Any number may read at once.
class ImageStream {
 public:
  ImageStream() = default;
  ImageStream(const ImageStream&) = delete;
  ImageStream& operator=(const ImageStream&) = delete;
  virtual ~ImageStream() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  // Fills `out`, or `image.hash-mismatch`, `image.read-failed`.
  [[nodiscard]] virtual core::Status read(std::uint64_t offset, core::ByteSpan out) = 0;
  // A value that depends on the image alone (a packet's CRC), computed by the first target that asks and shared by all.
  // `family` tells kinds of values apart (a packet size, for one).
  [[nodiscard]] virtual std::uint32_t shared_value(std::uint64_t family, std::uint64_t index,
                                                   const std::function<std::uint32_t()>& compute) = 0;
};

// Called from the target's own thread.
class TransferObserver {
 public:
  TransferObserver() = default;
  TransferObserver(const TransferObserver&) = delete;
  TransferObserver& operator=(const TransferObserver&) = delete;
  virtual ~TransferObserver() = default;
  virtual void on_bytes(std::uint64_t done) = 0;          // bytes the device has taken, of the whole due
  virtual void on_device_log(std::string_view line) = 0;  // already printable
};

// A device that takes the FFU file from byte 0 and applies it itself. One thread at a time. Every call ends by its own
// deadline. A call after `device.disconnected` fails the same way.
class StreamTarget {
 public:
  StreamTarget() = default;
  StreamTarget(const StreamTarget&) = delete;
  StreamTarget& operator=(const StreamTarget&) = delete;
  virtual ~StreamTarget() = default;

  [[nodiscard]] virtual core::Result<DeviceIdentity> identify() = 0;
  // Sends the whole image. Good only when the device gave its own final confirmation. `job.cancelled` on a stop
  // request.
  [[nodiscard]] virtual core::Status flash(ImageStream& image, TransferObserver& observer, std::stop_token stop) = 0;
  // The device's disk, for read-back and the rules; `device.read-back-unsupported`. The target outlives the source.
  [[nodiscard]] virtual core::Result<std::shared_ptr<const core::BlockSource>> open_disk() = 0;
  [[nodiscard]] virtual core::Status reboot() = 0;
};

}  // namespace imprint::engine
