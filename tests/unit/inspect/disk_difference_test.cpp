// SPDX-License-Identifier: GPL-3.0-or-later
// Where two disks differ, to the granule.
#include "flash/inspect/disk_difference.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

namespace imprint::inspect {
namespace {

using core::Extent;
using Extents = std::vector<Extent>;

constexpr std::uint64_t kG = kDifferenceGranule;

// Counts what is read; ranges outside of `data` are holes where that is given.
class WatchedSource final : public core::BlockSource {
 public:
  explicit WatchedSource(core::ByteBuffer bytes, Extents data = {})
      : bytes_(std::move(bytes)), data_(std::move(data)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    if (offset + out.size() > fail_from) return core::fail("io.read-failed");
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    read += out.size();
    return {};
  }
  [[nodiscard]] core::Result<std::optional<Extent>> next_data(std::uint64_t from) const override {
    if (data_.empty()) return BlockSource::next_data(from);
    for (const Extent& extent : data_) {
      const std::uint64_t start = std::max(from, extent.offset);
      if (start < extent.end()) return std::optional{Extent{start, extent.end() - start}};
    }
    return std::optional<Extent>{};
  }
  mutable std::uint64_t read = 0;
  std::uint64_t fail_from = UINT64_MAX;

 private:
  core::ByteBuffer bytes_;
  Extents data_;
};

Extents compare(const core::ByteBuffer& a, const core::ByteBuffer& b) {
  const auto extents = compare_disks(WatchedSource(a), WatchedSource(b));
  REQUIRE(extents.has_value());
  return *extents;
}

}  // namespace

TEST_CASE("equal disks do not differ") { CHECK(compare(core::ByteBuffer(9000, 7), core::ByteBuffer(9000, 7)).empty()); }

TEST_CASE("a byte that differs is named by its granule") {
  core::ByteBuffer a(10 * kG);
  auto b = a;
  b[5 * kG] = 1;
  CHECK(compare(a, b) == Extents{{5 * kG, kG}});
  b[6 * kG - 1] = 1;
  CHECK(compare(a, b) == Extents{{5 * kG, kG}});
}

TEST_CASE("granules side by side are one extent") {
  core::ByteBuffer a(10 * kG);
  auto b = a;
  b[2 * kG] = b[3 * kG + 9] = b[4 * kG + 4095] = b[8 * kG] = 1;
  CHECK(compare(a, b) == Extents{{2 * kG, 3 * kG}, {8 * kG, kG}});
}

TEST_CASE("an extent goes on over the border of what is read at once") {
  core::ByteBuffer a(5U << 20);
  auto b = a;
  std::fill_n(b.begin() + (2 << 20) - 4096, 8192, std::uint8_t{1});
  CHECK(compare(a, b) == Extents{{(2U << 20) - 4096, 8192}});
}

TEST_CASE("the last granule is as short as the disk makes it") {
  core::ByteBuffer a(2 * kG + 100);
  auto b = a;
  b.back() = 1;
  CHECK(compare(a, b) == Extents{{2 * kG, 100}});
}

TEST_CASE("a shorter disk counts as zeros behind its end") {
  const core::ByteBuffer a(2 * kG + 100);
  core::ByteBuffer b(6 * kG);
  CHECK(compare(a, b).empty());
  b[2 * kG + 100] = 1;
  b[5 * kG] = 1;
  CHECK(compare(a, b) == Extents{{2 * kG, kG}, {5 * kG, kG}});
  CHECK(compare(b, a) == Extents{{2 * kG, kG}, {5 * kG, kG}});
}

TEST_CASE("what is a hole in both is not read, and what is data in one is") {
  core::ByteBuffer bytes(64U << 20);
  auto other = bytes;
  other[40U << 20] = 1;
  const WatchedSource a(bytes, {{0, kG}});
  const WatchedSource b(other, {{40U << 20, kG}});
  const auto extents = compare_disks(a, b);
  REQUIRE(extents.has_value());
  CHECK(*extents == Extents{{40U << 20, kG}});
  CHECK(a.read <= 4U << 20);
}

TEST_CASE("data that begins in the middle of a granule is compared from the granule's start") {
  core::ByteBuffer bytes(4 * kG);
  auto other = bytes;
  other[kG + 700] = 1;
  const auto extents = compare_disks(WatchedSource(bytes, {{kG + 600, 200}}), WatchedSource(other, {{kG + 600, 200}}));
  REQUIRE(extents.has_value());
  CHECK(*extents == Extents{{kG, kG}});
}

TEST_CASE("a read that fails is the answer") {
  WatchedSource a(core::ByteBuffer(8U << 20));
  a.fail_from = 5U << 20;
  const auto extents = compare_disks(a, WatchedSource(core::ByteBuffer(8U << 20)));
  REQUIRE_FALSE(extents.has_value());
  CHECK(extents.error().id() == "io.read-failed");
}

TEST_CASE("a comparison says how far it is, and stops when it is asked to") {
  std::stop_source stop;
  std::vector<std::uint64_t> seen;
  const auto watch = [&](std::uint64_t done, std::uint64_t total) {
    CHECK(total == 8U << 20);
    seen.push_back(done);
    if (done == 4U << 20) stop.request_stop();
  };
  const core::ByteBuffer bytes(8U << 20);
  const auto extents = compare_disks(WatchedSource(bytes), WatchedSource(bytes), watch, stop.get_token());
  REQUIRE_FALSE(extents.has_value());
  CHECK(extents.error().id() == "job.cancelled");
  CHECK(seen == std::vector<std::uint64_t>{2U << 20, 4U << 20});
}

TEST_CASE("extents are cut to a range") {
  const Extents extents{{0, 10}, {20, 10}, {40, 10}};
  CHECK(extents_within(extents, {5, 20}) == Extents{{5, 5}, {20, 5}});
  CHECK(extents_within(extents, {10, 10}).empty());
  CHECK(extents_within(extents, {0, 100}) == extents);
}

TEST_CASE("a granule that two extents touch counts once") {
  const auto size = size_of({{100, 50}, {300, 50}, {kG - 1, 2}, {5 * kG, 2 * kG}});
  CHECK(size.blocks == 4);
  CHECK(size.bytes == 102 + 2 * kG);
}

}  // namespace imprint::inspect
