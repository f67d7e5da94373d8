// SPDX-License-Identifier: GPL-3.0-or-later
// The two formats of a recording, declared once: pcapng's blocks (IETF draft-ietf-opsawg-pcapng, sections 3 and 4) and
// the header that Linux' usbmon puts before each packet (Documentation/usb/usbmon.rst, "Raw binary format and API").
// All of it in the byte order of the file's section; the structures are little-endian, and swapped where that is not.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <tuple>

#include "flash/core/wire.hpp"

namespace imprint::capture::pcapng {

// Types of blocks.
inline constexpr std::uint32_t kSection = 0x0A0D0D0A;  // the same in both byte orders
inline constexpr std::uint32_t kInterface = 1;
inline constexpr std::uint32_t kOldPacket = 2;
inline constexpr std::uint32_t kSimplePacket = 3;
inline constexpr std::uint32_t kStatistics = 5;
inline constexpr std::uint32_t kPacket = 6;
inline constexpr std::uint32_t kByteOrder = 0x1A2B3C4D;
inline constexpr std::uint64_t kUnknownLength = UINT64_MAX;

// An option is a code, a length and as many bytes, padded to four. Codes below 2 mean the same in every block.
inline constexpr std::uint16_t kEndOfOptions = 0;
inline constexpr std::uint16_t kComment = 1;
inline constexpr std::uint16_t kSectionProgram = 4;
inline constexpr std::uint16_t kInterfaceName = 2;
inline constexpr std::uint16_t kInterfaceDescription = 3;
inline constexpr std::uint16_t kInterfaceResolution = 9;
inline constexpr std::uint16_t kPacketDropped = 4;       // 64 bits: packets of the interface missing before it
inline constexpr std::uint16_t kStatisticsReceived = 4;  // 64 bits
inline constexpr std::uint16_t kStatisticsDropped = 5;   // 64 bits
inline constexpr std::uint8_t kMicroseconds = 6;         // of kInterfaceResolution: a power of ten

// Each block ends with its length once more.
struct SectionHead {
  std::uint32_t type = kSection;
  std::uint32_t length = 0;
  std::uint32_t byte_order = kByteOrder;
  std::uint16_t major = 1;
  std::uint16_t minor = 0;
  std::uint64_t section_length = kUnknownLength;
  static constexpr auto fields() {
    using S = SectionHead;
    return std::tuple{&S::type, &S::length, &S::byte_order, &S::major, &S::minor, &S::section_length};
  }
};
struct BlockHead {
  std::uint32_t type = 0;
  std::uint32_t length = 0;
  static constexpr auto fields() { return std::tuple{&BlockHead::type, &BlockHead::length}; }
};
struct InterfaceHead {
  std::uint32_t type = kInterface;
  std::uint32_t length = 0;
  std::uint16_t link_type = 0;
  std::uint16_t reserved = 0;
  std::uint32_t snap_length = 0;  // 0: packets are not cut at a length
  static constexpr auto fields() {
    using S = InterfaceHead;
    return std::tuple{&S::type, &S::length, &S::link_type, &S::reserved, &S::snap_length};
  }
};
struct PacketHead {
  std::uint32_t type = kPacket;
  std::uint32_t length = 0;
  std::uint32_t interface = 0;
  std::uint32_t time_high = 0;
  std::uint32_t time_low = 0;
  std::uint32_t captured = 0;  // bytes that follow, usbmon's header among them
  std::uint32_t original = 0;
  static constexpr auto fields() {
    using S = PacketHead;
    return std::tuple{&S::type, &S::length, &S::interface, &S::time_high, &S::time_low, &S::captured, &S::original};
  }
};
struct StatisticsHead {
  std::uint32_t type = kStatistics;
  std::uint32_t length = 0;
  std::uint32_t interface = 0;
  std::uint32_t time_high = 0;
  std::uint32_t time_low = 0;
  static constexpr auto fields() {
    using S = StatisticsHead;
    return std::tuple{&S::type, &S::length, &S::interface, &S::time_high, &S::time_low};
  }
};
struct OptionHead {
  std::uint16_t code = 0;
  std::uint16_t length = 0;
  static constexpr auto fields() { return std::tuple{&OptionHead::code, &OptionHead::length}; }
};

}  // namespace imprint::capture::pcapng

namespace imprint::capture::usbmon {

// Link types of pcapng's interfaces. The old one has only the first 48 bytes of the header.
inline constexpr std::uint16_t kLinkUsbLinux = 189;
inline constexpr std::uint16_t kLinkUsbLinuxMmapped = 220;
inline constexpr std::size_t kShortHeaderSize = 48;

// Types of events (there is also 'E', a submission that failed) and of transfers.
inline constexpr std::uint8_t kSubmit = 'S';
inline constexpr std::uint8_t kComplete = 'C';
inline constexpr std::uint8_t kControl = 2;
inline constexpr std::uint8_t kBulk = 3;
inline constexpr std::uint8_t kDirectionIn = 0x80;  // of an endpoint
inline constexpr std::uint8_t kPresent = 0;         // of the two flags
inline constexpr std::uint8_t kNoSetup = '-';
inline constexpr std::uint8_t kNoDataIn = '<';
inline constexpr std::uint8_t kNoDataOut = '>';

struct Header {
  std::uint64_t id = 0;  // the same for a transfer's submission and its completion
  std::uint8_t type = kSubmit;
  std::uint8_t transfer_type = kBulk;
  std::uint8_t endpoint = 0;
  std::uint8_t device = 0;
  std::uint16_t bus = 0;
  std::uint8_t flag_setup = kNoSetup;
  std::uint8_t flag_data = kPresent;
  std::uint64_t seconds = 0;
  std::uint32_t microseconds = 0;
  std::uint32_t status = 0;    // two's complement, a negative errno
  std::uint32_t length = 0;    // submission: asked for; completion: moved
  std::uint32_t captured = 0;  // bytes of it that follow
  std::array<std::uint8_t, 8> setup{};
  std::uint32_t interval = 0;
  std::uint32_t start_frame = 0;
  std::uint32_t transfer_flags = 0;
  std::uint32_t descriptors = 0;
  static constexpr auto fields() {
    using S = Header;
    return std::tuple{&S::id,          &S::type,           &S::transfer_type, &S::endpoint, &S::device,
                      &S::bus,         &S::flag_setup,     &S::flag_data,     &S::seconds,  &S::microseconds,
                      &S::status,      &S::length,         &S::captured,      &S::setup,    &S::interval,
                      &S::start_frame, &S::transfer_flags, &S::descriptors};
  }
};
static_assert(core::kWireSize<Header> == 64);

// Linux' errno values, which a recording has on every system.
inline constexpr std::int32_t kUnlinked = -2;  // ENOENT: taken back, because its time was up
inline constexpr std::int32_t kNoDevice = -19;
inline constexpr std::int32_t kStalled = -32;          // EPIPE
inline constexpr std::int32_t kBusError = -71;         // EPROTO
inline constexpr std::int32_t kOverflow = -75;         // EOVERFLOW
inline constexpr std::int32_t kCancelled = -104;       // ECONNRESET: taken back, because the job was told to stop
inline constexpr std::int32_t kDeviceShutDown = -108;  // ESHUTDOWN
inline constexpr std::int32_t kDeadlinePassed = -110;  // ETIMEDOUT
inline constexpr std::int32_t kInProgress = -115;      // EINPROGRESS: of a submission

}  // namespace imprint::capture::usbmon

namespace imprint::capture {

// A structure that was read as little-endian, from a big-endian section.
template <core::WireStruct T>
void swap_byte_order(T& value) {
  const auto swap = []<class F>(F& field) {
    if constexpr (std::is_integral_v<F>) field = std::byteswap(field);
  };
  std::apply([&](auto... member) { (swap(value.*member), ...); }, T::fields());
}

}  // namespace imprint::capture
