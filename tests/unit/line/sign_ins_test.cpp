// SPDX-License-Identifier: GPL-3.0-or-later
// Signing in, by name and by badge, and what ends it.
#include "station/line/sign_ins.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <utility>

#include "db/audit.hpp"
#include "flash/core/errors.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::line;

namespace {

trust::Secret pin(std::string digits) { return trust::Secret::take(std::move(digits)); }

struct Door {
  core::test::ScratchFolder folder;
  core::SystemClock clock;
  std::unique_ptr<db::Records> records = db::Records::open(folder / "station.db", clock).value();
  SignIns::Clock::time_point now{};
  std::function<void()> meanwhile;  // happens the next time that somebody looks at the clock
  SignIns sign_ins{*records, {.sign_out_after = std::chrono::minutes(30)}, [this] {
                     if (const auto happens = std::exchange(meanwhile, nullptr)) happens();
                     return now;
                   }};

  db::OperatorId first() { return sign_ins.make_first("Ada", pin("271828")).value(); }
};

}  // namespace

TEST_CASE("a station makes its first engineer once, and with a PIN that is not easy to guess") {
  Door door;
  CHECK(door.sign_ins.make_first("Ada", pin("123456")).error().id() == "people.pin-refused");
  const auto person = door.first();
  CHECK(door.sign_ins.make_first("Eve", pin("271828")).error().id() == "people.first-done");
  const auto who = door.sign_ins.by_name("Ada", pin("271828"), "here");
  REQUIRE(who.has_value());
  CHECK(who->person == person);
  CHECK(who->standing.role == people::Role::engineer);
  CHECK(who->standing.gave_pin);
  CHECK(who->token.size() == 32);
}

TEST_CASE("a wrong PIN, a wrong name and a disabled person get the same answer, and then have to wait") {
  Door door;
  const auto person = door.first();
  CHECK(door.sign_ins.by_name("Ada", pin("999999"), "one").error().id() == "people.pin-wrong");
  CHECK(door.sign_ins.by_name("Eve", pin("271828"), "two").error().id() == "people.pin-wrong");
  CHECK(door.sign_ins.by_badge("none", std::nullopt, "three").error().id() == "people.pin-wrong");
  CHECK(door.sign_ins.by_name("Ada", pin("999998"), "one").error().id() == "people.pin-wrong");
  CHECK(door.sign_ins.by_name("Ada", pin("999997"), "one").error().id() == "people.pin-wrong");
  CHECK(door.sign_ins.by_name("Ada", pin("271828"), "one").error().id() == "people.too-soon");
  door.now += std::chrono::minutes(10);
  CHECK(door.sign_ins.by_name("Ada", pin("271828"), "one").has_value());
  REQUIRE(db::People(*door.records).set_active(person, false, "left", {}).has_value());
  CHECK(door.sign_ins.by_name("Ada", pin("271828"), "four").error().id() == "people.pin-wrong");
}

TEST_CASE("a badge alone signs in without a PIN, and signs nothing") {
  Door door;
  door.first();
  REQUIRE(db::People(*door.records).add("operator", "Bob", "B-7", {}).has_value());
  const auto who = door.sign_ins.by_badge("B-7", std::nullopt, "here");
  REQUIRE(who.has_value());
  CHECK_FALSE(who->standing.gave_pin);
  CHECK(people::check_permission(who->standing, people::Action::scan).has_value());
  CHECK(people::check_permission(who->standing, people::Action::arm).error().id() == "people.pin-needed");
}

TEST_CASE("a sign-in ends by signing out, by not being used, and with another PIN") {
  Door door;
  const auto person = door.first();
  const auto token = [&] { return door.sign_ins.by_name("Ada", pin("271828"), "here").value().token; };
  const std::string one = token();
  CHECK(door.sign_ins.resume(one).has_value());
  REQUIRE(door.sign_ins.sign_out(one, "home").has_value());
  CHECK(door.sign_ins.resume(one).error().id() == "people.session-ended");
  const std::string two = token();
  door.now += std::chrono::minutes(29);
  CHECK(door.sign_ins.resume(two).has_value());
  door.now += std::chrono::minutes(31);
  CHECK(door.sign_ins.resume(two).error().id() == "people.session-ended");
  const std::string three = token();
  REQUIRE(door.sign_ins.set_pin(person, pin("161803")).has_value());
  CHECK(door.sign_ins.resume(three).error().id() == "people.session-ended");
  CHECK(db::People(*door.records).open_sessions()->empty());
}

TEST_CASE("wrong PINs stand in the audit log, and a restart gives nobody a fresh start") {
  Door door;
  const auto person = door.first();
  for (int i = 0; i < 4; ++i) {
    CHECK(door.sign_ins.by_name("Ada", pin("999999"), "here").error().id() == "people.pin-wrong");
    door.now += std::chrono::minutes(10);
  }
  const auto rows = db::Audit(*door.records).newest(10);
  REQUIRE(rows.has_value());
  REQUIRE(rows->size() == 4);
  CHECK(rows->front().entry.subject == std::to_string(person));
  SignIns again(*door.records, {}, [&] { return door.now; });
  CHECK(again.by_name("Ada", pin("271828"), "here").error().id() == "people.too-soon");
  door.now += std::chrono::minutes(10);
  CHECK(again.by_name("Ada", pin("271828"), "here").has_value());
}

TEST_CASE("who is disabled while they sign in is not signed in") {
  Door door;
  door.first();
  const auto bob = db::People(*door.records).add("operator", "Bob", "B-7", {}).value();
  // A badge is looked at without the clock: this comes between the session's row and the sign-in.
  door.meanwhile = [&] {
    REQUIRE(db::People(*door.records).set_active(bob, false, "left", {}).has_value());
    door.sign_ins.end_all_of(bob, "disabled");
  };
  CHECK(door.sign_ins.by_badge("B-7", std::nullopt, "here").error().id() == "people.pin-wrong");
  CHECK_FALSE(door.meanwhile);
  CHECK(door.sign_ins.everybody().empty());
  CHECK(db::People(*door.records).open_sessions()->empty());
}

TEST_CASE("who is given another PIN or role while they sign in with the old one is not signed in") {
  Door door;
  const auto ada = door.first();
  std::size_t times = 0;
  // Wherever the clock is looked at on the way in.
  for (std::size_t nth = 0; nth < 8; ++nth) {
    std::size_t looks = 0;
    bool happened = false;
    std::function<void()> look = [&] {
      if (looks++ == nth) {
        happened = true;
        door.sign_ins.end_all_of(ada, "another role");
        return;
      }
      door.meanwhile = look;
    };
    door.meanwhile = look;
    const auto who = door.sign_ins.by_name("Ada", pin("271828"), "here");
    door.meanwhile = nullptr;
    if (!happened) break;
    ++times;
    CHECK_FALSE(who.has_value());
    CHECK(door.sign_ins.everybody().empty());
  }
  CHECK(times > 0);
}

TEST_CASE("a sign-in whose row cannot be written is none, and neither is its session") {
  Door door;
  door.first();
  const auto refuse = [](const SignedIn&) -> core::Status { return core::fail("io.disk-full"); };
  CHECK(door.sign_ins.by_name("Ada", pin("271828"), "here", refuse).error().id() == "io.disk-full");
  CHECK(door.sign_ins.everybody().empty());
  CHECK(db::People(*door.records).open_sessions()->empty());
  const auto who = door.sign_ins.by_name("Ada", pin("271828"), "here").value();
  CHECK(door.sign_ins.sign_out(who.token, "home", refuse).error().id() == "io.disk-full");
  CHECK(door.sign_ins.look(who.token).has_value());
  CHECK(db::People(*door.records).open_sessions()->size() == 1);
}
