// SPDX-License-Identifier: GPL-3.0-or-later
// A disk with several requests in flight: what is written, what is left alone, what is erased, and how it is proved.
#include <catch2/catch.hpp>

#include "flash/engine/block_writer.hpp"
#include "flash/engine/errors.hpp"
#include "tests/unit/engine/queue_fixture.hpp"

using namespace imprint;
using fixture::MemoryDisk;
using Kind = MemoryDisk::Event::Kind;

namespace {

constexpr std::size_t kBlock = 131072;
constexpr std::size_t kDisk = 64 * kBlock;

// Blocks at the ends, a long run that the payload has in two halves the other way round, and single ones.
const std::vector<std::uint32_t>& described() {
  static const std::vector<std::uint32_t> blocks = [] {
    std::vector<std::uint32_t> out{0, 63};
    for (std::uint32_t i = 20; i < 30; ++i) out.push_back(i);
    for (std::uint32_t i = 5; i < 20; ++i) out.push_back(i);
    out.push_back(40);
    out.push_back(42);
    return out;
  }();
  return blocks;
}

struct Line {
  core::ByteBuffer content = fixture::noise(kDisk, 1);
  std::shared_ptr<engine::VerifiedImage> image = fixture::image_of(content, described());
  engine::FlashPolicy policy;
  engine::WriteOutcome outcome;
  engine::PhaseMeter meter;
  fixture::Listener listener;

  [[nodiscard]] std::shared_ptr<const engine::WritePlan> plan(MemoryDisk& disk) {
    fixture::MemoryTarget target(disk);
    return engine::plan_for(*image, target.identify().value(), policy).value();
  }
  core::Status write(MemoryDisk& disk, const std::stop_token& stop = {}) {
    fixture::MemoryTarget target(disk);
    return engine::write_image(target, *image, *plan(disk), policy, listener, meter, stop, outcome);
  }
  core::Status read_back(MemoryDisk& disk) {
    fixture::MemoryQueue queue(disk);
    engine::PhaseMeter reading;
    return engine::read_back(*image, *plan(disk), policy, queue, {}, reading, {});
  }
  [[nodiscard]] core::ByteBuffer expected(std::uint8_t fill, std::uint8_t erased) const {
    core::ByteBuffer out(kDisk, fill);
    for (std::size_t i = 1; i < 63; ++i)
      std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(i * kBlock), kBlock, erased);
    for (const std::uint32_t block : described()) {
      std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(block * kBlock), kBlock,
                  out.begin() + static_cast<std::ptrdiff_t>(block * kBlock));
    }
    return out;
  }
};

}  // namespace

TEST_CASE("neighbouring runs are written as one, cut at whole MiB of the disk, several in flight") {
  Line line;
  for (const bool gathers : {true, false}) {
    MemoryDisk disk(core::ByteBuffer(kDisk, 0xA5));
    disk.takes_gathers = gathers;
    REQUIRE(line.write(disk));
    CHECK((disk.bytes == line.expected(0xA5, 0xA5)));
    CHECK(disk.most_in_flight == fixture::MemoryQueue::kDepth);
    CHECK((disk.gathered > 0) == gathers);
    std::vector<core::Extent> body;
    for (const MemoryDisk::Event& event : disk.events) {
      if (event.kind == Kind::write && event.offset >= kBlock && event.offset < kDisk - kBlock)
        body.push_back({event.offset, event.length});
    }
    std::ranges::sort(body, {}, &core::Extent::offset);
    const std::vector<core::Extent> due{{5 * kBlock, 3 * kBlock},  {8 * kBlock, 8 * kBlock}, {16 * kBlock, 8 * kBlock},
                                        {24 * kBlock, 6 * kBlock}, {40 * kBlock, kBlock},    {42 * kBlock, kBlock}};
    CHECK(body == due);
    CHECK(line.read_back(disk));
    CHECK(line.listener.done == line.plan(disk)->described_bytes());
    CHECK(line.meter.view().done == line.meter.view().due);
    CHECK(line.outcome.notes == std::vector<std::string>{"a disk in memory"});
  }
}

TEST_CASE("whichever request of a disk fails, no success is reported, and no first sector is left") {
  Line line;
  for (unsigned n = 1;; ++n) {
    MemoryDisk disk(core::ByteBuffer(kDisk, 0xA5));
    disk.fail_at = n;
    const auto done = line.write(disk);
    INFO("request " << n);
    if (done) {
      CHECK(n > 12);
      break;
    }
    CHECK(done.error().id() == "io.write-failed");
    const bool is_old = disk.bytes[0] == 0xA5;
    const bool is_new = disk.bytes[0] == line.content[0];
    CHECK((core::is_zero(core::ByteView(disk.bytes).first(512)) || (is_old && disk.events.empty()) ||
           (is_new && disk.events.back().length == 4096)));
  }
}

TEST_CASE("a write is cancelled at any of its steps") {
  Line line;
  std::uint64_t steps = 0;
  for (bool cancelled = true; cancelled; ++steps) {
    MemoryDisk disk(core::ByteBuffer(kDisk, 0xA5));
    std::stop_source source;
    std::uint64_t heard = 0;
    line.listener.after_bytes = [&] {
      if (heard++ == steps) source.request_stop();
    };
    const auto done = line.write(disk, source.get_token());
    cancelled = !done;
    if (cancelled) CHECK(done.error().id() == "job.cancelled");
  }
  CHECK(steps > 6);
}

TEST_CASE("only what differs is written, and it reads back") {
  Line line;
  line.policy.write_mode = engine::WriteMode::differing;
  MemoryDisk disk(line.expected(0xA5, 0xA5));
  disk.bytes[6 * kBlock + 5000] ^= 1;
  disk.bytes[6 * kBlock + 9000] ^= 1;
  disk.bytes[42 * kBlock + kBlock - 1] ^= 1;
  REQUIRE(line.write(disk));
  CHECK((disk.bytes == line.expected(0xA5, 0xA5)));
  CHECK(line.read_back(disk));
  CHECK(line.listener.done == line.plan(disk)->described_bytes());
  // Both tables are wiped and written again; between them two pages and one.
  std::uint64_t body = 0;
  for (const MemoryDisk::Event& event : disk.events) {
    if (event.kind == Kind::write && event.offset >= kBlock && event.offset < kDisk - kBlock) body += event.length;
  }
  CHECK(body == 3 * 4096);
  CHECK(line.outcome.skipped == line.plan(disk)->described_bytes() - 2 * kBlock - 3 * 4096);
  CHECK(line.outcome.written == 4 * kBlock + 3 * 4096);
}

TEST_CASE("what the image leaves out is erased as the policy says, and nothing else") {
  using engine::EraseWay;
  using engine::Erasure;
  Line line;
  for (const auto& [erasure, way] : {std::pair{Erasure::none, EraseWay::zero},
                                     {Erasure::discard, EraseWay::discard},
                                     {Erasure::secure_discard, EraseWay::secure_discard},
                                     {Erasure::zero, EraseWay::zero},
                                     {Erasure::verified, EraseWay::zero}}) {
    line.policy.erasure = erasure;
    MemoryDisk disk(core::ByteBuffer(kDisk, 0xA5));
    fixture::MemoryTarget target(disk);
    REQUIRE(line.write(disk));
    const bool is_erased = erasure != Erasure::none;
    CHECK((disk.bytes == line.expected(0xA5, is_erased ? 0 : 0xA5)));
    CHECK(disk.length_of(Kind::erase) == (is_erased ? line.plan(disk)->left_out_bytes() : 0));
    for (const MemoryDisk::Event& event : disk.events) CHECK((event.kind != Kind::erase || event.way == way));
    CHECK(line.outcome.erased == disk.length_of(Kind::erase));
    CHECK(line.listener.done == engine::bytes_due(target, *line.image, *line.plan(disk), line.policy));
    CHECK(line.read_back(disk));
  }
}

TEST_CASE("a disk that cannot discard is left as it is with a note, and one that cannot do it securely is refused") {
  Line line;
  MemoryDisk disk(core::ByteBuffer(kDisk, 0xA5));
  disk.discards = false;
  line.policy.erasure = engine::Erasure::discard;
  REQUIRE(line.write(disk));
  CHECK(line.outcome.erased == 0);
  CHECK(line.outcome.notes.size() == 2);
  line.policy.erasure = engine::Erasure::secure_discard;
  disk.discards = false;
  CHECK(line.write(disk).error().id() == "device.erase-unsupported");
  CHECK(core::is_zero(core::ByteView(disk.bytes).first(512)));
}

TEST_CASE("a verified erasure is proved by reading zeros, and a disk that only said so is found out") {
  Line line;
  line.policy.erasure = engine::Erasure::verified;
  MemoryDisk disk(core::ByteBuffer(kDisk, 0xA5));
  disk.lies_when_erasing = true;
  REQUIRE(line.write(disk));
  CHECK(line.read_back(disk).error().id() == "erase.not-zero");
  line.policy.erasure = engine::Erasure::zero;
  CHECK(line.read_back(disk));
}

TEST_CASE("one wrong bit anywhere in what is due is found, with several reads in flight") {
  Line line;
  MemoryDisk disk(line.expected(0xA5, 0xA5));
  REQUIRE(line.read_back(disk));
  for (const std::uint32_t block : described()) {
    std::uint8_t& byte = disk.bytes[block * kBlock + block * 997];
    byte ^= 0x20;
    CHECK(line.read_back(disk).error().id() == "readback.mismatch");
    byte ^= 0x20;
  }
  for (disk.fail_at = 1;; ++disk.fail_at) {
    disk.ended = 0;
    const auto done = line.read_back(disk);
    if (done) break;
    CHECK(done.error().id() == "io.write-failed");
  }
  CHECK(disk.fail_at > 6);
}

TEST_CASE("a failed write is begun again as often as the policy says, after the errors that it names") {
  Line line;
  MemoryDisk disk(core::ByteBuffer(kDisk, 0xA5));
  disk.fail_at = 9;
  line.policy.retries = {.times = 1, .worth = {"device.timed-out"}};
  CHECK_FALSE(line.write(disk));
  CHECK(line.outcome.tries == 1);
  line.policy.retries.worth = {"io.write-failed"};
  disk.ended = 0;
  std::vector<std::uint64_t> told;
  line.listener.after_bytes = [&] { told.push_back(line.listener.done); };
  REQUIRE(line.write(disk));
  line.listener.after_bytes = nullptr;
  CHECK(std::ranges::count(told, 0U) == 1);  // the second try's beginning
  CHECK(line.outcome.tries == 2);
  CHECK(line.outcome.notes.size() == 2);
  CHECK((disk.bytes == line.expected(0xA5, 0xA5)));
  CHECK(line.outcome.written == line.plan(disk)->described_bytes() + 2 * kBlock);
  REQUIRE(line.outcome.parts.size() == 1);
  CHECK(line.outcome.parts[0].kind == engine::WritePart::Kind::failed_try);
  CHECK(line.outcome.parts[0].error->id() == "io.write-failed");

  fixture::MemoryTarget target(disk);
  std::stop_source cancelled;
  disk.fail_at = 9;
  disk.ended = 0;
  line.listener.after_bytes = [&] { cancelled.request_stop(); };
  CHECK_FALSE(engine::write_image(target, *line.image, *line.plan(disk), line.policy, line.listener, line.meter,
                                  cancelled.get_token(), line.outcome));
  CHECK(target.openings == 1);
}

TEST_CASE("what doing the same again does not mend is not tried again, whatever the policy names") {
  engine::Retries retries{.times = 1, .worth = {"device.timed-out", "image.hash-mismatch", "job.cancelled"}};
  CHECK(retries.is_worth_one(core::fail("io.read-failed").error()) == false);
  CHECK(retries.is_worth_one(core::fail("job.cancelled").error()) == false);
  retries.worth.emplace_back("io.read-failed");
  CHECK(retries.is_worth_one(core::fail("io.read-failed").error()));
  for (const char* id : {"device.stalled", "device.timed-out", "device.transfer-failed", "readback.mismatch"})
    CHECK(engine::may_be_mended_by_retry(id));
  for (const char* id : {"image.changed", "device.platform-mismatch", "device.identity-changed", "job.deadline"})
    CHECK_FALSE(engine::may_be_mended_by_retry(id));
  for (const std::string& id : engine::Retries{}.worth) CHECK(engine::may_be_mended_by_retry(id));
}

TEST_CASE("erasing is a part of a write with its own bytes, and one that failed says why") {
  Line line;
  line.policy.erasure = engine::Erasure::zero;
  MemoryDisk disk(core::ByteBuffer(kDisk, 0xA5));
  REQUIRE(line.write(disk));
  REQUIRE(line.outcome.parts.size() == 1);
  CHECK(line.outcome.parts[0].kind == engine::WritePart::Kind::erase);
  CHECK(line.outcome.parts[0].bytes == line.plan(disk)->left_out_bytes());
  CHECK_FALSE(line.outcome.parts[0].error.has_value());
  line.policy.erasure = engine::Erasure::secure_discard;
  disk.discards = false;
  CHECK_FALSE(line.write(disk));
  CHECK(line.outcome.parts.back().error->id() == "device.erase-unsupported");
}

TEST_CASE("a disk with old data is erased with zeros at the least, and never less than the recipe asks for") {
  using engine::Erasure;
  const auto reworked = [](Erasure asked, Erasure least) {
    engine::FlashPolicy policy;
    policy.erasure = asked;
    policy.rework_erasure = least;
    return engine::for_rework(policy).erasure;
  };
  CHECK(engine::FlashPolicy{}.rework_erasure == Erasure::zero);
  for (const Erasure asked : {Erasure::none, Erasure::discard}) {
    CHECK(reworked(asked, Erasure::zero) == Erasure::zero);
    CHECK(reworked(asked, Erasure::secure_discard) == Erasure::secure_discard);
  }
  CHECK(reworked(Erasure::zero, Erasure::zero) == Erasure::zero);
  CHECK(reworked(Erasure::zero, Erasure::secure_discard) == Erasure::secure_discard);
  CHECK(reworked(Erasure::secure_discard, Erasure::zero) == Erasure::secure_discard);
  CHECK(reworked(Erasure::verified, Erasure::secure_discard) == Erasure::verified);
}

TEST_CASE("all slots with disks of one size share one plan") {
  Line line;
  MemoryDisk disk(core::ByteBuffer(kDisk, 0));
  MemoryDisk larger(core::ByteBuffer(2 * kDisk, 0));
  const auto plan = line.plan(disk);
  CHECK(line.plan(disk) == plan);
  CHECK(line.plan(larger) != plan);
  CHECK(line.plan(disk) == plan);
}

TEST_CASE("what a PASS is followed by is asked of the target, which may not know it") {
  MemoryDisk disk(core::ByteBuffer(kDisk, 0));
  fixture::MemoryTarget target(disk);
  CHECK(engine::finish_device(target, engine::AfterPass::nothing));
  CHECK(engine::finish_device(target, engine::AfterPass::reboot));
  CHECK(engine::finish_device(target, engine::AfterPass::power_off).error().id() == "device.after-pass-unsupported");
  CHECK(engine::finish_device(target, engine::AfterPass::mass_storage).error().id() == "device.after-pass-unsupported");
}

TEST_CASE("every choice of the policy has a word that is read back as that choice") {
  using namespace engine;
  for (const WriteMode one : {WriteMode::everything, WriteMode::differing})
    CHECK(parse_write_mode(to_string(one)) == one);
  for (const Erasure one : {Erasure::none, Erasure::discard, Erasure::secure_discard, Erasure::zero, Erasure::verified})
    CHECK(parse_erasure(to_string(one)) == one);
  for (const AfterPass one : {AfterPass::nothing, AfterPass::reboot, AfterPass::power_off, AfterPass::mass_storage})
    CHECK(parse_after_pass(to_string(one)) == one);
  CHECK_FALSE(parse_write_mode("Everything"));
  CHECK_FALSE(parse_erasure(""));
  CHECK_FALSE(parse_after_pass("reboot "));
}
