// SPDX-License-Identifier: GPL-3.0-or-later
// Wrong PINs: delays, locks, and what a restart keeps. Time is the test's own.
#include "station/people/attempt_limiter.hpp"

#include <catch2/catch.hpp>

using namespace imprint;
using namespace imprint::station::people;
using namespace std::chrono_literals;

namespace {

struct Door {
  AttemptLimiter::Clock::time_point now{1h};
  AttemptLimiter limiter;
  explicit Door(AttemptRules rules = {}) : limiter(rules, [this] { return now; }) {}

  std::string try_wrong(const std::string& person, const std::string& origin = "kiosk") {
    const auto status = limiter.begin(person, origin);
    return status ? "" : std::string(status.error().id());
  }
  // How long until the next try; none where it may come at once, and then it is taken back.
  std::chrono::milliseconds wait(const std::string& person, const std::string& origin = "kiosk") {
    const auto status = limiter.begin(person, origin);
    if (status) {
      limiter.withdrawn(person, origin);
      return 0ms;
    }
    return std::chrono::milliseconds(std::stoll(std::string(status.error().context_value("wait"))));
  }
};

}  // namespace

TEST_CASE("the first wrong PINs cost nothing, and each further one doubles the wait") {
  Door door;
  CHECK(door.try_wrong("anna").empty());
  CHECK(door.try_wrong("anna").empty());
  CHECK(door.try_wrong("anna").empty());
  CHECK(door.wait("anna") == 2s);
  CHECK(door.try_wrong("anna") == "people.too-soon");
  door.now += 1999ms;
  CHECK(door.wait("anna") == 1ms);
  door.now += 1ms;
  CHECK(door.try_wrong("anna").empty());
  CHECK(door.wait("anna") == 4s);
  door.now += 4s;
  CHECK(door.try_wrong("anna").empty());
  CHECK(door.wait("anna") == 8s);
}

TEST_CASE("the wait does not grow beyond the longest") {
  Door door({.free = 0, .first_delay = 1s, .longest_delay = 5s, .lock_after = 0, .origin_memory = 1h});
  for (int i = 0; i < 60; ++i) {
    CHECK(door.try_wrong("anna").empty());
    door.now += 5s;
  }
  CHECK(door.try_wrong("anna").empty());
  CHECK(door.wait("anna") == 5s);
}

TEST_CASE("after so many wrong ones the person is locked, however long they wait, until unlocked") {
  Door door;
  for (int i = 0; i < 10; ++i) {
    CHECK(door.try_wrong("anna", "kiosk " + std::to_string(i)).empty());
    door.now += 1h;
  }
  CHECK(door.limiter.is_locked("anna"));
  CHECK(door.try_wrong("anna", "elsewhere") == "people.locked");
  CHECK(door.try_wrong("berta", "elsewhere").empty());
  door.limiter.unlock("anna");
  CHECK_FALSE(door.limiter.is_locked("anna"));
  CHECK(door.try_wrong("anna", "elsewhere").empty());
}

TEST_CASE("a right PIN makes the person's count start anew") {
  Door door;
  for (int i = 0; i < 3; ++i) CHECK(door.try_wrong("anna", "kiosk " + std::to_string(i)).empty());
  door.now += 2s;
  CHECK(door.limiter.begin("anna", "kiosk"));
  door.limiter.succeeded("anna", "kiosk");
  CHECK(door.wait("anna") == 0s);
  CHECK(door.limiter.state().size() == 3);  // the three other origins
}

TEST_CASE("one place that tries many names is slowed down, and never locked") {
  Door door;
  for (int i = 0; i < 3; ++i) CHECK(door.try_wrong("person " + std::to_string(i)).empty());
  CHECK(door.try_wrong("somebody else") == "people.too-soon");
  CHECK(door.try_wrong("somebody else", "another kiosk").empty());
  for (int i = 0; i < 40; ++i) {
    door.now += 5min;
    CHECK(door.try_wrong("name " + std::to_string(i)).empty());
  }
  door.now += 5min;
  CHECK(door.wait("somebody else") == 0s);
}

TEST_CASE("a right PIN does not renew a delay that was served, and a quiet place starts anew") {
  Door door;
  for (int i = 0; i < 3; ++i) CHECK(door.try_wrong("person " + std::to_string(i)).empty());
  door.now += 2s;
  CHECK(door.limiter.begin("berta", "kiosk"));
  door.limiter.succeeded("berta", "kiosk");
  CHECK(door.wait("carla") == 0s);
  door.now += 16min;
  CHECK(door.try_wrong("carla").empty());
  CHECK(door.wait("dora") == 0s);
}

TEST_CASE("tries side by side count before their PINs are looked at") {
  Door door;
  CHECK(door.limiter.begin("anna", "kiosk"));
  CHECK(door.limiter.begin("anna", "kiosk"));
  CHECK(door.limiter.begin("anna", "kiosk"));
  CHECK_FALSE(door.limiter.begin("anna", "kiosk"));
}

TEST_CASE("a restart keeps counts and locks, and shortens no delay") {
  Door door;
  for (int i = 0; i < 10; ++i) {
    CHECK(door.try_wrong("anna", "a").empty());
    door.now += 6min;
  }
  for (int i = 0; i < 3; ++i) CHECK(door.try_wrong("berta", "b").empty());
  door.now += 1s;
  Door after;
  after.limiter.restore(door.limiter.state());
  CHECK(after.limiter.is_locked("anna"));
  CHECK(after.wait("berta", "c") == 2s);
  CHECK(after.limiter.state() == door.limiter.state());
}

TEST_CASE("made-up names do not fill the memory, and do not push out who is locked") {
  Door door({.free = 2, .first_delay = 2s, .longest_delay = 5min, .lock_after = 3, .origin_memory = 1ms});
  for (int i = 0; i < 3; ++i) {
    CHECK(door.try_wrong("anna", "x").empty());
    door.now += 1h;
  }
  for (int i = 0; i < 10000; ++i) {
    door.now += 1s;
    CHECK(door.try_wrong("name " + std::to_string(i), "y").empty());
  }
  CHECK(door.limiter.is_locked("anna"));
  CHECK(door.limiter.state().size() < 4200);
}

TEST_CASE("a name of a million letters is kept as a short one, and still counted as itself") {
  Door door;
  const std::string name(1U << 20, 'x');
  for (int i = 0; i < 3; ++i) CHECK(door.try_wrong(name).empty());
  CHECK(door.wait(name) == 2s);
  CHECK(door.wait(name + "y", "elsewhere") == 0s);
  for (const auto& count : door.limiter.state()) CHECK(count.name.size() < 100);
  door.limiter.unlock(name);
  CHECK(door.wait(name, "elsewhere") == 0s);
}

TEST_CASE("what nobody tried for long is forgotten, but for a lock") {
  Door door({.free = 20, .first_delay = 1s, .longest_delay = 1s, .lock_after = 3});
  for (int i = 0; i < 3; ++i) CHECK(door.try_wrong("anna", "x").empty());
  for (int i = 0; i < 9; ++i) CHECK(door.try_wrong("name " + std::to_string(i), "x").empty());
  door.now += 8 * 24h;
  CHECK(door.try_wrong("berta", "y").empty());
  CHECK(door.limiter.is_locked("anna"));
  CHECK(door.limiter.state().size() == 3);  // anna, berta and y
}

TEST_CASE("a lock does not tell whom it is about, known or not") {
  Door door({.free = 20, .first_delay = 1s, .longest_delay = 1s, .lock_after = 1});
  CHECK(door.try_wrong("7").empty());
  const auto locked = door.limiter.begin("7", "x");
  REQUIRE_FALSE(locked.has_value());
  CHECK(locked.error().context_value("person").empty());
}
