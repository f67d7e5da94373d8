// SPDX-License-Identifier: GPL-3.0-or-later
// Recordings as files: what is written comes back, and no file, however damaged, is read past its end.
#include "devices/capture/pcapng_reader.hpp"

#include "tests/unit/capture/capture_fixture.hpp"

using namespace imprint;
using namespace imprint::capture;
using namespace imprint::capture_fixture;

namespace {

constexpr Time kMorning = Time(std::chrono::microseconds(1'764'000'000'123'456));

TransferFacts sent(std::uint32_t size) {
  return {.kind = TransferKind::bulk_out, .asked = size, .moved = size, .submitted = kMorning, .completed = kMorning};
}

FileBuilder small_file() {
  FileBuilder file;
  file.section().port("1-2.4");
  file.transfer({.id = 1, .device = 5}, sent(3), core::ByteBuffer{1, 2, 3});
  TransferFacts came{.kind = TransferKind::bulk_in, .asked = 512, .moved = 2, .submitted = kMorning};
  came.completed = kMorning + std::chrono::microseconds(7);
  came.comment = "an answer";
  file.transfer({.id = 2, .device = 5, .dropped = 8}, came, core::ByteBuffer{0xAA, 0xBB});
  file.add(statistics_block(0, kMorning, {4, 8}, to_comment({.verdict = "failed", .error = "device.stalled"})));
  return file;
}

// Every packet and note, or the error.
core::Result<std::vector<RecordedEvent>> read_all(const core::ByteBuffer& bytes) {
  const core::MemorySource source(bytes);
  PcapngReader reader(source);
  std::vector<RecordedEvent> out;
  while (true) {
    IMPRINT_TRY(auto event, reader.next());
    if (!event) return out;
    out.push_back(std::move(*event));
  }
}

// The same in the other byte order: every field, of the blocks and of usbmon's headers.
core::ByteBuffer big_endian() {
  const auto swap = [](core::ByteBuffer block, std::initializer_list<std::pair<std::size_t, std::size_t>> fields) {
    for (const auto& [at, size] : fields)
      std::reverse(block.begin() + static_cast<std::ptrdiff_t>(at),
                   block.begin() + static_cast<std::ptrdiff_t>(at + size));
    return block;
  };
  core::ByteBuffer section(28);
  core::store_le<std::uint32_t>(section.data(), pcapng::kSection);
  core::store_le<std::uint32_t>(section.data() + 4, 28);
  core::store_le<std::uint32_t>(section.data() + 8, pcapng::kByteOrder);
  core::store_le<std::uint16_t>(section.data() + 12, 1);
  core::store_le<std::uint32_t>(section.data() + 24, 28);
  core::ByteBuffer interface(20);
  core::store_le<std::uint32_t>(interface.data(), pcapng::kInterface);
  core::store_le<std::uint32_t>(interface.data() + 4, 20);
  core::store_le<std::uint16_t>(interface.data() + 8, usbmon::kLinkUsbLinuxMmapped);
  core::store_le<std::uint32_t>(interface.data() + 16, 20);
  const auto blocks = transfer_blocks({.id = 0x1122334455667788, .bus = 3, .device = 9}, sent(4), 4);
  FileBuilder file;
  file.add(swap(section, {{0, 4}, {4, 4}, {8, 4}, {12, 2}, {14, 2}, {24, 4}}));
  file.add(swap(interface, {{0, 4}, {4, 4}, {8, 2}, {10, 2}, {16, 4}}));
  core::ByteBuffer packet = blocks.before;
  packet.insert(packet.end(), {9, 8, 7, 6});
  packet.insert(packet.end(), blocks.after.begin(), blocks.after.begin() + 4);  // the submission's end alone
  const std::size_t h = 28;
  file.add(swap(packet, {{0, 4},
                         {4, 4},
                         {8, 4},
                         {12, 4},
                         {16, 4},
                         {20, 4},
                         {24, 4},
                         {h, 8},
                         {h + 12, 2},
                         {h + 16, 8},
                         {h + 24, 4},
                         {h + 28, 4},
                         {h + 32, 4},
                         {h + 36, 4},
                         {h + 48, 4},
                         {h + 52, 4},
                         {h + 56, 4},
                         {h + 60, 4},
                         {packet.size() - 4, 4}}));
  return file.bytes();
}

}  // namespace

TEST_CASE("what is written is read back: packets, their data, gaps and the note at the end") {
  const auto bytes = small_file().bytes();
  const auto events = read_all(bytes);
  REQUIRE(events);
  REQUIRE(events->size() == 5);
  const auto& submission = std::get<UsbPacket>(events->at(0));
  CHECK(submission.frame == 1);
  CHECK(submission.header.type == usbmon::kSubmit);
  CHECK(submission.header.device == 5);
  CHECK(submission.header.seconds == 1'764'000'000);
  CHECK(submission.header.microseconds == 123'456);
  CHECK(static_cast<std::int32_t>(submission.header.status) == usbmon::kInProgress);
  REQUIRE(submission.data_size == 3);
  CHECK(bytes[submission.data_at] == 1);
  CHECK(bytes[submission.data_at + 2] == 3);
  CHECK(std::get<UsbPacket>(events->at(1)).header.type == usbmon::kComplete);
  CHECK(std::get<UsbPacket>(events->at(2)).dropped == 8);
  const auto& answer = std::get<UsbPacket>(events->at(3));
  REQUIRE(answer.data_size == 2);
  CHECK(bytes[answer.data_at] == 0xAA);
  const auto outcome = parse_outcome(std::get<InterfaceNote>(events->at(4)).comment);
  REQUIRE(outcome);
  CHECK(outcome->error == "device.stalled");
}

TEST_CASE("a recording in the other byte order is the same recording") {
  const auto bytes = big_endian();
  const auto events = read_all(bytes);
  REQUIRE(events);
  REQUIRE(events->size() == 1);
  const auto& packet = std::get<UsbPacket>(events->at(0));
  CHECK(packet.header.id == 0x1122334455667788);
  CHECK(packet.header.bus == 3);
  CHECK(packet.header.length == 4);
  CHECK(packet.header.microseconds == 123'456);
  REQUIRE(packet.data_size == 4);
  CHECK(bytes[packet.data_at] == 9);
}

TEST_CASE("a file that is cut off anywhere is read up to there, or is no recording") {
  const auto bytes = small_file().bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const core::MemorySource source(core::ByteBuffer(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    PcapngReader reader(source);
    bool ended = false;
    while (!ended) {
      const auto event = reader.next();
      if (!event) CHECK(event.error().id() == "capture.not-a-recording");
      ended = !event || !*event;
    }
    if (size >= 100) CHECK(reader.program() == "a test");
  }
}

TEST_CASE("a file with any byte changed is read or refused, with an error that says so") {
  const auto bytes = small_file().bytes();
  std::size_t refused = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const std::uint8_t mask : {0x01, 0x80, 0xFF}) {
      auto changed = bytes;
      changed[at] ^= mask;
      const auto events = read_all(changed);
      if (events) continue;
      ++refused;
      CHECK(events.error().id().starts_with("capture."));
    }
  }
  CHECK(refused > 50);
}

TEST_CASE("a length that is too long, odd or none is never believed") {
  const auto length = GENERATE(0U, 8U, 13U, 0xFFFFFFFCU, 0xFFFFFFFFU);
  FileBuilder file = small_file();
  const std::size_t interface_at = section_block("a test").size();
  auto bytes = file.bytes();
  core::store_le<std::uint32_t>(bytes.data() + interface_at + 4, length);
  const auto events = read_all(bytes);
  if (events) CHECK(events->empty());
  if (!events) CHECK(error_id(events) == "capture.malformed");
}

TEST_CASE("a packet that names an interface that is not there is refused") {
  FileBuilder file;
  file.section().transfer({.id = 1}, sent(0));
  CHECK(error_id(read_all(file.bytes())) == "capture.malformed");
}

TEST_CASE("files of other formats are no recordings") {
  CHECK(error_id(read_all({})) == "capture.not-a-recording");
  CHECK(error_id(read_all(core::ByteBuffer(4096, 0x55))) == "capture.not-a-recording");
  FileBuilder only_a_section;
  only_a_section.section();
  CHECK(error_id(read_recording(only_a_section.bytes())) == "capture.not-a-recording");
}

TEST_CASE("blocks, options and links that are not known are passed over") {
  FileBuilder file;
  file.section();
  core::ByteWriter unknown;
  unknown.le<std::uint32_t>(0x0BAD0BAD);
  unknown.le<std::uint32_t>(20);
  unknown.zeros(8);
  unknown.le<std::uint32_t>(20);
  file.add(unknown.buffer());
  core::ByteBuffer ethernet = interface_block("eth0", "");
  core::store_le<std::uint16_t>(ethernet.data() + 8, 1);
  file.add(ethernet).port("1-1");
  file.transfer({.id = 1, .interface = 0}, sent(2), core::ByteBuffer{1, 2});
  file.transfer({.id = 2, .interface = 1}, sent(2), core::ByteBuffer{1, 2});
  const auto events = read_all(file.bytes());
  REQUIRE(events);
  REQUIRE(events->size() == 2);
  CHECK(std::get<UsbPacket>(events->at(0)).frame == 3);  // Wireshark counts the ones of other links, too
}

TEST_CASE("an outcome is read from its comment, and nothing else is") {
  Outcome outcome{.verdict = "passed", .proof = "read-back", .attempt = "7", .slot = "A\n1", .serial = "S"};
  outcome.reboot = true;
  const auto read = parse_outcome(to_comment(outcome));
  REQUIRE(read);
  CHECK(read->verdict == "passed");
  CHECK(read->slot == "A?1");
  CHECK(read->reboot);
  CHECK_FALSE(parse_outcome("some comment"));
  CHECK_FALSE(parse_outcome(""));
  CHECK_FALSE(parse_outcome("verdict: passed"));
}
