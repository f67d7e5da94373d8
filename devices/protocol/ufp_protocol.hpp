// SPDX-License-Identifier: GPL-3.0-or-later
// Every number of UFP (the "NOK" messages of Lumia and Surface devices), in one place. The facts were read in the
// published sources of two host programs, UnifiedFlashingPlatform and WPinternals, and where they say nothing of the
// device's side, in analyses of it; no capture from a device was seen. A number that a real device proves wrong is
// corrected here, and both the host's and the virtual device's side follow. One message is one bulk transfer, and so is
// its reply; numbers are big-endian.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "flash/core/wire.hpp"

namespace imprint::devices::ufp {

// A number on the wire; a field of the structures below.
template <std::unsigned_integral T>
class BigEndian {
 public:
  constexpr BigEndian() = default;
  constexpr BigEndian(T value) {  // NOLINT(google-explicit-constructor): fields are filled in by their values
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes_[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
  }
  [[nodiscard]] constexpr T value() const {
    T out = 0;
    for (const std::uint8_t byte : bytes_) out = static_cast<T>((std::uint64_t{out} << 8) | byte);
    return out;
  }
  static constexpr auto fields() { return std::tuple(&BigEndian::bytes_); }

 private:
  std::array<std::uint8_t, sizeof(T)> bytes_{};
};
using Be16 = BigEndian<std::uint16_t>;
using Be32 = BigEndian<std::uint32_t>;
using Be64 = BigEndian<std::uint64_t>;

// What the devices' USB descriptors say. The sources give product 0x0658 with either vendor.
struct UsbId {
  std::uint16_t vendor;
  std::uint16_t product;
};
inline constexpr auto kUsbIds = std::to_array<UsbId>({{0x0421, 0x0658},
                                                      {0x0421, 0x066E},
                                                      {0x0421, 0x0714},
                                                      {0x0421, 0x05EE},
                                                      {0x045E, 0x0658},
                                                      {0x045E, 0x0A02},
                                                      {0x045E, 0x066B}});

// Commands. The first four letters, or six for the extended ones, say what a message is.
inline constexpr std::string_view kHello = "NOKI";            // comes back as it is
inline constexpr std::string_view kInfo = "NOKV";             // sizes, platform, what the device can
inline constexpr std::string_view kUnknownCommand = "NOKU";   // the start of the reply to anything not known
inline constexpr std::string_view kReadParameter = "NOKXFR";  // one value by its name
inline constexpr std::string_view kReadLog = "NOKXFX";        // a piece of a log
inline constexpr std::string_view kSecureFlash = "NOKXFS";    // a part of an FFU
inline constexpr std::string_view kSwitchMode = "NOKXCB";     // one letter follows
inline constexpr std::uint8_t kModeReboot = 'R';
inline constexpr std::uint8_t kModeOff = 'Z';

inline constexpr std::size_t kReplyBufferSize = 0xF000;  // no reply is longer
inline constexpr std::size_t kUsbPacketSize = 512;       // bulk endpoint at high speed
inline constexpr std::uint32_t kSectorSize = 512;        // of the sector counts

// Image bytes of one message: the lower of the two limits that are known (0x1FFBDC of headers, 0x1FFC18 of payload).
inline constexpr std::uint32_t kMaxDataBytes = 0x1FFBDC;
inline constexpr std::uint32_t kMinWriteBuffer = 512;

// Waits, each with its own name so that an error can say what it waited for.
inline constexpr std::chrono::seconds kHelloLimit{2};
inline constexpr std::chrono::seconds kMiscLimit{5};
inline constexpr std::chrono::seconds kFlashLimit{60};
inline constexpr std::chrono::seconds kLogLimit{5};  // for all of the log
// What is under way when a job is told to stop has this long to come to its end.
inline constexpr std::chrono::milliseconds kStopGrace{500};

// Limits against devices that talk without end.
inline constexpr std::size_t kMaxPlatformIdBytes = 1024;
inline constexpr std::size_t kMaxStaleReplies = 16;  // of an earlier job, before a hello is answered
inline constexpr std::size_t kMaxBootDevices = 16;
inline constexpr std::uint64_t kMaxLogBytes = 256U << 10;  // the end of a longer log is taken
inline constexpr std::size_t kMaxLogLineBytes = 1024;
inline constexpr std::size_t kMaxLogLines = 4096;

using Signature = std::array<char, 6>;
[[nodiscard]] constexpr Signature signature_of(std::string_view command) {
  Signature out{};
  for (std::size_t i = 0; i < out.size() && i < command.size(); ++i) out[i] = command[i];
  return out;
}

// Start of the reply to kInfo; sub-blocks follow: u8 id, u16 length, that many bytes.
struct InfoHead {
  std::array<char, 4> signature{'N', 'O', 'K', 'V'};
  std::uint8_t reserved = 0;
  std::uint8_t app = 0;
  std::uint8_t protocol_major = 0;
  std::uint8_t protocol_minor = 0;
  std::uint8_t version_major = 0;
  std::uint8_t version_minor = 0;
  std::uint8_t sub_blocks = 0;
  static constexpr auto fields() {
    using S = InfoHead;
    return std::tuple(&S::signature, &S::reserved, &S::app, &S::protocol_major, &S::protocol_minor, &S::version_major,
                      &S::version_minor, &S::sub_blocks);
  }
};
inline constexpr std::uint8_t kFlashApp = 2;  // the one that takes images

struct SubBlockHead {
  std::uint8_t id = 0;
  Be16 length{};
  static constexpr auto fields() { return std::tuple(&SubBlockHead::id, &SubBlockHead::length); }
};
inline constexpr std::uint8_t kTransferSizeBlock = 0x01;     // u32
inline constexpr std::uint8_t kWriteBufferSizeBlock = 0x02;  // u32
inline constexpr std::uint8_t kEmmcSectorsBlock = 0x03;      // u32, of 512 bytes
inline constexpr std::uint8_t kPlatformIdBlock = 0x05;       // text
inline constexpr std::uint8_t kSecurityBlock = 0x0F;         // SecurityFlags
inline constexpr std::uint8_t kProtocolsBlock = 0x10;        // ProtocolMask
inline constexpr std::uint8_t kBootDeviceBlock = 0x22;       // BootDevice, then a path

// Also the value of the parameter SS, whose first byte then tells a test device.
struct SecurityFlags {
  std::uint8_t version = 3;
  std::uint8_t platform_secure_boot = 0;
  std::uint8_t secure_ffu = 0;
  std::uint8_t jtag_disabled = 0;
  std::uint8_t rdc_present = 0;
  std::uint8_t authenticated = 0;
  std::uint8_t uefi_secure_boot = 0;
  std::uint8_t second_hardware_key = 0;
  static constexpr auto fields() {
    using S = SecurityFlags;
    return std::tuple(&S::version, &S::platform_secure_boot, &S::secure_ffu, &S::jtag_disabled, &S::rdc_present,
                      &S::authenticated, &S::uefi_secure_boot, &S::second_hardware_key);
  }
};

struct ProtocolMask {
  std::uint8_t version = 1;
  Be16 mask{};
  static constexpr auto fields() { return std::tuple(&ProtocolMask::version, &ProtocolMask::mask); }
};
inline constexpr std::uint16_t kSyncV1 = 0x01;
inline constexpr std::uint16_t kSyncV2 = 0x04;
inline constexpr std::uint16_t kAsyncV3 = 0x10;  // not spoken: what its CRC covers is not known

struct BootDevice {
  Be32 sectors{};
  Be32 sector_size{};
  Be16 kind{};
  Be16 index{};
  Be32 unknown{};
  static constexpr auto fields() {
    using S = BootDevice;
    return std::tuple(&S::sectors, &S::sector_size, &S::kind, &S::index, &S::unknown);
  }
};

// Parameters: names of four bytes.
using ParameterName = std::array<char, 4>;
[[nodiscard]] constexpr ParameterName parameter_name(std::string_view text) {
  ParameterName out{};
  for (std::size_t i = 0; i < out.size() && i < text.size(); ++i) out[i] = text[i];
  return out;
}
inline constexpr std::string_view kSerialNumber = "SN";    // a GUID, or text
inline constexpr std::string_view kUniqueId = "DUI";       // a GUID
inline constexpr std::string_view kPlatformId = "DPI";     // text
inline constexpr std::string_view kEmmcSize = "EMS";       // u32, sectors
inline constexpr std::string_view kUsbSpeed = "USBS";      // u8 now, u8 possible
inline constexpr std::string_view kWriteSpeed = "EMWS";    // u32, KB/s
inline constexpr std::string_view kVerifySpeed = "DTSP";   // u32, KB/s
inline constexpr std::string_view kSecurityStatus = "SS";  // SecurityFlags
inline constexpr std::string_view kLogSize = "LZ";         // u64, bytes

struct ReadParameter {
  Signature signature = signature_of(kReadParameter);
  std::uint8_t reserved = 0;
  ParameterName name{};
  static constexpr auto fields() {
    return std::tuple(&ReadParameter::signature, &ReadParameter::reserved, &ReadParameter::name);
  }
};
struct ReadLogSize {
  ReadParameter parameter{.name = parameter_name(kLogSize)};
  Be32 reserved{};
  std::uint8_t log = 1;  // of flashing
  static constexpr auto fields() {
    return std::tuple(&ReadLogSize::parameter, &ReadLogSize::reserved, &ReadLogSize::log);
  }
};
// Its value follows.
struct ParameterReply {
  Signature signature = signature_of(kReadParameter);
  Be16 status{};
  Be64 reserved{};
  std::uint8_t length = 0;
  static constexpr auto fields() {
    using S = ParameterReply;
    return std::tuple(&S::signature, &S::status, &S::reserved, &S::length);
  }
};

struct ReadLog {
  Signature signature = signature_of(kReadLog);
  std::uint8_t log = 1;  // of flashing
  Be32 length{};
  Be64 offset{};
  static constexpr auto fields() {
    return std::tuple(&ReadLog::signature, &ReadLog::log, &ReadLog::length, &ReadLog::offset);
  }
};
inline constexpr std::uint32_t kLogPieceBytes = 0xE000 - 0x0C;

struct SwitchMode {
  Signature signature = signature_of(kSwitchMode);
  std::uint8_t mode = kModeReboot;
  static constexpr auto fields() { return std::tuple(&SwitchMode::signature, &SwitchMode::mode); }
};

// Start of the replies to kSecureFlash, kSwitchMode and kReadLog (where a piece of the log follows it).
struct StatusReply {
  Signature signature{};
  Be16 status{};
  Be32 specifier{};
  static constexpr auto fields() {
    return std::tuple(&StatusReply::signature, &StatusReply::status, &StatusReply::specifier);
  }
};

// The reply to a payload message. That the final state is the last four bytes follows from its offset and the reply's
// length of 36.
struct PayloadReply {
  StatusReply status{};
  Be32 sub_block_type{};
  Be32 sub_block_length = 14;
  Be32 reserved{};
  Be32 first_sector{};
  Be32 last_sector{};
  Be32 final_state{};
  static constexpr auto fields() {
    using S = PayloadReply;
    return std::tuple(&S::status, &S::sub_block_type, &S::sub_block_length, &S::reserved, &S::first_sector,
                      &S::last_sector, &S::final_state);
  }
};
inline constexpr std::uint32_t kDone = 1;

// Start of each kSecureFlash message, with one sub-block, whose type says which message it is.
struct FlashHead {
  Signature signature = signature_of(kSecureFlash);
  Be16 protocol{};
  std::uint8_t progress = 0;  // percent; 100 in the last message of an image only
  std::array<std::uint8_t, 2> reserved{};
  std::uint8_t sub_blocks = 1;
  Be32 type{};
  Be32 length{};  // of what follows
  static constexpr auto fields() {
    using S = FlashHead;
    return std::tuple(&S::signature, &S::protocol, &S::progress, &S::reserved, &S::sub_blocks, &S::type, &S::length);
  }
};

// The options of these messages turn checks of the device off, or its writing: they stay 0.
struct HeaderV1 {
  static constexpr std::uint32_t kType = 0x0B;
  FlashHead head{};
  Be32 header_type{};
  Be32 header_length{};
  std::uint8_t options = 0;
  std::uint8_t erase = 0;
  std::array<std::uint8_t, 2> reserved{};
  static constexpr auto fields() {
    using S = HeaderV1;
    return std::tuple(&S::head, &S::header_type, &S::header_length, &S::options, &S::erase, &S::reserved);
  }
};
struct HeaderV2 {
  static constexpr std::uint32_t kType = 0x21;
  FlashHead head{};
  Be32 header_type{};
  Be32 header_length{};  // of all pieces
  std::uint8_t options = 0;
  Be32 offset{};  // of this piece
  Be32 piece_length{};
  std::uint8_t erase = 0;
  std::array<std::uint8_t, 22> reserved{};
  static constexpr auto fields() {
    using S = HeaderV2;
    return std::tuple(&S::head, &S::header_type, &S::header_length, &S::options, &S::offset, &S::piece_length,
                      &S::erase, &S::reserved);
  }
};
struct PayloadV1 {
  static constexpr std::uint32_t kType = 0x0C;
  static constexpr std::uint16_t kProtocol = kSyncV1;
  FlashHead head{};
  Be32 data_length{};
  std::uint8_t options = 0;
  std::array<std::uint8_t, 3> reserved{};
  static constexpr auto fields() {
    using S = PayloadV1;
    return std::tuple(&S::head, &S::data_length, &S::options, &S::reserved);
  }
};
struct PayloadV2 {
  static constexpr std::uint32_t kType = 0x1B;
  static constexpr std::uint16_t kProtocol = kSyncV2;
  FlashHead head{};
  Be32 data_length{};
  std::uint8_t options = 0;
  std::array<std::uint8_t, 7> reserved{};
  static constexpr auto fields() {
    using S = PayloadV2;
    return std::tuple(&S::head, &S::data_length, &S::options, &S::reserved);
  }
};
// Where the data lies; the sources give these as offsets.
static_assert(core::kWireSize<HeaderV1> == 0x20 && core::kWireSize<HeaderV2> == 0x3C);
static_assert(core::kWireSize<PayloadV1> == 0x1C && core::kWireSize<PayloadV2> == 0x20);
static_assert(core::kWireSize<StatusReply> == 12 && core::kWireSize<PayloadReply> == 36);
static_assert(core::kWireSize<InfoHead> == 11 && core::kWireSize<ParameterReply> == 0x11);
static_assert(core::kWireSize<ReadParameter> == 0x0B && core::kWireSize<ReadLogSize> == 0x10);
static_assert(core::kWireSize<ReadLog> == 0x13 && core::kWireSize<SwitchMode> == 7);

// The protocol number in a V2 header message: one source says 2, the other 4. The first that a device does not refuse
// with kUnsupportedProtocol is used; nothing is written before the headers are taken.
inline constexpr std::array<std::uint16_t, 2> kHeaderV2Protocols{2, 4};
// What a device that has everything but is not done yet is sent: data of as many zeros, at 100 %.
inline constexpr std::size_t kClosingBytes = 32;

// Why a device refuses.
struct StatusRow {
  std::uint16_t code;
  bool image_is_at_fault;  // otherwise the unit
  std::string_view text;
};
inline constexpr std::uint16_t kUnsupportedProtocol = 0x0008;
inline constexpr auto kStatusRows = std::to_array<StatusRow>({
    {0x0001, false, "the device is out of memory"},
    {0x0002, false, "the device could not read its disk"},
    {0x0004, false, "the device could not write to its disk"},
    {kUnsupportedProtocol, false, "the device does not take this form of the protocol, or its options"},
    {0x0009, false, "a service of the device's firmware is missing"},
    {0x000D, false, "the device found other data on its disk than it wrote"},
    {0x000E, false, "the device does not know this kind of message"},
    {0x000F, false, "the device expected another number of parts in the message"},
    {0x0010, false, "the device expected a message of another length"},
    {0x0012, false, "the device asks for an authentication first"},
    {0x0013, false, "an earlier message failed in the device"},
    {0x1000, false, "the device does not know this kind of header"},
    {0x1001, true, "the image's headers hold data that the device does not know"},
    {0x1003, true, "a part of the image does not match its hash"},
    {0x1004, false, "the device does not have all headers of the image"},
    {0x1005, false, "the data does not end where a chunk of the image ends"},
    {0x1006, true, "the image's hash table has no hash for a part of the image"},
    {0x1007, true, "the image ended before its last block"},
    {0x1008, false, "an internal error of the device"},
    {0x100B, true, "the image has more payload than it describes"},
    {0x1100, true, "the image's security header has a wrong signature"},
    {0x1101, true, "the image's security header has a wrong size"},
    {0x1102, true, "the image's hash algorithm is not supported"},
    {0x1103, true, "the image's chunk size is not valid"},
    {0x1104, true, "the size of the image's catalog is not valid"},
    {0x1105, true, "the size of the image's hash table is not valid"},
    {0x1106, true, "the image's signature is not accepted by the device: it is signed by another certificate"},
    {0x1202, true, "the image header has a wrong size"},
    {0x1203, true, "the image header asks for an algorithm that is not supported"},
    {0x1204, true, "the chunk size in the image header is not valid"},
    {0x1301, true, "the image's update type is not supported"},
    {0x1302, true, "the version of the image's store header is not supported"},
    {0x1303, true, "the version of the image's format is not supported"},
    {0x1304, true, "the image is for another platform"},
    {0x1305, true, "the image's block size is not valid"},
    {0x1306, true, "the image's write descriptors are not valid"},
    {0x1307, true, "the image's write descriptors do not fit the device"},
});
[[nodiscard]] constexpr const StatusRow* find_status(std::uint16_t code) {
  for (const StatusRow& row : kStatusRows) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

}  // namespace imprint::devices::ufp
