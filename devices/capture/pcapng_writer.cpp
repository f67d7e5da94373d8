// SPDX-License-Identifier: GPL-3.0-or-later
// Lengths are put in when a block is whole, since its options decide them.
#include "devices/capture/pcapng_writer.hpp"

#include <algorithm>

#include "devices/capture/pcapng.hpp"

namespace imprint::capture {
namespace {

constexpr std::size_t kAlignment = 4;
constexpr std::size_t kMostText = 4096;  // bytes of an option; its length has 16 bits
// What the transport is called on is not told which endpoints it has.
constexpr std::uint8_t kBulkOut = 0x01;
constexpr std::uint8_t kBulkIn = 0x81;

// Cut where a character ends, so that it stays UTF-8.
std::string_view cut(std::string_view text) {
  if (text.size() <= kMostText) return text;
  std::size_t end = kMostText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end);
}

void add_option(core::ByteWriter& out, std::uint16_t code, core::ByteView value) {
  core::write_struct(out, pcapng::OptionHead{code, static_cast<std::uint16_t>(value.size())});
  out.bytes(value);
  out.align(kAlignment);
}
void add_text(core::ByteWriter& out, std::uint16_t code, std::string_view text) {
  if (!text.empty()) add_option(out, code, core::as_bytes(cut(text)));
}
void add_number(core::ByteWriter& out, std::uint16_t code, std::uint64_t number) {
  std::array<std::uint8_t, 8> raw{};
  core::store_le(raw.data(), number);
  add_option(out, code, raw);
}
void end_options(core::ByteWriter& out) { core::write_struct(out, pcapng::OptionHead{}); }

core::ByteBuffer finish(core::ByteWriter& out) {
  const auto length = static_cast<std::uint32_t>(out.buffer().size() + sizeof(std::uint32_t));
  out.le(length);
  core::ByteBuffer block = out.release();
  core::store_le(block.data() + 4, length);
  return block;
}

struct SplitTime {
  std::uint32_t high;
  std::uint32_t low;
};
SplitTime split(Time time) {
  const auto ticks = static_cast<std::uint64_t>(time.time_since_epoch().count());
  return {static_cast<std::uint32_t>(ticks >> 32), static_cast<std::uint32_t>(ticks)};
}

usbmon::Header header_of(const TransferPlace& place, const TransferFacts& facts, bool is_submission) {
  const bool control = facts.kind == TransferKind::control_in || facts.kind == TransferKind::control_out;
  const Time time = is_submission ? facts.submitted : facts.completed;
  const auto ticks = static_cast<std::uint64_t>(time.time_since_epoch().count());
  usbmon::Header header;
  header.id = place.id;
  header.type = is_submission ? usbmon::kSubmit : usbmon::kComplete;
  header.transfer_type = control ? usbmon::kControl : usbmon::kBulk;
  const std::uint8_t bulk = is_in(facts.kind) ? kBulkIn : kBulkOut;
  header.endpoint = control ? static_cast<std::uint8_t>(is_in(facts.kind) ? usbmon::kDirectionIn : 0) : bulk;
  header.device = place.device;
  header.bus = place.bus;
  header.seconds = ticks / 1'000'000;
  header.microseconds = static_cast<std::uint32_t>(ticks % 1'000'000);
  header.status = static_cast<std::uint32_t>(is_submission ? usbmon::kInProgress : facts.status);
  header.length = is_submission ? facts.asked : facts.moved;
  if (is_submission && control) {
    header.flag_setup = usbmon::kPresent;
    header.setup = facts.setup;
  }
  return header;
}

struct PacketNote {
  std::string_view comment = {};
  std::uint64_t dropped = 0;
};

// A packet up to its data, and from its data on.
TransferBlocks packet(const TransferPlace& place, usbmon::Header header, std::size_t kept, const PacketNote& note) {
  header.captured = static_cast<std::uint32_t>(kept);
  if (kept == 0) {
    header.flag_data = (header.endpoint & usbmon::kDirectionIn) != 0 ? usbmon::kNoDataIn : usbmon::kNoDataOut;
  }
  const SplitTime time =
      split(Time(std::chrono::seconds(header.seconds)) + std::chrono::microseconds(header.microseconds));
  constexpr std::size_t kHeaderSize = core::kWireSize<usbmon::Header>;
  pcapng::PacketHead head;
  head.interface = place.interface;
  head.time_high = time.high;
  head.time_low = time.low;
  head.captured = static_cast<std::uint32_t>(kHeaderSize + kept);
  head.original = static_cast<std::uint32_t>(kHeaderSize + std::max<std::size_t>(kept, kept == 0 ? 0 : header.length));

  core::ByteWriter options;  // apart, since they are aligned in the block and not behind the data
  if (!note.comment.empty() || note.dropped != 0) {
    add_text(options, pcapng::kComment, note.comment);
    if (note.dropped != 0) add_number(options, pcapng::kPacketDropped, note.dropped);
    end_options(options);
  }
  core::ByteWriter after;
  after.zeros((kAlignment - kept % kAlignment) % kAlignment);
  after.bytes(options.buffer());
  constexpr std::size_t kFront = core::kWireSize<pcapng::PacketHead> + kHeaderSize;
  head.length = static_cast<std::uint32_t>(kFront + kept + after.buffer().size() + sizeof(std::uint32_t));
  after.le(head.length);

  core::ByteWriter before;
  core::write_struct(before, head);
  core::write_struct(before, header);
  return {before.release(), after.release()};
}

}  // namespace

core::ByteBuffer section_block(std::string_view program) {
  core::ByteWriter out;
  core::write_struct(out, pcapng::SectionHead{});
  add_text(out, pcapng::kSectionProgram, program);
  end_options(out);
  return finish(out);
}

core::ByteBuffer interface_block(std::string_view name, std::string_view description) {
  core::ByteWriter out;
  core::write_struct(out, pcapng::InterfaceHead{.link_type = usbmon::kLinkUsbLinuxMmapped});
  add_text(out, pcapng::kInterfaceName, name);
  add_text(out, pcapng::kInterfaceDescription, description);
  add_option(out, pcapng::kInterfaceResolution, core::ByteBuffer{pcapng::kMicroseconds});
  end_options(out);
  return finish(out);
}

core::ByteBuffer statistics_block(std::uint32_t interface, Time time, const PortTotals& totals,
                                  std::string_view comment) {
  const SplitTime at = split(time);
  core::ByteWriter out;
  core::write_struct(out, pcapng::StatisticsHead{.interface = interface, .time_high = at.high, .time_low = at.low});
  add_text(out, pcapng::kComment, comment);
  add_number(out, pcapng::kStatisticsReceived, totals.packets);
  add_number(out, pcapng::kStatisticsDropped, totals.dropped);
  end_options(out);
  return finish(out);
}

TransferBlocks transfer_blocks(const TransferPlace& place, const TransferFacts& facts, std::size_t kept) {
  const bool data_comes_back = is_in(facts.kind);
  const std::size_t sent = data_comes_back ? 0 : kept;
  TransferBlocks submission = packet(place, header_of(place, facts, true), sent, {.dropped = place.dropped});
  TransferBlocks completion =
      packet(place, header_of(place, facts, false), data_comes_back ? kept : 0, {.comment = facts.comment});
  if (data_comes_back) {
    append(submission.before, submission.after);
    append(submission.before, completion.before);
    return {std::move(submission.before), std::move(completion.after)};
  }
  append(submission.after, completion.before);
  append(submission.after, completion.after);
  return {std::move(submission.before), std::move(submission.after)};
}

}  // namespace imprint::capture
