// SPDX-License-Identifier: GPL-3.0-or-later
// What the engine asks of a device, and what it gives it. devices/protocol implements targets; the engine knows no USB.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/queued_disk.hpp"

namespace imprint::engine {

struct DiskGeometry {
  std::uint32_t sector_size = 0;  // bytes
  std::uint64_t size = 0;         // bytes
};

struct DeviceIdentity {
  std::string protocol;              // "simple-io", "ufp", "mass-storage"
  std::string platform_id;           // "Manufacturer.Family.Product.Version", control characters replaced
  std::string serial;                // the device's own, e.g. Simple I/O's serial GUID
  std::string unique_id;             // the device's unique id, when the protocol has one
  std::optional<DiskGeometry> disk;  // when the device can tell
  bool is_bare_disk = false;         // it says nothing of its platform, and the host applies the image's writes
  // What else it tells of itself, for the records: names and values in plain words, with units, printable. No rule
  // reads them.
  std::vector<std::pair<std::string, std::string>> details;
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

class StreamTarget;
class BlockTarget;

// A device that an image can be put onto. One thread at a time. Every call ends by its own deadline. A call after
// `device.disconnected` fails the same way.
class Target {
 public:
  Target() = default;
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  virtual ~Target() = default;

  [[nodiscard]] virtual core::Result<DeviceIdentity> identify() = 0;
  // Can its disk be read back at all? Asked before anything is written: a device that could be read and cannot any more
  // has failed.
  [[nodiscard]] virtual core::Result<bool> is_readable() { return true; }
  // The device that it speaks to is the one that was identified: not so once another came back to the port, or one that
  // could not be asked who it is.
  [[nodiscard]] virtual bool is_sure_of_device() const { return true; }
  // The device's disk, for read-back and the rules, around any cache; `device.read-back-unsupported`. The target
  // outlives the source.
  [[nodiscard]] virtual core::Result<std::shared_ptr<const core::BlockSource>> open_disk() = 0;
  [[nodiscard]] virtual core::Status reboot() = 0;
  // How often the target was given a device again that had left the bus, also because it was told to, or that it had
  // let go of, in the middle of a job: once for each new transport or disk of the bus, whatever became of the job, and
  // however often the device came and went meanwhile. A job that went on over the same transport, after a stall or a
  // time-out, does not count. Whoever is told of arrivals need not begin with that many of them again.
  [[nodiscard]] virtual unsigned recoveries() const { return 0; }

  // After a PASS. `device.after-pass-unsupported` where the protocol has no such command.
  [[nodiscard]] virtual core::Status power_off();
  [[nodiscard]] virtual core::Status switch_to_mass_storage();

  // The job's stop request: calls that know no token of their own end soon after it, where the target can do that.
  virtual void stop_with(const std::stop_token& /*job*/) {}

  // The device's disk with several reads in flight, where the target can; else one by one over open_disk().
  [[nodiscard]] virtual core::Result<std::unique_ptr<QueuedDisk>> open_queue();

  // Exactly one of them is this target.
  [[nodiscard]] virtual StreamTarget* as_stream() { return nullptr; }
  [[nodiscard]] virtual BlockTarget* as_block() { return nullptr; }
};

// Takes the FFU file from byte 0 and applies it itself.
class StreamTarget : public Target {
 public:
  // Sends the whole image. Good only when the device gave its own final confirmation. `job.cancelled` on a stop
  // request.
  [[nodiscard]] virtual core::Status flash(ImageStream& image, TransferObserver& observer, std::stop_token stop) = 0;
  [[nodiscard]] StreamTarget* as_stream() final { return this; }
};

// A disk: the host applies the image's writes (flash/engine/block_writer.hpp).
class BlockTarget : public Target {
 public:
  // For this caller alone, until the sink is destroyed; the target outlives it. Every write and flush ends by its own
  // deadline and goes around any cache. Offsets and lengths are multiples of the disk's sector.
  [[nodiscard]] virtual core::Result<std::unique_ptr<core::BlockSink>> open_for_writing() = 0;
  // The same, to be read, too, with several requests in flight where the target can; else one by one over
  // open_for_writing() and open_disk().
  [[nodiscard]] virtual core::Result<std::unique_ptr<QueuedDisk>> open_queue_for_writing();
  [[nodiscard]] BlockTarget* as_block() final { return this; }
};

}  // namespace imprint::engine
