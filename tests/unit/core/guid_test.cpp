// SPDX-License-Identifier: GPL-3.0-or-later
// GUIDs as text and as the 16 bytes on disk.
#include "flash/core/guid.hpp"

#include <catch2/catch.hpp>
#include <set>

using imprint::core::Guid;

namespace {
constexpr std::string_view kText = "a5935ff2-32ba-4617-bf36-5ac314b3f9bf";
}

TEST_CASE("the stored form has the first three fields little-endian") {
  const auto guid = Guid::parse(kText);
  REQUIRE(guid);
  CHECK(guid->mixed_endian() == std::array<std::uint8_t, 16>{0xf2, 0x5f, 0x93, 0xa5, 0xba, 0x32, 0x17, 0x46, 0xbf, 0x36,
                                                             0x5a, 0xc3, 0x14, 0xb3, 0xf9, 0xbf});
  CHECK(Guid::from_mixed_endian(guid->mixed_endian()) == *guid);
}

TEST_CASE("braces and case do not change which GUID is meant") {
  const auto plain = Guid::parse(kText);
  REQUIRE(plain);
  CHECK(Guid::parse("{a5935ff2-32ba-4617-bf36-5ac314b3f9bf}") == plain);
  CHECK(Guid::parse("A5935FF2-32BA-4617-BF36-5AC314B3F9BF") == plain);
  CHECK(plain->to_string() == kText);
  CHECK(plain->braced() == "{" + std::string(kText) + "}");
}

TEST_CASE("text that is not a GUID is refused") {
  const auto refused = GENERATE(as<std::string>{}, "", "{}", "a5935ff2", "a5935ff2-32ba-4617-bf36-5ac314b3f9b",
                                "a5935ff2-32ba-4617-bf36-5ac314b3f9bf0", "{a5935ff2-32ba-4617-bf36-5ac314b3f9bf",
                                "a5935ff2-32ba-4617-bf36-5ac314b3f9bf}", "a5935ff2+32ba-4617-bf36-5ac314b3f9bf",
                                "a5935ff232ba-4617-bf36-5ac314b3f9bf--", "g5935ff2-32ba-4617-bf36-5ac314b3f9bf",
                                "a5935ff2-32ba-4617-bf36-5ac314b3f9b ", "(a5935ff2-32ba-4617-bf36-5ac314b3f9bf)");
  CAPTURE(refused);
  CHECK_FALSE(Guid::parse(refused));
}

TEST_CASE("one changed character of a GUID either changes it or is refused") {
  const auto guid = Guid::parse(kText);
  for (std::size_t i = 0; i < kText.size(); ++i) {
    std::string changed(kText);
    changed[i] = changed[i] == '0' ? '1' : '0';
    CHECK(Guid::parse(changed) != guid);
    changed[i] = '\0';
    CHECK_FALSE(Guid::parse(changed));
  }
}

TEST_CASE("random GUIDs are of version 4 and do not repeat") {
  std::set<Guid> seen;
  for (int i = 0; i < 200; ++i) {
    const Guid guid = Guid::random();
    const std::string text = guid.to_string();
    CHECK(text[14] == '4');
    CHECK(std::string("89ab").find(text[19]) != std::string::npos);
    CHECK(seen.insert(guid).second);
  }
}

TEST_CASE("a name always gives the same GUID of version 8 and another name another one") {
  CHECK(Guid::from_name("EFIESP") == Guid::from_name("EFIESP"));
  CHECK(Guid::from_name("EFIESP") != Guid::from_name("MainOS"));
  // Pinned: images that were built before must come out with the same ids after an update.
  CHECK(Guid::from_name("MainOS").to_string() == "ef054c33-f197-868a-a94b-36eff8cd7d6f");
  CHECK(Guid::from_name("").to_string()[14] == '8');
}

TEST_CASE("only the GUID of zeros is zero") {
  CHECK(Guid{}.is_zero());
  CHECK(Guid::parse("00000000-0000-0000-0000-000000000000")->is_zero());
  CHECK_FALSE(Guid::parse("00000000-0000-0000-0000-000000000001")->is_zero());
}
