// SPDX-License-Identifier: GPL-3.0-or-later
// PINs: rules, hashes, and stored texts that somebody has meddled with.
#include "station/people/pin.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using namespace imprint::station::people;

namespace {

constexpr ScryptCost kQuick{.log2_n = 10, .r = 1, .p = 1};

trust::Secret pin(std::string text) { return trust::Secret::take(std::move(text)); }
std::string refusal(std::string text) {
  const auto status = check_pin(pin(std::move(text)), PinRules{});
  return status ? "" : std::string(status.error().id());
}

}  // namespace

TEST_CASE("a PIN is long enough, of digits, and not the first that anybody would try") {
  CHECK(refusal("480517").empty());
  CHECK(refusal("1234567890123").empty());
  for (const char* poor : {"", "48051", "48051a", "48 517", "000000", "123456", "987654", "3456789", "121212", "123123",
                           "12345678901234567"}) {
    INFO(poor);
    CHECK(refusal(poor) == "people.pin-refused");
  }
}

TEST_CASE("a refusal never holds the PIN") {
  const auto status = check_pin(pin("98765432"), PinRules{});
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().message().find("98765432") == std::string::npos);
}

TEST_CASE("the right PIN is known again, another one is not") {
  const auto stored = hash_pin(pin("480517"), kQuick);
  REQUIRE(stored.has_value());
  CHECK(stored->starts_with("$imprint-pin$1$10$1$1$"));
  CHECK(stored->find("480517") == std::string::npos);
  CHECK(is_pin(pin("480517"), *stored).value());
  CHECK_FALSE(is_pin(pin("480518"), *stored).value());
  CHECK_FALSE(is_pin(pin(""), *stored).value());
  CHECK_FALSE(check_nobody(pin("480517"), kQuick).value());
}

TEST_CASE("the same PIN is stored differently each time") {
  CHECK(hash_pin(pin("480517"), kQuick).value() != hash_pin(pin("480517"), kQuick).value());
}

TEST_CASE("scrypt is the one of RFC 7914: a text from its parameters and known bytes is accepted") {
  // python3: hashlib.scrypt(b"480517", salt=bytes(range(16)), n=1024, r=8, p=2, dklen=32).hex()
  const std::string stored =
      "$imprint-pin$1$10$8$2$000102030405060708090a0b0c0d0e0f$"
      "e18fc9c683cc3c3011aa67c28df498af1258d45b17dd159a00f73402858e8b84";
  CHECK(is_pin(pin("480517"), stored).value());
  CHECK_FALSE(is_pin(pin("480516"), stored).value());
}

TEST_CASE("the default cost is used where none is named, and another one is outdated") {
  const auto stored = hash_pin(pin("480517"));
  REQUIRE(stored.has_value());
  CHECK_FALSE(is_outdated(*stored));
  CHECK(is_pin(pin("480517"), *stored).value());
  CHECK(is_outdated(hash_pin(pin("480517"), kQuick).value()));
  CHECK(is_outdated("nonsense"));
}

TEST_CASE("a stored text that was cut, changed or asks for too much is damaged, not a wrong PIN") {
  const std::string good = hash_pin(pin("480517"), kQuick).value();
  std::vector<std::string> bad{"",
                               "480517",
                               "$imprint-pin$2" + good.substr(14),
                               good + "0",
                               good.substr(0, good.size() - 1) + "G",
                               "$imprint-pin$1$30$8$1$" + good.substr(22),
                               "$imprint-pin$1$20$32$1$" + good.substr(22),
                               "$imprint-pin$1$10$1$9$" + good.substr(22),
                               "$imprint-pin$1$010$1$1$" + good.substr(22),
                               "$imprint-pin$1$-1$1$1$" + good.substr(22)};
  for (std::size_t length = 0; length < good.size(); ++length) bad.push_back(good.substr(0, length));
  for (const std::string& text : bad) {
    INFO(text);
    const auto answer = is_pin(pin("480517"), text);
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().id() == "people.credential-damaged");
  }
}

TEST_CASE("a cost out of bounds is refused before any memory is taken") {
  CHECK(hash_pin(pin("480517"), {.log2_n = 40, .r = 8, .p = 1}).error().id() == "people.hash-failed");
  CHECK(hash_pin(pin("480517"), {.log2_n = 15, .r = 0, .p = 1}).error().id() == "people.hash-failed");
}
