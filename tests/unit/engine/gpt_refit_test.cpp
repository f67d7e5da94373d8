// SPDX-License-Identifier: GPL-3.0-or-later
// An image on a larger disk than it was made for: the warning, and the table that is fitted to the disk.
#include "flash/engine/gpt_refit.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/engine/gpt_fixture.hpp"
#include "tests/unit/engine/queue_fixture.hpp"

using namespace imprint;
using fixture::MemoryDisk;

namespace {

constexpr std::size_t kBlock = 131072;
constexpr std::size_t kSize = 16 * kBlock;

core::ByteBuffer disk_with_gpt() {
  core::ByteBuffer out = fixture::noise_with_gpt(kSize);
  out[440] = 0x5A;  // boot code and the like is nobody's business here
  return out;
}

std::vector<std::uint32_t> all_blocks() {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < kSize / kBlock; ++i) out.push_back(i);
  return out;
}

struct Line {
  std::shared_ptr<engine::VerifiedImage> image = fixture::image_of(disk_with_gpt(), all_blocks());
  engine::FlashPolicy policy;
  engine::WriteOutcome outcome;

  [[nodiscard]] engine::VerifiedImage::Plan plan(MemoryDisk& disk) {
    return engine::plan_for(*image, fixture::MemoryTarget(disk).identify().value(), policy);
  }
  core::Status write(MemoryDisk& disk) {
    fixture::MemoryTarget target(disk);
    fixture::Listener listener;
    engine::PhaseMeter meter;
    return engine::write_image(target, *image, *plan(disk).value(), policy, listener, meter, {}, outcome);
  }
  core::Status read_back(MemoryDisk& disk) {
    fixture::MemoryQueue queue(disk);
    engine::PhaseMeter meter;
    return engine::read_back(*image, *plan(disk).value(), policy, queue, {}, meter, {});
  }
};

}  // namespace

TEST_CASE("a backup table that does not lie at the disk's end is told, and stays where the image has it") {
  Line line;
  MemoryDisk same(core::ByteBuffer(kSize, 0xA5));
  REQUIRE(line.write(same));
  CHECK(line.plan(same).value()->warnings().empty());
  CHECK_FALSE(line.plan(same).value()->gpt().has_value());
  MemoryDisk larger(core::ByteBuffer(2 * kSize, 0xA5));
  REQUIRE(line.write(larger));
  REQUIRE(line.plan(larger).value()->warnings().size() == 1);
  CHECK(line.outcome.notes.front() == line.plan(larger).value()->warnings().front());
  const auto gpt = line.plan(larger).value()->gpt();
  REQUIRE(gpt.has_value());
  CHECK(gpt->in_image == kSize / 512 - 1);
  CHECK(gpt->last == 2 * kSize / 512 - 1);
  CHECK_FALSE(gpt->is_fitted);
  CHECK(line.outcome.parts.empty());
  CHECK(line.read_back(larger));
  const auto copies = disk::read_gpt_copies(core::MemorySource(larger.bytes), 512).value();
  CHECK(copies.backup_sector == kSize / 512 - 1);
}

TEST_CASE("a table is fitted to a larger disk, and the proof knows it") {
  Line line;
  line.policy.refit_gpt = true;
  for (const std::size_t size : {kSize + 4096 * std::size_t{12}, 2 * kSize, 3 * kSize + 512}) {
    MemoryDisk larger(core::ByteBuffer(size, 0xA5));
    REQUIRE(line.write(larger));
    CHECK(line.plan(larger).value()->gpt()->is_fitted);
    REQUIRE(line.outcome.parts.size() == 1);
    CHECK(line.outcome.parts[0].kind == engine::WritePart::Kind::gpt_refit);
    CHECK(line.outcome.parts[0].bytes == 35 * 512);
    const auto copies = disk::read_gpt_copies(core::MemorySource(larger.bytes), 512).value();
    REQUIRE(copies.primary);
    REQUIRE(copies.backup);
    CHECK(copies.agree);
    CHECK(copies.protective_mbr);
    CHECK(copies.backup_sector == size / 512 - 1);
    CHECK(copies.primary->last_usable_sector == size / 512 - 34);
    CHECK(copies.primary->partitions == fixture::one_partition().partitions);
    CHECK(larger.bytes[440] == 0x5A);
    CHECK(core::load_le<std::uint32_t>(larger.bytes.data() + 446 + 12) == size / 512 - 1);
    CHECK(line.read_back(larger));
    for (const std::size_t wrong : {std::size_t{512 + 32}, std::size_t{446}, std::size_t{1024}, size - 512, size - 600,
                                    kSize / 2, size - 33 * 512}) {
      larger.bytes[wrong] ^= 1;
      CHECK(line.read_back(larger).error().id() == "readback.mismatch");
      larger.bytes[wrong] ^= 1;
    }
  }
}

TEST_CASE("a fitted table is what whole tools would have written") {
  const core::ByteBuffer small = disk_with_gpt();
  core::ByteBuffer large = small;
  large.resize(2 * kSize);
  const auto replaced = engine::refit_gpt(core::MemorySource(large), 512).value();
  const auto whole = disk::encode_gpt(fixture::one_partition(), large.size() / 512).value();
  REQUIRE(replaced.size() == 2);
  CHECK(std::equal(replaced[0].bytes.begin() + 512, replaced[0].bytes.end(), whole.head.begin() + 512));
  CHECK((replaced[1].bytes == whole.tail));
  CHECK(replaced[1].end() == large.size());
}

TEST_CASE("where there is no sound table, nothing is fitted") {
  Line line;
  line.image = fixture::image_of(fixture::noise(kSize, 3), all_blocks());
  MemoryDisk larger(core::ByteBuffer(2 * kSize, 0));
  CHECK(line.plan(larger).value()->warnings().empty());
  auto broken = disk_with_gpt();
  broken[512 + 60] ^= 1;
  broken.resize(2 * kSize);
  CHECK(engine::refit_gpt(core::MemorySource(broken), 512).error().id() == "layout.gpt-damaged");
  CHECK_FALSE(engine::misplaced_backup(core::MemorySource(broken), 512).value());
}

TEST_CASE("a device that applies the image itself is never given a fitted table") {
  Line line;
  line.policy.refit_gpt = true;
  engine::DeviceIdentity identity;
  identity.platform_id = "Imprint.Virtual.Board.1";
  identity.disk = engine::DiskGeometry{512, 2 * kSize};
  const auto plan = engine::plan_for(*line.image, identity, line.policy).value();
  CHECK(plan->replacements().empty());
  CHECK(plan->warnings().size() == 1);
}
