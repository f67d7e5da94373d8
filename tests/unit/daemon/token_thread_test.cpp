// SPDX-License-Identifier: GPL-3.0-or-later
// A token whose driver does not come back, and what that costs.
#include "station/daemon/token_thread.hpp"

#include <catch2/catch.hpp>
#include <future>
#include <optional>
#include <stdexcept>

using namespace imprint;
using namespace imprint::daemon;
using namespace std::chrono_literals;

namespace {

// The driver's call; the thread that it is left with has it, too.
struct Driver {
  std::promise<void> comes_back;
  std::shared_future<void> back = comes_back.get_future().share();
  TokenThread::Call call() {
    return [back = back]() -> core::Result<std::string> {
      back.wait();
      return "signature";
    };
  }
};

std::string said(const core::Result<std::string>& result) { return result ? *result : result.error().detail(); }

constexpr const char* kSilent = "the token does not answer";

}  // namespace

TEST_CASE("a token that does not answer is waited for once, then not at all, and holds up no end") {
  Driver driver;
  std::optional<TokenThread> thread(std::in_place, 1s);
  CHECK(said(thread->run(driver.call())) == kSilent);
  const auto start = std::chrono::steady_clock::now();
  CHECK(said(thread->run([]() -> core::Result<std::string> { return "too early"; })) == kSilent);
  CHECK(std::chrono::steady_clock::now() - start < 900ms);
  CHECK(thread->hangs());
  thread.reset();
  CHECK(std::chrono::steady_clock::now() - start < 5s);
  driver.comes_back.set_value();
}

TEST_CASE("a token that answers after all is asked again") {
  Driver driver;
  TokenThread thread(50ms);
  CHECK(said(thread.run(driver.call())) == kSilent);
  driver.comes_back.set_value();
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (thread.hangs()) REQUIRE(std::chrono::steady_clock::now() < deadline);
  CHECK(said(thread.run([]() -> core::Result<std::string> { return "second"; })) == "second");
}

TEST_CASE("two who ask a token that works both get their answers") {
  Driver driver;
  TokenThread thread(20s);
  auto first = std::async(std::launch::async, [&] { return said(thread.run(driver.call())); });
  auto second = std::async(std::launch::async,
                           [&] { return said(thread.run([]() -> core::Result<std::string> { return "second"; })); });
  driver.comes_back.set_value();
  CHECK(first.get() == "signature");
  CHECK(second.get() == "second");
}

TEST_CASE("a stop ends the waiting for a token at once") {
  Driver driver;
  TokenThread thread(1h);
  std::promise<void> asked;
  auto waiting = std::async(std::launch::async, [&] {
    return said(thread.run([&asked, call = driver.call()] {
      asked.set_value();
      return call();
    }));
  });
  asked.get_future().wait();
  thread.stop();
  REQUIRE(waiting.wait_for(20s) == std::future_status::ready);
  CHECK(waiting.get() == kSilent);
  CHECK_FALSE(thread.run(driver.call()));
  driver.comes_back.set_value();
}

TEST_CASE("a driver that throws is a key that cannot be used") {
  TokenThread thread;
  const auto result = thread.run([]() -> core::Result<std::string> { throw std::runtime_error("of a library"); });
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "service.key-unusable");
  CHECK(said(result) == "of a library");
}
