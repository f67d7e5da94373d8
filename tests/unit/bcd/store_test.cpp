// SPDX-License-Identifier: GPL-3.0-or-later
// The store as values: order, replacing, inheriting.
#include <catch2/catch.hpp>

#include "bcd_fixtures.hpp"
#include "flash/bcd/store.hpp"

using namespace imprint;
using namespace imprint::bcd;
using namespace imprint::bcd::fixtures;

namespace {
const core::Guid kA = guid("{aaaaaaaa-0000-0000-0000-000000000000}");
const core::Guid kB = guid("{bbbbbbbb-0000-0000-0000-000000000000}");
const core::Guid kC = guid("{00cccccc-0000-0000-0000-000000000000}");
constexpr std::uint32_t kInherit = 0x14000006;
constexpr std::uint32_t kTimeout = 0x25000004;
}  // namespace

TEST_CASE("Objects stand in the order of their printed ids") {
  Store store;
  store.object(kB, 1);
  store.object(kC, 1);
  store.object(kA, 1);
  REQUIRE(store.objects().size() == 3);
  CHECK(store.objects()[0].id == kC);
  CHECK(store.objects()[1].id == kA);
  CHECK(store.objects()[2].id == kB);
}

TEST_CASE("An object that is asked for again keeps its type and elements") {
  Store store;
  store.object(kA, 0x10200003).set(kTimeout, std::uint64_t{1});
  CHECK(store.object(kA, 0x10100002).type == 0x10200003);
  CHECK(store.objects().size() == 1);
  CHECK(store.find(kA)->find(kTimeout) != nullptr);
  CHECK(store.find(kB) == nullptr);
}

TEST_CASE("Elements stand by id and are replaced by setting them again") {
  Object object;
  object.set(3, std::uint64_t{3});
  object.set(1, std::uint64_t{1});
  object.set(2, std::uint64_t{2});
  object.set(2, std::uint64_t{22});
  REQUIRE(object.elements.size() == 3);
  CHECK(object.elements[1].id == 2);
  CHECK(object.find(2)->value == Value(std::uint64_t{22}));
  CHECK(object.find(4) == nullptr);
}

TEST_CASE("An element is inherited through two levels, the nearest first") {
  Store store;
  store.object(kA, 1).set(kInherit, std::vector<core::Guid>{kB});
  store.object(kB, 1).set(kInherit, std::vector<core::Guid>{kC});
  store.object(kC, 1).set(kTimeout, std::uint64_t{5});
  REQUIRE(store.find_inherited(kA, kTimeout) != nullptr);
  store.object(kB, 1).set(kTimeout, std::uint64_t{6});
  CHECK(store.find_inherited(kA, kTimeout)->value == Value(std::uint64_t{6}));
}

TEST_CASE("Objects that inherit from each other end the search, not the program") {
  Store store;
  store.object(kA, 1).set(kInherit, std::vector<core::Guid>{kA, kB});
  store.object(kB, 1).set(kInherit, std::vector<core::Guid>{kA, kC});
  CHECK(store.find_inherited(kA, kTimeout) == nullptr);
  store.object(kC, 1).set(kTimeout, std::uint64_t{5});
  CHECK(store.find_inherited(kA, kTimeout) != nullptr);
}

TEST_CASE("Inheritance from an object that is not there finds nothing") {
  Store store;
  store.object(kA, 1).set(kInherit, std::vector<core::Guid>{kB});
  CHECK(store.find_inherited(kA, kTimeout) == nullptr);
  CHECK(store.find_inherited(kC, kTimeout) == nullptr);
}

TEST_CASE("A chain of inheritance longer than any real one is given up") {
  Store store;
  std::vector<core::Guid> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(core::Guid::from_name(std::to_string(i)));
  for (std::size_t i = 0; i + 1 < ids.size(); ++i)
    store.object(ids[i], 1).set(kInherit, std::vector<core::Guid>{ids[i + 1]});
  store.object(ids.back(), 1).set(kTimeout, std::uint64_t{1});
  CHECK(store.find_inherited(ids.front(), kTimeout) == nullptr);
}
