// SPDX-License-Identifier: GPL-3.0-or-later
// The station's key is on a token that has stopped answering: nobody but who asks for a signature waits for it.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <thread>

#include "station/daemon/head_key.hpp"
#include "tests/unit/daemon/shift.hpp"

using namespace imprint;
using namespace imprint::daemon;
using namespace imprint::daemon::test;

namespace {

// Of each answer: the time of a busy machine, and far less than what a token may take.
constexpr milliseconds kAtOnce{kSanitized ? 30000 : 5000};

class HangingToken {
 public:
  HangingToken() {
    REQUIRE(::mkfifo((folder_ / "asked").c_str(), 0600) == 0);
    REQUIRE(::mkfifo((folder_ / "go").c_str(), 0600) == 0);
    asked_ = ::open((folder_ / "asked").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    std::ofstream(folder_ / "pin") << "1234\n";
    fs::permissions(folder_ / "pin", fs::perms::owner_read | fs::perms::owner_write);
  }
  ~HangingToken() {
    let_go();
    ::close(go_);
    ::close(asked_);
  }
  HangingToken(const HangingToken&) = delete;
  HangingToken& operator=(const HangingToken&) = delete;

  [[nodiscard]] std::string uri() const {
    return std::string("pkcs11:token=line;object=heads?module-path=") + HANGING_MODULE +
           "&pin-source=file:" + (folder_ / "pin").native();
  }
  [[nodiscard]] const fs::path& folder() const { return folder_.path(); }
  // False when nobody asked it in time.
  [[nodiscard]] bool hangs() const {
    pollfd entry{asked_, POLLIN, 0};
    return ::poll(&entry, 1, static_cast<int>(kPatience.count())) == 1 && (entry.revents & POLLIN) != 0;
  }
  // From here on it is broken at once.
  void let_go() {
    if (go_ < 0) go_ = ::open((folder_ / "go").c_str(), O_RDWR | O_CLOEXEC);
  }

 private:
  fixture::ScratchFolder folder_;
  int asked_ = -1;
  int go_ = -1;
};

std::unique_ptr<api::Client> engineer_of(const Site& site) {
  auto client = api::Client::connect(site.socket());
  REQUIRE(client.has_value());
  Calls call{**client, {}};
  REQUIRE(call("station.hello"));
  REQUIRE(sign_in(call));
  return std::move(*client);
}

}  // namespace

TEST_CASE("how the key is can be asked for while its token hangs") {
  HangingToken token;
  REQUIRE(::setenv("IMPRINT_TEST_TOKEN_FIFOS", token.folder().c_str(), 1) == 0);
  const auto key = HeadKey::on_token(token.uri());
  REQUIRE(key.has_value());
  std::jthread asks([&] { static_cast<void>(key->check()); });
  CHECK(token.hangs());
  auto state = std::async(std::launch::async, [&] { return key->state(); });
  const bool is_answered = state.wait_for(kAtOnce) == std::future_status::ready;
  token.let_go();
  CHECK(is_answered);
  CHECK_FALSE(state.get().good);
  asks.join();
  CHECK_FALSE(key->state().good);
  CHECK(key->state().error.starts_with("sign."));
}

TEST_CASE("imprintd answers and flashes and records while the token of its key hangs and heads are asked for") {
  HangingToken token;
  Site site;
  // The file ends with its table of the records.
  std::ofstream(site.folder / "config/station.toml", std::ios::app) << "key = \"" << token.uri() << "\"\n";
  Process daemon(site, {}, {"IMPRINT_TEST_TOKEN_FIFOS=" + token.folder().native()});
  const auto client = daemon.client();
  REQUIRE(client);
  CHECK(token.hangs());
  // More than there are threads for what takes long.
  std::vector<std::unique_ptr<api::Client>> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(engineer_of(site));
    CHECK_FALSE(waiting.back()->call("audit.head", {{"purpose", "a test"}}, milliseconds(50)).has_value());
  }
  Calls call{*client, {}};
  const auto at_once = [&](std::string_view method, const json::object& params = {}) {
    CAPTURE(method);
    const auto began = std::chrono::steady_clock::now();
    CHECK(call(method, params));
    CHECK(std::chrono::steady_clock::now() - began < kAtOnce);
  };
  at_once("audit.key");
  CHECK(call.result.at("good") == false);
  at_once("station.status");
  at_once("events.subscribe", {{"from", 1}});
  at_once("people.sign_in", {{"name", "Ada"}, {"pin", "271828"}});
  at_once("line.arm", {{"product", "lamp"}, {"order", "WO-1"}});
  at_once("training.plug", {{"slot", "A1"}, {"number", 1}});
  const auto end = next_end(*client);
  REQUIRE(end.has_value());
  CHECK(end->at("verdict") == "passed");
  at_once("line.disarm");
  at_once("audit.list");
  token.let_go();
  CHECK(call("audit.head", {{"purpose", "a test"}, {"unsigned", true}}));
  CHECK(call.result.at("signed") == false);
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
}
