// SPDX-License-Identifier: GPL-3.0-or-later
// What makes two images different to a device: also what they ask of it, and what they clear on it.
#include "station/cli/image_difference.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/fixtures/ffu_fixture.hpp"

using namespace imprint;
using namespace imprint::station::cli;

namespace {

FfuFile opened(const fixture::StoreOptions& store) {
  fixture::FileOptions options;
  options.stores = {store};
  auto file = std::make_shared<const core::MemorySource>(fixture::build_image(options).file);
  auto image = ffu::open_image(*file);
  REQUIRE(image);
  return {file, std::make_shared<const ffu::OpenedImage>(std::move(*image))};
}

ImageDifference difference(const fixture::StoreOptions& a, const fixture::StoreOptions& b) {
  auto out = compare_images(opened(a), opened(b), {}, {});
  REQUIRE(out);
  return std::move(*out);
}

fixture::StoreOptions partial_update() {
  fixture::StoreOptions out;
  out.update_type = 1;
  out.validation = {{3, 8, "version 1"}, {9, 0, "kernel"}};
  out.descriptors = {{{{0, 2}}, 1, 7}};
  return out;
}

std::vector<std::string> facts_of(const ImageDifference& difference) {
  std::vector<std::string> out;
  for (const FactDifference& fact : difference.facts) {
    if (fact.of_contents) out.push_back(fact.fact);
  }
  return out;
}

}  // namespace

TEST_CASE("an image is the same as itself") {
  const auto out = difference(partial_update(), partial_update());
  CHECK(out.same_contents());
  CHECK(out.facts.empty());
}

TEST_CASE("partial updates that ask other things of a disk are different, whatever they write") {
  const auto before = partial_update();
  const auto is_told = [&before](const fixture::StoreOptions& after) {
    const auto out = difference(before, after);
    CHECK_FALSE(out.same_contents());
    CHECK(facts_of(out) == std::vector<std::string>{"store 0: validation entries"});
    CHECK(out.stores.at(0).extents.empty());
  };
  auto after = before;
  after.validation[0].data = "version 2";
  is_told(after);
  after = before;
  after.validation[1].sector_index = 10;
  is_told(after);
  after = before;
  after.validation[0].sector_offset = 9;
  is_told(after);
  after = before;
  after.validation.pop_back();
  is_told(after);
  after = before;
  after.validation.clear();
  is_told(after);
}

TEST_CASE("zeros that only one image writes make them different, and are named") {
  fixture::StoreOptions few;
  few.descriptors = {{{{0, 2}}, 1, 7}};
  auto more = few;
  more.descriptors.insert(more.descriptors.begin(), {{{0, 5}, {0, 8}}, 1, 0});
  const std::vector<core::Extent> extra = {{5 * 16384, 16384}, {8 * 16384, 16384}};
  auto out = difference(more, few);
  CHECK_FALSE(out.same_contents());
  CHECK(out.stores.at(0).extents.empty());
  CHECK(out.stores.at(0).described_only_in_a == extra);
  CHECK(out.stores.at(0).described_only_in_b.empty());
  out = difference(few, more);
  CHECK_FALSE(out.same_contents());
  CHECK(out.stores.at(0).described_only_in_a.empty());
  CHECK(out.stores.at(0).described_only_in_b == extra);
}
