// SPDX-License-Identifier: GPL-3.0-or-later
// Every block is checked against the file's end, its own length and the length behind it before anything is read of it.
#include "devices/capture/pcapng_reader.hpp"

#include <algorithm>

#include "devices/capture/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::capture {
namespace {

constexpr std::uint64_t kSmallestBlock = 12;
constexpr std::uint64_t kAlignment = 4;
constexpr std::uint64_t kTrailer = 4;
constexpr std::size_t kMostText = 4096;
constexpr std::size_t kMostName = 256;  // of an interface, since each device of a bus is named by it

core::Failure malformed(std::string_view what, std::uint64_t at) {
  return fail("capture.malformed", std::string(what)).with("offset", at);
}

std::string name_of(const core::ByteBuffer& value) {
  return core::printable(core::as_text(core::ByteView(value).first(std::min(value.size(), kMostName))));
}

}  // namespace

core::Result<std::uint32_t> PcapngReader::read_number(std::uint64_t at) const {
  std::array<std::uint8_t, 4> raw{};
  IMPRINT_CHECK(file_.read_at(at, raw));
  const auto number = core::load_le<std::uint32_t>(raw.data());
  return big_endian_ ? std::byteswap(number) : number;
}

template <core::WireStruct T>
core::Result<T> PcapngReader::read_head(const Block& block) const {
  if (block.length < core::kWireSize<T> + kTrailer) return malformed("a block is too short for its type", block.at);
  std::array<std::uint8_t, core::kWireSize<T>> raw{};
  IMPRINT_CHECK(file_.read_at(block.at, raw));
  core::ByteReader reader(raw, block.at);
  IMPRINT_TRY(T head, core::read_struct<T>(reader));
  if (big_endian_) swap_byte_order(head);
  return head;
}

core::Result<std::optional<PcapngReader::Block>> PcapngReader::next_block() {
  const bool is_first = sections_ == 0;
  const std::uint64_t rest = file_.size() - at_;
  if (rest < kSmallestBlock) {
    if (is_first) return fail("capture.not-a-recording", "the file is too short");
    cut_off_ = rest != 0;
    return std::nullopt;
  }
  Block block{.at = at_};
  IMPRINT_TRY(block.type, read_number(at_));
  if (is_first && block.type != pcapng::kSection) return fail("capture.not-a-recording", "it is no pcapng file");
  if (block.type == pcapng::kSection) {
    IMPRINT_TRY(const std::uint32_t order, read_number(at_ + 8));
    if (order != pcapng::kByteOrder && std::byteswap(order) != pcapng::kByteOrder)
      return is_first ? fail("capture.not-a-recording", "it is no pcapng file") : malformed("no byte order", at_);
    if (order != pcapng::kByteOrder) big_endian_ = !big_endian_;
  }
  IMPRINT_TRY(block.length, read_number(at_ + 4));
  if (block.length < kSmallestBlock || block.length % kAlignment != 0)
    return malformed("a block has a length that no block can have", at_);
  if (block.length > rest) {
    if (is_first) return fail("capture.not-a-recording", "the file is cut off in its first block");
    cut_off_ = true;
    return std::nullopt;
  }
  IMPRINT_TRY(const std::uint32_t again, read_number(at_ + block.length - kTrailer));
  if (again != block.length) return malformed("a block ends with another length than it begins with", at_);
  at_ += block.length;
  return block;
}

core::Result<std::vector<PcapngReader::Option>> PcapngReader::read_options(const Block& block,
                                                                           std::uint64_t from) const {
  const std::uint64_t end = block.at + block.length - kTrailer;
  if (end - from > kMaxOptionBytes) return malformed("a block has options without end", block.at);
  IMPRINT_TRY(const core::ByteBuffer bytes, file_.read(from, end - from));
  std::vector<Option> out;
  core::ByteReader reader(bytes, from);
  while (reader.remaining() >= core::kWireSize<pcapng::OptionHead>) {
    IMPRINT_TRY(auto head, core::read_struct<pcapng::OptionHead>(reader));
    if (big_endian_) swap_byte_order(head);
    if (head.code == pcapng::kEndOfOptions) break;
    if (head.length > reader.remaining()) return malformed("an option is longer than its block", reader.offset());
    IMPRINT_TRY(const core::ByteView value, reader.take(head.length));
    out.push_back({head.code, core::ByteBuffer(value.begin(), value.end())});
    const std::size_t padding = (kAlignment - head.length % kAlignment) % kAlignment;
    IMPRINT_TRY(const auto passed, reader.take(std::min(padding, reader.remaining())));
    static_cast<void>(passed);
  }
  return out;
}

core::Status PcapngReader::begin_section(const Block& block) {
  IMPRINT_TRY(const auto head, read_head<pcapng::SectionHead>(block));
  if (head.major != 1) return fail("capture.not-a-recording", "its version is not known").with("version", head.major);
  IMPRINT_TRY(const auto options, read_options(block, block.at + core::kWireSize<pcapng::SectionHead>));
  for (const Option& option : options) {
    if (sections_ == 0 && option.code == pcapng::kSectionProgram) program_ = name_of(option.value);
  }
  ++sections_;
  interfaces_.clear();
  return {};
}

core::Status PcapngReader::add_interface(const Block& block) {
  if (interfaces_.size() == kMaxInterfaces) return malformed("it has too many interfaces", block.at);
  IMPRINT_TRY(const auto head, read_head<pcapng::InterfaceHead>(block));
  IMPRINT_TRY(const auto options, read_options(block, block.at + core::kWireSize<pcapng::InterfaceHead>));
  Interface added{.link_type = head.link_type, .name = {}};
  for (const Option& option : options) {
    if (option.code == pcapng::kInterfaceName) added.name = name_of(option.value);
  }
  has_usb_ = has_usb_ || head.link_type == usbmon::kLinkUsbLinux || head.link_type == usbmon::kLinkUsbLinuxMmapped;
  interfaces_.push_back(std::move(added));
  return {};
}

core::Result<std::optional<UsbPacket>> PcapngReader::read_packet(const Block& block) const {
  constexpr std::uint64_t kHeadSize = core::kWireSize<pcapng::PacketHead>;
  IMPRINT_TRY(const auto head, read_head<pcapng::PacketHead>(block));
  if (head.interface >= interfaces_.size()) return malformed("a packet of an interface that is not there", block.at);
  if (head.captured > block.length - kHeadSize - kTrailer)
    return malformed("a packet is longer than its block", block.at);
  const std::uint16_t link = interfaces_[head.interface].link_type;
  const bool is_short = link == usbmon::kLinkUsbLinux;
  if (!is_short && link != usbmon::kLinkUsbLinuxMmapped) return std::nullopt;
  constexpr std::size_t kHeaderSize = core::kWireSize<usbmon::Header>;
  const std::size_t header_size = is_short ? usbmon::kShortHeaderSize : kHeaderSize;
  if (head.captured < header_size) return malformed("a packet is shorter than its header", block.at);

  std::array<std::uint8_t, kHeaderSize> raw{};
  IMPRINT_CHECK(file_.read_at(block.at + kHeadSize, core::ByteSpan(raw).first(header_size)));
  core::ByteReader reader(raw, block.at + kHeadSize);
  UsbPacket packet{.frame = frame_, .interface = head.interface};
  IMPRINT_TRY(packet.header, core::read_struct<usbmon::Header>(reader));
  if (big_endian_) swap_byte_order(packet.header);
  packet.data_at = block.at + kHeadSize + header_size;
  packet.data_size = std::min(packet.header.captured, static_cast<std::uint32_t>(head.captured - header_size));
  // Captured bytes are padded; what follows that are options, which few packets have.
  const std::uint64_t options_at = block.at + kHeadSize + core::round_up(head.captured, kAlignment);
  if (options_at + kTrailer >= block.at + block.length) return packet;
  IMPRINT_TRY(const auto options, read_options(block, options_at));
  for (const Option& option : options) {
    if (option.code != pcapng::kPacketDropped || option.value.size() != sizeof(std::uint64_t)) continue;
    const auto number = core::load_le<std::uint64_t>(option.value.data());
    packet.dropped = big_endian_ ? std::byteswap(number) : number;
  }
  return packet;
}

core::Result<InterfaceNote> PcapngReader::read_note(const Block& block) const {
  IMPRINT_TRY(const auto head, read_head<pcapng::StatisticsHead>(block));
  if (head.interface >= interfaces_.size()) return malformed("statistics of an interface that is not there", block.at);
  IMPRINT_TRY(const auto options, read_options(block, block.at + core::kWireSize<pcapng::StatisticsHead>));
  InterfaceNote note{.interface = head.interface, .comment = {}};
  for (const Option& option : options) {
    if (option.code == pcapng::kComment) {
      const auto size = std::min(option.value.size(), kMostText);
      note.comment = core::as_text(core::ByteView(option.value).first(size));
    }
  }
  return note;
}

core::Result<std::optional<RecordedEvent>> PcapngReader::next() {
  while (true) {
    IMPRINT_TRY(const auto block, next_block());
    if (!block) return std::nullopt;
    switch (block->type) {
      case pcapng::kSection:
        IMPRINT_CHECK(begin_section(*block));
        break;
      case pcapng::kInterface:
        IMPRINT_CHECK(add_interface(*block));
        break;
      case pcapng::kPacket: {
        ++frame_;
        IMPRINT_TRY(auto packet, read_packet(*block));
        if (packet) return RecordedEvent(*packet);
        break;
      }
      case pcapng::kSimplePacket:
      case pcapng::kOldPacket:
        ++frame_;
        break;
      case pcapng::kStatistics: {
        IMPRINT_TRY(auto note, read_note(*block));
        return RecordedEvent(std::move(note));
      }
      default:
        break;
    }
  }
}

}  // namespace imprint::capture
