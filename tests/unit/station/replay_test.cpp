// SPDX-License-Identifier: GPL-3.0-or-later
// Attempts that are recorded and then replayed: the same program and image agree, and the first thing that changed is
// found where it is.
#include "station/replay.hpp"

#include <set>

#include "devices/capture/pcapng.hpp"
#include "devices/capture/pcapng_writer.hpp"
#include "devices/capture/recorder.hpp"
#include "devices/capture/recording.hpp"
#include "devices/virtual/ufp_device.hpp"
#include "flash/core/block_io.hpp"
#include "tests/unit/station/station_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;
using virtual_device::AnswerFault;

namespace {

const devices::PortPath kPort = VirtualBus::port(1);

struct RecordedLine {
  core::test::ScratchFolder folder;
  core::SystemClock clock;
  std::unique_ptr<capture::Recorder> recorder = open_recorder(folder);
  VirtualBus bus{virtual_device::IdleRule::no_reply_will_come, recorder->tap()};
  std::unique_ptr<db::Records> records = db::Records::open(folder / "station.db", clock).value();
  ArmedImage image = armed_image();

  static std::unique_ptr<capture::Recorder> open_recorder(const core::test::ScratchFolder& folder) {
    capture::RecorderSetup setup{folder / "all.pcapng", folder / "kept", "imprint test"};
    return capture::Recorder::open(std::move(setup)).value();
  }

  [[nodiscard]] virtual_device::DeviceOptions options() const {
    virtual_device::DeviceOptions options;
    options.platform_id = image_options().platform_id;
    options.serial = core::Guid::from_name("recorded");
    options.unique_id = core::Guid::from_name("recorded board");
    options.disk_size = image_options().disk_size;
    options.storage_folder = folder.path();
    return options;
  }

  // One attempt with the device, which is in the port again as soon as it has left it where it `comes_back`.
  AttemptResult flash(const std::shared_ptr<virtual_device::VirtualDevice>& device, bool comes_back = false,
                      Recipe what = recipe()) {
    SessionConfig config{std::move(what), image, {{"1", kPort}}, folder.path(), true, recorder.get()};
    const auto session = Session::start(std::move(config), bus, *records, clock).value();
    REQUIRE(bus.plug(kPort, device, comes_back ? device : nullptr));
    return Line::next(*session);
  }
  AttemptResult flash(virtual_device::DeviceOptions device, bool comes_back = false, Recipe what = recipe()) {
    return flash(VirtualSimpleIoDevice::create(std::move(device)).value(), comes_back, std::move(what));
  }

  [[nodiscard]] core::ByteBuffer file(const std::filesystem::path& path) const {
    const auto source = core::FileSource::open(path).value();
    return source->read(0, source->size()).value();
  }
  [[nodiscard]] core::ByteBuffer all() const {
    REQUIRE_FALSE(recorder->trouble());
    return file(folder / "all.pcapng");
  }

  [[nodiscard]] ReplayReport replay(core::ByteBuffer bytes, const ArmedImage* with) const {
    const auto recording = capture::Recording::read(std::make_shared<core::MemorySource>(std::move(bytes)));
    REQUIRE(recording);
    REQUIRE((*recording)->attempts().size() == 1);
    core::test::ScratchFolder scratch;
    auto report = replay_attempt(*recording, 0, with, scratch.path(), {});
    REQUIRE(report);
    INFO((report->difference ? report->difference->message() : ""));
    return std::move(*report);
  }
  [[nodiscard]] ReplayReport replay() const { return replay(all(), &image); }
};

std::shared_ptr<const capture::Recording> read(core::ByteBuffer bytes) {
  return capture::Recording::read(std::make_shared<core::MemorySource>(std::move(bytes))).value();
}

// A recording's only connection once more, with another outcome, a gap, or another disk.
struct Remake {
  std::optional<capture::Outcome> outcome = {};
  std::size_t gap_at = SIZE_MAX;  // this transfer is missing
  bool is_disk_changed = false;   // to one whose sizes cannot be

  [[nodiscard]] core::ByteBuffer of(const capture::Recording& recording) const {
    const auto& attempt = recording.attempts()[0];
    const auto& connection = attempt.connections[0];
    core::ByteBuffer file = capture::section_block("imprint test");
    capture::append(file, capture::interface_block(attempt.port.text, ""));
    core::ByteBuffer device(capture::request::kDeviceDescriptorSize);
    core::store_le(device.data() + 8, connection.identity.vendor_id);
    core::store_le(device.data() + 10, connection.identity.product_id);
    add(file, {.id = 1},
        {.kind = capture::TransferKind::control_in, .asked = 18, .moved = 18, .setup = {0x80, 6, 0, 1, 0, 0, 18, 0}},
        device);
    bool is_disk_due = false;
    for (std::size_t i = 0; i < connection.transfers.size(); ++i) {
      const auto& transfer = connection.transfers[i];
      if (i == gap_at) continue;
      core::ByteBuffer data = recording.data(transfer, 0, transfer.kept).value();
      constexpr auto kAsk = static_cast<std::uint8_t>(devices::simple_io::Opcode::get_disk_info);
      if (is_disk_due) std::ranges::fill(data, std::uint8_t{0xEE});
      is_disk_due = is_disk_changed && transfer.kind == capture::TransferKind::bulk_out && transfer.asked == 1 &&
                    data.front() == kAsk;
      add(file, {.id = i + 2, .dropped = i != 0 && i - 1 == gap_at ? 2U : 0U},
          {.kind = transfer.kind,
           .status = transfer.status,
           .asked = transfer.asked,
           .moved = transfer.moved,
           .setup = transfer.setup},
          data);
    }
    if (outcome) capture::append(file, capture::statistics_block(0, {}, {}, capture::to_comment(*outcome)));
    return file;
  }

 private:
  static void add(core::ByteBuffer& file, const capture::TransferPlace& place, const capture::TransferFacts& facts,
                  const core::ByteBuffer& data) {
    const auto blocks = capture::transfer_blocks(place, facts, data.size());
    capture::append(file, blocks.before);
    capture::append(file, data);
    capture::append(file, blocks.after);
  }
};

std::string difference_of(const ReplayReport& report) {
  return report.difference ? report.difference->message() : std::string();
}

ArmedImage changed_image() {
  auto options = image_options();
  options.descriptors[5].seed = 99;
  auto image = engine::VerifiedImage::open(std::make_shared<core::MemorySource>(fixture::build_image(options).file));
  REQUIRE(image);
  ArmedImage armed{*image, {}, "trust-digest"};
  armed.decision.accepted = true;
  return armed;
}

std::shared_ptr<virtual_device::VirtualUfpDevice> ufp_device(const RecordedLine& line,
                                                             virtual_device::UfpFaults faults = {}) {
  virtual_device::UfpOptions options;
  options.platform_id = image_options().platform_id;
  options.serial = core::Guid::from_name("recorded ufp");
  options.unique_id = core::Guid::from_name("recorded ufp board");
  options.disk_size = image_options().disk_size;
  options.storage_folder = line.folder.path();
  options.faults = faults;
  return virtual_device::VirtualUfpDevice::create(std::move(options)).value();
}

Recipe without_read_back() {
  Recipe what = recipe();
  what.flash.read_back = engine::FlashPolicy::ReadBack::off;
  return what;
}

}  // namespace

TEST_CASE("a recorded attempt that passed passes again, transfer by transfer") {
  RecordedLine line;
  REQUIRE(line.flash(line.options()).verdict == db::AttemptVerdict::passed);
  const ReplayReport report = line.replay();
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees);
  CHECK(report.verdict == db::AttemptVerdict::passed);
  CHECK(report.transfers > 100);
}

TEST_CASE("a recorded attempt on the fast flow agrees") {
  RecordedLine line;
  auto options = line.options();
  options.capability[0] = 1;
  REQUIRE(line.flash(options).verdict == db::AttemptVerdict::passed);
  const ReplayReport report = line.replay();
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees);
}

TEST_CASE("recorded faults that the job survived or died of are replayed to the same end") {
  RecordedLine line;
  auto options = line.options();
  bool comes_back = false;
  SECTION("an answer that stalls") {
    options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::stall, .at_byte = 270000};
  }
  SECTION("no answer") { options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::no_reply, .at_byte = 270000}; }
  SECTION("a short answer") {
    options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::short_reply, .at_byte = 270000};
  }
  SECTION("garbage") { options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::garbage, .at_byte = 270000}; }
  SECTION("a packet that is asked for again") {
    options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::nack, .at_byte = 270000};
  }
  SECTION("a sector that cannot be written") { options.faults.bad_sector = 0; }
  SECTION("the cable is pulled for good") { options.faults.disconnect_at_byte = 300000; }
  SECTION("the device comes back and goes on") {
    options.faults.disconnect_at_byte = 300000;
    options.has_battery = true;
    comes_back = true;
  }
  SECTION("the device comes back and begins again") {
    options.faults.disconnect_at_byte = 300000;
    comes_back = true;
  }
  SECTION("another platform") { options.platform_id = "Imprint.Virtual.Other.1"; }
  const AttemptResult recorded = line.flash(options, comes_back);
  const ReplayReport report = line.replay();
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees);
  CHECK(report.verdict == recorded.verdict);
  CHECK((report.error ? report.error->id() : "") == (recorded.error ? recorded.error->id() : ""));
}

TEST_CASE("each answer of a device that goes wrong once is replayed to the same end") {
  for (std::uint64_t byte = 0; byte < 4; ++byte) {
    for (const auto how : {virtual_device::UfpFaults::Reply::garbage, virtual_device::UfpFaults::Reply::none,
                           virtual_device::UfpFaults::Reply::cut_short}) {
      RecordedLine line;
      virtual_device::UfpFaults faults;
      faults.reply_at = {2 + 3 * byte, how};
      const AttemptResult recorded = line.flash(ufp_device(line, faults), false, without_read_back());
      const ReplayReport report = line.replay();
      CHECK(difference_of(report).empty());
      CHECK(report.result == ReplayResult::agrees);
      CHECK(report.verdict == recorded.verdict);
    }
  }
}

TEST_CASE("a recorded attempt with a UFP device agrees, with its end and with its refusal") {
  RecordedLine line;
  virtual_device::UfpFaults faults;
  SECTION("passed") {}
  SECTION("refused in the middle") { faults.status_at = {100000, 0x1005}; }
  SECTION("pulled in the middle") { faults.disconnect_at_byte = 100000; }
  const AttemptResult recorded = line.flash(ufp_device(line, faults), false, without_read_back());
  const ReplayReport report = line.replay();
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees);
  CHECK(report.verdict == recorded.verdict);
}

TEST_CASE("a reboot that the recipe asked for is asked for again") {
  RecordedLine line;
  auto rebooting = recipe();
  rebooting.flash.after_pass = engine::AfterPass::reboot;
  REQUIRE(line.flash(line.options(), false, rebooting).verdict == db::AttemptVerdict::passed);
  CHECK(line.replay().result == ReplayResult::agrees);
}

TEST_CASE("an image that is not the recorded one differs at the first transfer that has other bytes") {
  RecordedLine line;
  REQUIRE(line.flash(line.options()).verdict == db::AttemptVerdict::passed);
  const ArmedImage other = changed_image();
  const ReplayReport report = line.replay(line.all(), &other);
  CHECK(report.result == ReplayResult::differs);
  REQUIRE(report.difference);
  CHECK(report.difference->id() == "capture.replay-differs");
  CHECK(report.difference->context_value("transfer") == std::to_string(report.transfers + 1));
  CHECK_FALSE(report.difference->context_value("frame").empty());
  // The first bytes of the file that are not the same are of the hash table, in the first packet.
  const auto mine = line.image.image->file().read(0, 16376).value();
  const auto theirs = other.image->file().read(0, 16376).value();
  const auto at = std::ranges::mismatch(mine, theirs).in1 - mine.begin();
  CHECK(report.difference->context_value("offset") == std::to_string(at));
}

TEST_CASE("a byte of an answer that was changed in the file makes the replay differ") {
  RecordedLine line;
  REQUIRE(line.flash(line.options()).verdict == db::AttemptVerdict::passed);
  const auto bytes = line.all();
  const auto recording = capture::Recording::read(std::make_shared<core::MemorySource>(bytes)).value();
  std::set<std::string> transfers;
  for (const auto& transfer : recording->attempts().at(0).connections.at(0).transfers) {
    constexpr auto kAck = static_cast<std::uint8_t>(devices::simple_io::Opcode::ack);
    if (transfer.kind != capture::TransferKind::bulk_in || transfer.kept != 1 || bytes[transfer.data_at] != kAck)
      continue;
    core::ByteBuffer changed = bytes;
    changed[transfer.data_at] ^= 0x40;
    const ReplayReport report = line.replay(std::move(changed), &line.image);
    INFO("frame " << transfer.frame << " of " << report.transfers);
    CHECK(report.result == ReplayResult::differs);
    if (report.difference) transfers.insert(std::string(report.difference->context_value("transfer")));
  }
  CHECK(transfers.size() >= 2);
}

TEST_CASE("an attempt that did not pass is kept, and what was not kept of its transfers is counted") {
  RecordedLine line;
  auto options = line.options();
  options.faults.bad_sector = 65536;
  options.disk_transfer_size = 16384;
  const AttemptResult result = line.flash(options);
  REQUIRE(result.verdict == db::AttemptVerdict::failed);
  REQUIRE(result.recording);
  CHECK(result.recording->filename() == "attempt-" + std::to_string(*result.id) + ".pcapng");
  CHECK(std::filesystem::file_size(*result.recording) < 512U << 10);
  CHECK((std::filesystem::status(*result.recording).permissions() & std::filesystem::perms::others_all) ==
        std::filesystem::perms::none);
  const ReplayReport report = line.replay(line.file(*result.recording), &line.image);
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees);
  CHECK(report.transfers == read(line.file(*result.recording))->attempts()[0].transfers());
  // Of each packet the first 512 bytes are kept.
  CHECK(report.uncompared > 10000);
  CHECK(report.note.find(std::to_string(report.uncompared) + " bytes that were sent are not in it") !=
        std::string::npos);
}

TEST_CASE("a recording with a gap agrees up to there and not further") {
  RecordedLine line;
  REQUIRE(line.flash(line.options()).verdict == db::AttemptVerdict::passed);
  const auto recording = read(line.all());
  Remake remake;
  remake.outcome = recording->attempts()[0].outcome;
  remake.gap_at = 40;
  const ReplayReport report = line.replay(remake.of(*recording), &line.image);
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees_to_end);
  CHECK(report.transfers == 40);
}

TEST_CASE("a gap that recovery runs into is no agreement, though the error is the recorded one") {
  RecordedLine line;
  auto options = line.options();
  options.faults.answer = AnswerFault{.kind = AnswerFault::Kind::no_reply, .at_byte = 270000};
  static_cast<void>(line.flash(options));
  Remake remake;
  remake.outcome = {.verdict = "failed", .error = "device.timed-out", .read_back = "required"};
  const auto recording = read(line.all());
  const auto& transfers = recording->attempts()[0].connections[0].transfers;
  // Draining times out, too; what recovery follows is the one before the pipes are cleared.
  const auto loss = std::ranges::adjacent_find(transfers, [](const auto& one, const auto& next) {
    return one.status == capture::usbmon::kUnlinked && next.kind == capture::TransferKind::control_out;
  });
  REQUIRE(loss != transfers.end());
  // The first read of draining is missing.
  const auto drain = std::find_if(loss + 1, transfers.end(),
                                  [](const auto& transfer) { return transfer.kind == capture::TransferKind::bulk_in; });
  remake.gap_at = static_cast<std::size_t>(drain - transfers.begin());
  const ReplayReport report = line.replay(remake.of(*recording), &line.image);
  REQUIRE(report.error);
  CHECK(report.error->id() == "device.timed-out");
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees_to_end);
  CHECK(report.transfers == remake.gap_at);
}

TEST_CASE("a host that gives up while the recorded one went on differs, whatever outcome is recorded") {
  RecordedLine line;
  REQUIRE(line.flash(line.options()).verdict == db::AttemptVerdict::passed);
  const auto recording = read(line.all());
  // As a parser does that refuses what it took then: the disk's sizes cannot be.
  Remake remake;
  remake.is_disk_changed = true;
  const ArmedImage* image = &line.image;
  SECTION("without an image") { remake.outcome = recording->attempts()[0].outcome; }
  SECTION("without an image and an outcome") {}
  SECTION("of which no outcome is recorded") {}
  SECTION("where a rule had decided") { remake.outcome = {.verdict = "failed", .error = "inspect.failed"}; }
  SECTION("where somebody had stopped it") { remake.outcome = {.verdict = "aborted", .error = "job.cancelled"}; }
  for (const ArmedImage* with : {static_cast<const ArmedImage*>(nullptr), image}) {
    const ReplayReport report = line.replay(remake.of(*recording), with);
    REQUIRE(report.error);
    INFO(report.error->message());
    CHECK(report.result == ReplayResult::differs);
    REQUIRE(report.difference);
    CHECK(report.difference->id() == "capture.replay-differs");
    CHECK(report.difference->detail() == "it ends in another way");  // no transfer shows it
    CHECK(report.transfers < recording->attempts()[0].transfers());
  }
}

TEST_CASE("a PASS with rules is compared up to where the rules begin") {
  RecordedLine line;
  auto with_reboot = recipe();
  with_reboot.flash.after_pass = engine::AfterPass::reboot;
  REQUIRE(line.flash(line.options(), false, with_reboot).verdict == db::AttemptVerdict::passed);
  const auto recording = read(line.all());
  Remake remake;
  remake.outcome = recording->attempts()[0].outcome;
  remake.outcome->proof = "inspected";  // and the reboot stands for what the rules read
  const ReplayReport report = line.replay(remake.of(*recording), &line.image);
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees);
  CHECK(report.transfers < recording->attempts()[0].transfers());
  CHECK(report.note.find("the rules of the recipe are not replayed") != std::string::npos);
}

TEST_CASE("a PASS is not kept") {
  RecordedLine line;
  const AttemptResult result = line.flash(line.options());
  CHECK(result.verdict == db::AttemptVerdict::passed);
  CHECK_FALSE(result.recording);
  CHECK_FALSE(std::filesystem::exists(line.folder / "kept"));
}

TEST_CASE("what the station's records decided is not compared, but its transfers are") {
  RecordedLine line;
  const auto device = VirtualSimpleIoDevice::create(line.options()).value();
  REQUIRE(line.flash(device).verdict == db::AttemptVerdict::passed);
  REQUIRE(line.bus.unplug(kPort));
  const AttemptResult again = line.flash(device);
  REQUIRE(again.verdict == db::AttemptVerdict::refused);
  REQUIRE(again.recording);
  const ReplayReport report = line.replay(line.file(*again.recording), &line.image);
  CHECK(report.result == ReplayResult::agrees_to_end);
}

TEST_CASE("without an image a device is identified from its recording") {
  RecordedLine line;
  REQUIRE(line.flash(line.options()).verdict == db::AttemptVerdict::passed);
  const ReplayReport report = line.replay(line.all(), nullptr);
  CHECK(report.result == ReplayResult::agrees);
  CHECK_FALSE(report.verdict);
  CHECK_FALSE(report.error);
  CHECK(report.transfers > 2);
}

TEST_CASE("a recording that breaks off is replayed as far as it goes") {
  RecordedLine line;
  REQUIRE(line.flash(line.options()).verdict == db::AttemptVerdict::passed);
  auto bytes = line.all();
  bytes.resize(bytes.size() / 2);
  const ReplayReport report = line.replay(std::move(bytes), &line.image);
  CHECK(difference_of(report).empty());
  CHECK(report.result == ReplayResult::agrees_to_end);
  CHECK(report.transfers > 10);
}
