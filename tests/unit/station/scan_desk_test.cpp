// SPDX-License-Identifier: GPL-3.0-or-later
// Scans and slots that meet in either order. Time is the test's own.
#include "station/admission/scan_desk.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "flash/core/deadline.hpp"

using namespace imprint;
using namespace imprint::station::admission;
using namespace std::chrono_literals;

namespace {

class Desk {
 public:
  Desk() : desk(options()) {}
  void pass(std::chrono::milliseconds time) {
    now_ += time.count();
    desk.look_at_clock();
  }
  // "waits A", "given A to 1" ...
  [[nodiscard]] std::vector<std::string> notices() {
    const std::lock_guard lock(mutex_);
    return std::exchange(notices_, {});
  }
  // An attempt in a slot, on a thread of its own; true once it asks.
  [[nodiscard]] std::future<core::Result<Scan>> ask(const std::string& slot, std::stop_token stop = {}) {
    auto answer = std::async(std::launch::async, [this, slot, stop] { return desk.take(slot, 60s, stop); });
    const auto deadline = core::Deadline::after(20s);
    while (!asks(slot) && !deadline.passed()) std::this_thread::yield();
    REQUIRE(asks(slot));
    return answer;
  }
  [[nodiscard]] bool asks(const std::string& slot) const {
    const auto slots = desk.slots_that_ask();
    return std::find(slots.begin(), slots.end(), slot) != slots.end();
  }

 private:
  ScanDesk::Options options() {
    ScanDesk::Options options;
    options.now = [this] { return ScanDesk::Clock::time_point(std::chrono::milliseconds(now_.load())); };
    options.notice = [this](const ScanNotice& notice) {
      const std::lock_guard lock(mutex_);
      notices_.push_back(std::string(to_string(notice.kind)) + " " + notice.scan.text +
                         (notice.slot.empty() ? "" : " to " + notice.slot));
    };
    return options;
  }
  std::atomic<std::int64_t> now_ = 1'000'000;
  std::mutex mutex_;
  std::vector<std::string> notices_;

 public:
  ScanDesk desk;  // last: it calls the above
};

Scan scan(std::string text, std::string slot = "") { return {std::move(text), false, "anna", std::move(slot)}; }
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("scan first: the next slot that asks has it at once, and the one after it has none") {
  Desk line;
  CHECK_FALSE(line.desk.put(scan("A")));
  REQUIRE(line.desk.waiting());
  CHECK(line.desk.waiting()->left == 60s);
  const auto taken = line.desk.take("1", 0s, {});
  REQUIRE(taken.has_value());
  CHECK(taken->text == "A");
  CHECK(taken->by == "anna");
  CHECK_FALSE(line.desk.waiting());
  const auto none = line.desk.take("2", 0s, {});
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().id() == "serial.scan-missing");
  CHECK(none.error().context_value("slot") == "2");
  CHECK(line.notices() == Texts{"waits A", "given A to 1"});
}

TEST_CASE("plug first: a scan goes to the slot that has asked longest") {
  Desk line;
  auto first = line.ask("7");
  auto second = line.ask("2");
  CHECK(line.desk.slots_that_ask() == Texts{"7", "2"});
  CHECK(line.desk.put(scan("A")) == "7");
  CHECK(line.desk.put(scan("B")) == "2");
  CHECK(first.get()->text == "A");
  CHECK(second.get()->text == "B");
  CHECK(line.notices() == Texts{"given A to 7", "given B to 2"});
}

TEST_CASE("a scan for a slot goes to that one only") {
  Desk line;
  auto first = line.ask("1");
  auto second = line.ask("2");
  CHECK(line.desk.put(scan("B", "2")) == "2");
  CHECK(second.get()->text == "B");
  CHECK_FALSE(line.desk.put(scan("C", "3")));
  CHECK(line.asks("1"));
  CHECK(line.desk.take("3", 0s, {})->text == "C");
  CHECK(line.desk.put(scan("A")) == "1");
  CHECK(first.get()->text == "A");
}

TEST_CASE("a second scan takes the place of the first, and that is said") {
  Desk line;
  line.desk.put(scan("A"));
  line.desk.put(scan("B"));
  CHECK(line.desk.take("1", 0s, {})->text == "B");
  CHECK(line.notices() == Texts{"waits A", "replaced A", "waits B", "given B to 1"});
}

TEST_CASE("a scan that nobody takes in time is dropped, and that is said") {
  Desk line;
  line.desk.put(scan("A"));
  line.pass(59999ms);
  CHECK(line.desk.waiting()->left == 1ms);
  line.pass(1ms);
  CHECK_FALSE(line.desk.waiting());
  CHECK_FALSE(line.desk.take("1", 0s, {}).has_value());
  CHECK(line.notices() == Texts{"waits A", "dropped A"});
}

TEST_CASE("a stale scan is dropped also when nobody looked at the clock") {
  ScanDesk::Clock::time_point now;
  ScanDesk::Options options;
  options.now = [&now] { return now; };
  ScanDesk desk(options);
  desk.put(scan("A"));
  now += 60s;
  CHECK_FALSE(desk.waiting());
  CHECK_FALSE(desk.take("1", 0s, {}).has_value());
}

TEST_CASE("a slot that asks gives up at its deadline") {
  Desk line;
  auto answer = line.ask("1");
  line.pass(60s);
  const auto none = answer.get();
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().id() == "serial.scan-missing");
  CHECK(line.desk.slots_that_ask().empty());
}

TEST_CASE("a slot that asks is stopped by its token, and the next scan is for others") {
  Desk line;
  std::stop_source stop;
  auto answer = line.ask("1", stop.get_token());
  stop.request_stop();
  const auto none = answer.get();
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().id() == "job.cancelled");
  CHECK_FALSE(line.desk.put(scan("A")));
  CHECK(line.desk.waiting());
}

TEST_CASE("a slot that asks again ends its former asking") {
  Desk line;
  auto before = line.ask("1");
  std::promise<core::Result<Scan>> again;
  std::jthread other([&] { again.set_value(line.desk.take("1", 60s, {})); });
  const auto none = before.get();
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().id() == "job.cancelled");
  const auto deadline = core::Deadline::after(20s);
  while (!line.asks("1") && !deadline.passed()) std::this_thread::yield();
  CHECK(line.desk.put(scan("A")) == "1");
  CHECK(again.get_future().get()->text == "A");
}

TEST_CASE("a typed serial stays marked, and a cleared desk says so") {
  Desk line;
  line.desk.put({"A", true, "anna", ""});
  CHECK(line.desk.take("1", 0s, {})->manual);
  line.desk.put(scan("B"));
  line.desk.clear();
  line.desk.clear();
  CHECK_FALSE(line.desk.waiting());
  CHECK(line.notices() == Texts{"waits A", "given A to 1", "waits B", "cleared B"});
}

TEST_CASE("with many slots and scans at once every scan reaches exactly one slot") {
  ScanDesk desk({});
  constexpr int kCount = 200;
  std::atomic<int> got = 0;
  std::mutex mutex;
  std::vector<std::string> seen;
  {
    std::vector<std::jthread> slots;
    for (int slot = 0; slot < 8; ++slot) {
      slots.emplace_back([&, slot](const std::stop_token& stop) {
        while (auto taken = desk.take(std::to_string(slot), 60s, stop)) {
          const std::lock_guard lock(mutex);
          seen.push_back(taken->text);
          ++got;
        }
      });
    }
    const auto deadline = core::Deadline::after(60s);
    for (int i = 0; i < kCount; ++i) {
      while (desk.slots_that_ask().empty() && !deadline.passed()) std::this_thread::yield();
      desk.put(scan(std::to_string(i)));
    }
    while (got < kCount && !deadline.passed()) std::this_thread::yield();
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::unique(seen.begin(), seen.end()) == seen.end());
  CHECK(seen.size() == kCount);
}
