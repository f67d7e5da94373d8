// SPDX-License-Identifier: GPL-3.0-or-later
// Every number of the Simple I/O protocol, in one place. The facts rest on one published analysis of how the existing
// flashing tool behaves; no capture from a device was seen. A number that a real device proves wrong is corrected here,
// and both the host's and the virtual device's side follow.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "flash/core/guid.hpp"
#include "flash/core/wire.hpp"

namespace imprint::devices::simple_io {

// Each command starts with one bulk OUT transfer of this one byte. The same numbers mark the device's answers.
enum class Opcode : std::uint8_t {
  id = 1,
  flash = 2,
  ack = 3,
  nack = 4,
  log = 5,
  error = 6,
  skip = 7,
  reset = 8,
  reboot = 10,
  mass_storage = 11,
  get_disk_info = 12,
  read_disk = 13,
  write_disk = 14,
  clear_id_override = 15,
  serial_number = 17,
  set_boot_mode = 19,
  fast_flash = 20,
  device_parameters = 21,
  query_for_command = 23
};

// What the device's USB descriptors say.
inline constexpr std::uint16_t kVendorId = 0x045E;
inline constexpr std::uint16_t kProductId = 0x062A;

inline constexpr std::size_t kPacketDataSize = 262144;  // image bytes in a packet, zero-padded
inline constexpr std::size_t kTransferSize = 16376;     // bytes of one USB transfer of a packet, and of a read
inline constexpr std::size_t kUsbPacketSize = 512;      // bulk endpoint at high speed
inline constexpr std::size_t kJunkReadSize = 16384;     // whole USB packets, so that nothing that comes overflows

// The fast flow: the device names its sizes, or (compatible flavour) they are these.
inline constexpr std::size_t kMaxPacketDataSize = 8388608;
inline constexpr std::size_t kCompatibleFastTransferSize = 8388600;
inline constexpr std::size_t kCompatibleFastPacketDataSize = 8388608;
// The host looks for the device's complaint at least so often, in image bytes.
inline constexpr std::uint64_t kFastErrorPollBytes = 8388608;

// Waits, each with its own name so that an error can say what it waited for.
inline constexpr std::chrono::seconds kIdLimit{2};
inline constexpr std::chrono::seconds kFlashTransferLimit{60};
inline constexpr std::chrono::seconds kDiskReadLimit{60};
inline constexpr std::chrono::seconds kDiskWriteLimit{60};
inline constexpr std::chrono::seconds kMiscLimit{5};
inline constexpr std::chrono::seconds kReturnLimit{30};             // for a device to be back after a bus error
inline constexpr std::chrono::milliseconds kReturnSlice{500};       // of it, before a stop request is looked at
inline constexpr std::chrono::milliseconds kSettleTime{1000};       // before a recovered device is asked for its id
inline constexpr std::chrono::milliseconds kJunkLimit{100};         // for each transfer that only clears the way
inline constexpr std::chrono::seconds kDrainLimit{5};               // for all that is read to clear it
inline constexpr std::chrono::milliseconds kFastErrorPollLimit{1};  // between packets of the fast flow
inline constexpr std::chrono::milliseconds kFastErrorExplainLimit{1000};  // after a transfer of it failed

// Recovery after a bus error.
inline constexpr int kJunkRounds = 3;
inline constexpr int kJunkWrites = 17;
inline constexpr int kMaxRestarts = 3;     // from the start of the image, in one job
inline constexpr int kMaxRecoveries = 10;  // of any kind, in one job

// What is under way when a job is told to stop has this long to come to its end.
inline constexpr std::chrono::milliseconds kStopGrace{500};

// Limits against devices that talk without end.
inline constexpr std::size_t kMaxPlatformIdBytes = 1024;
inline constexpr std::size_t kMaxLogTextBytes = 1024;           // kept of one record
inline constexpr std::size_t kMaxLogRecordsKept = 256;          // the latest ones
inline constexpr std::size_t kMaxLogRecords = 10000;            // in one job; more is a violation
inline constexpr int kMaxResends = 10;                          // of one packet
inline constexpr std::size_t kMaxJunkReads = 256;               // until a pipe counts as one that is never empty
inline constexpr std::size_t kMaxLeftovers = 16;                // codes before an answer
inline constexpr std::size_t kDiskReadCommandBytes = 1U << 20;  // asked for at once by ReadDisk

// Start of the Id answer; a string follows: its length in bytes in groups of 7 bits, low group first, then UTF-8.
struct IdHeader {
  std::uint64_t position = 0;  // image bytes taken so far; signed on the wire
  std::array<std::uint8_t, 16> capability{};
  core::Guid unique_id;
  static constexpr auto fields() {
    return std::tuple(&IdHeader::position, &IdHeader::capability, &IdHeader::unique_id);
  }
};

struct DiskInfo {
  std::uint32_t transfer_size = 0;  // bytes of one IN transfer of ReadDisk; signed on the wire
  std::uint32_t block_size = 0;     // bytes
  std::uint64_t last_block = 0;
  static constexpr auto fields() {
    return std::tuple(&DiskInfo::transfer_size, &DiskInfo::block_size, &DiskInfo::last_block);
  }
};

// The answer to FastFlash, but for the compatible flavour.
struct FastParameters {
  std::uint8_t kind = 0;            // Opcode::device_parameters
  std::uint32_t size = 0;           // bytes of this structure
  std::uint32_t transfer_size = 0;  // bytes of one USB transfer, at least kTransferSize
  std::uint32_t packet_data_size =
      0;  // image bytes in a packet: a multiple of kPacketDataSize up to kMaxPacketDataSize
  static constexpr auto fields() {
    return std::tuple(&FastParameters::kind, &FastParameters::size, &FastParameters::transfer_size,
                      &FastParameters::packet_data_size);
  }
};

// After the opcode of SetBootMode. The answer is a status of 32 bits; 0 is good.
struct BootMode {
  std::uint32_t mode = 0;
  std::array<std::uint8_t, 128> profile{};  // UTF-16LE, up to kMaxProfileBytes, then zeros
  static constexpr auto fields() { return std::tuple(&BootMode::mode, &BootMode::profile); }
};
inline constexpr std::size_t kMaxProfileBytes = 126;

// After the opcode of ReadDisk and of WriteDisk; both in bytes, multiples of the block.
struct DiskRange {
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  static constexpr auto fields() { return std::tuple(&DiskRange::offset, &DiskRange::count); }
};

// After the image bytes of a packet. The CRC-32 covers everything before it; 0 in the fast flow.
struct PacketTrailer {
  std::uint32_t valid_bytes = 0;
  std::uint32_t number = 0;  // from 0
  std::uint32_t crc = 0;
  static constexpr auto fields() {
    return std::tuple(&PacketTrailer::valid_bytes, &PacketTrailer::number, &PacketTrailer::crc);
  }
};
inline constexpr std::size_t kPacketSize = kPacketDataSize + core::kWireSize<PacketTrailer>;

// Start of a log record; its text follows.
struct LogHeader {
  std::uint8_t kind = 0;  // Opcode::log
  std::uint16_t id = 0;   // signed on the wire; a DeviceError where the record tells of a failure
  std::uint8_t version = 0;
  std::uint8_t channel = 0;
  std::uint8_t level = 0;  // up to kErrorLevel: an error
  std::uint8_t opcode = 0;
  std::uint16_t task = 0;
  std::uint64_t keywords = 0;
  static constexpr auto fields() {
    return std::tuple(&LogHeader::kind, &LogHeader::id, &LogHeader::version, &LogHeader::channel, &LogHeader::level,
                      &LogHeader::opcode, &LogHeader::task, &LogHeader::keywords);
  }
};
inline constexpr std::uint8_t kErrorLevel = 2;

// Why a device gave up. The numbers that devices log before Err.
struct DeviceErrorRow {
  std::uint16_t id;
  bool image_is_at_fault;  // otherwise the unit
  std::string_view text;
};
inline constexpr auto kDeviceErrors = std::to_array<DeviceErrorRow>({
    {0, false, "the device gave no reason"},
    {2, false, "flashing failed in the device"},
    {8, true, "the image's store header is not valid"},
    {9, false, "the device has no memory for the write descriptors"},
    {11, true, "the write descriptors could not be read from the image"},
    {12, true, "the image ended before its last block"},
    {13, false, "the device could not write to its disk"},
    {14, false, "the data came damaged over the wire"},
    {15, true, "the image's security header could not be read"},
    {16, true, "the image's security header is not valid"},
    {17, true, "the padding after the image's hash table is not right"},
    {18, true, "the image's header is not valid"},
    {19, true, "the padding after the image's manifest is not right"},
    {20, false, "the device could not buffer the data"},
    {21, true, "the image has more blocks than it describes"},
    {22, true, "the image is for another platform"},
    {23, true, "a part of the image does not match its hash"},
    {24, true, "the image's signature is not accepted by the device"},
    {26, false, "host and device fell out of step"},
    {27, false, "the device could not query its boot configuration"},
    {28, true, "the image's write descriptors do not fit the device"},
    {29, false, "the device's anti-theft protection is on"},
    {32, true, "the image may not be flashed to removable media"},
    {33, false, "the device could not use its optimised settings"},
});
[[nodiscard]] constexpr const DeviceErrorRow* find_device_error(std::uint16_t id) {
  for (const DeviceErrorRow& row : kDeviceErrors) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

}  // namespace imprint::devices::simple_io
