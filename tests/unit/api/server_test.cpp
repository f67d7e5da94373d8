// SPDX-License-Identifier: GPL-3.0-or-later
// The server over real sockets: answers, events, and clients that misbehave.
#include "station/service/server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "station/api/client.hpp"
#include "station/api/errors.hpp"
#include "station/api/rpc.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::service;
namespace json = boost::json;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLong{20000};

// Echoes; "listen" makes the client a listener; "wait" answers once the test lets it, "long" likewise and says that it
// takes long; "throw" throws.
class Echo final : public Conversation {
 public:
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
    std::atomic<int> waiting{0};
  };
  explicit Echo(Gate& gate) : gate_(gate) {}

  std::optional<std::string> answer(const std::string& line) override {
    const auto request = api::parse_request(line);
    if (!request) return api::error_line(api::id_of_broken_request(line), request.error());
    if (request->method == "listen") listens_from_ = 1;
    if (request->method == "throw") throw std::runtime_error("thrown by the test");
    if (request->method == "wait" || request->method == "long") {
      std::unique_lock lock(gate_.mutex);
      ++gate_.waiting;
      gate_.changed.notify_all();
      gate_.changed.wait(lock, [&] { return gate_.open; });
    }
    if (request->is_notification) return std::nullopt;
    return api::result_line(request->id, request->params);
  }
  [[nodiscard]] bool takes_long(const std::string& line) const override {
    return line.find("\"long\"") != std::string::npos;
  }
  [[nodiscard]] std::optional<std::uint64_t> listens_from() const override { return listens_from_; }

 private:
  Gate& gate_;
  std::optional<std::uint64_t> listens_from_;
};

struct Running {
  core::test::ScratchFolder folder;
  core::SystemClock clock;
  api::EventLog events{clock, "epoch"};
  Echo::Gate gate;
  std::unique_ptr<Server> server;
  std::atomic<bool> is_broken{false};
  std::promise<void> ended;
  std::thread thread;

  explicit Running(ServerLimits limits = {}, const std::function<void(Server&)>& prepare = {}) {
    auto socket = Listener::bind(path(), "");
    REQUIRE(socket.has_value());
    auto metrics = Listener::bind(folder / "metrics", "");
    REQUIRE(metrics.has_value());
    server = std::make_unique<Server>(
        std::move(*socket), std::optional<Listener>(std::move(*metrics)), events,
        [this](const Peer&) {
          if (is_broken) throw std::runtime_error("no conversation");
          return std::make_unique<Echo>(gate);
        },
        [this]() -> std::string {
          if (is_broken) throw std::runtime_error("no metrics");
          return "imprint_up 1\n";
        },
        limits);
    if (prepare) prepare(*server);
    thread = std::thread([this] {
      server->run();
      ended.set_value();
    });
  }
  ~Running() {
    let_go();
    server->stop();
    thread.join();
  }
  // Until so many requests are held.
  void wait_for_held(int count) {
    std::unique_lock lock(gate.mutex);
    REQUIRE(gate.changed.wait_for(lock, kLong, [&] { return gate.waiting >= count; }));
  }
  void let_go() {
    const std::scoped_lock lock(gate.mutex);
    gate.open = true;
    gate.changed.notify_all();
  }
  [[nodiscard]] std::filesystem::path path() const { return folder / "api"; }
  [[nodiscard]] std::unique_ptr<api::Client> client() const {
    auto made = api::Client::connect(path());
    REQUIRE(made.has_value());
    return std::move(*made);
  }
};

// A client without manners.
class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~RawClient() { ::close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  void send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // All until the other end closes, or nothing more comes for the time.
  [[nodiscard]] std::string all(milliseconds patience = kLong) const {
    std::string text;
    for (;;) {
      pollfd entry{fd_, POLLIN, 0};
      if (::poll(&entry, 1, static_cast<int>(patience.count())) <= 0) return text;
      std::array<char, 4096> chunk;
      const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), 0);
      if (got <= 0) return text;
      text.append(chunk.data(), static_cast<std::size_t>(got));
    }
  }
  // Without reading what there is.
  [[nodiscard]] bool is_let_go() const {
    pollfd entry{fd_, 0, 0};
    return ::poll(&entry, 1, static_cast<int>(kLong.count())) == 1 && (entry.revents & POLLHUP) != 0;
  }
  void no_more() const { ::shutdown(fd_, SHUT_WR); }

 private:
  int fd_;
};

json::value echo(api::Client& client, int number) {
  const auto answer = client.call("echo", {{"n", number}}, kLong);
  REQUIRE(answer.has_value());
  return std::get<json::value>(*answer).at("n");
}

}  // namespace

TEST_CASE("each client gets its own answers, in the order of its requests") {
  Running station;
  const auto one = station.client();
  const auto two = station.client();
  for (int i = 0; i < 50; ++i) {
    CHECK(echo(*one, i) == i);
    CHECK(echo(*two, -i) == -i);
  }
}

TEST_CASE("requests that come all at once are answered one after the other") {
  Running station;
  const RawClient client(station.path());
  std::string text;
  for (int i = 0; i < 500; ++i) text += api::request_line(static_cast<std::uint64_t>(i), "echo", {}) + "\n";
  client.send(text);
  client.no_more();
  const std::string answers = client.all();
  CHECK(std::count(answers.begin(), answers.end(), '\n') == 500);
  CHECK(answers.find(R"("id":499)") != std::string::npos);
}

TEST_CASE("a request that takes long holds up nobody else") {
  Running station;
  const RawClient slow(station.path());
  slow.send(api::request_line(1, "wait", {}) + "\n");
  const auto other = station.client();
  while (station.gate.waiting == 0) std::this_thread::yield();
  CHECK(echo(*other, 3) == 3);
  station.let_go();
  slow.no_more();
  CHECK(slow.all().find(R"("id":1)") != std::string::npos);
}

TEST_CASE("a server that stops still says what it owes, but to those who do not take it only for a while") {
  Running station({.stuck_write = kLong, .last_words = milliseconds(2000)});
  const auto listener = station.client();
  REQUIRE(listener->call("listen", {}, kLong).has_value());
  const RawClient sleeper(station.path());
  sleeper.send(api::request_line(1, "listen", {}) + "\n");
  const auto asker = station.client();
  auto answer = std::async(std::launch::async, [&] { return asker->call("wait", {}, kLong).has_value(); });
  station.wait_for_held(1);
  for (int i = 0; i < 2000; ++i) station.events.publish("slot", {{"padding", std::string(400, 'x')}});
  station.server->stop();
  station.let_go();
  int told = 0;
  for (auto event = listener->next_event(kLong); event && *event; event = listener->next_event(kLong)) ++told;
  CHECK(told == 2000);
  CHECK(answer.get());
  CHECK(station.ended.get_future().wait_for(kLong) == std::future_status::ready);
}

TEST_CASE("a client that goes while it is being answered harms nobody") {
  Running station;
  {
    const RawClient gone(station.path());
    gone.send(api::request_line(1, "wait", {}) + "\n");
    while (station.gate.waiting == 0) std::this_thread::yield();
  }
  const auto other = station.client();
  CHECK(echo(*other, 1) == 1);
  station.let_go();
  CHECK(echo(*other, 2) == 2);
}

TEST_CASE("an endless line is refused and its sender let go") {
  Running station;
  const RawClient hostile(station.path());
  const std::string flood(api::kMostRequestBytes + 2, 'x');
  hostile.send(flood);
  CHECK(hostile.all().find("api.request-too-large") != std::string::npos);
  CHECK(echo(*station.client(), 1) == 1);
}

TEST_CASE("garbage is answered as such and the connection goes on") {
  Running station;
  const RawClient client(station.path());
  client.send("garbage\n\r\n\n{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"echo\"}\r\n");
  client.no_more();
  const std::string answers = client.all();
  CHECK(answers.find("api.parse-error") != std::string::npos);
  CHECK(answers.find(R"("id":8)") != std::string::npos);
  CHECK(std::count(answers.begin(), answers.end(), '\n') == 2);
}

TEST_CASE("a listener gets every event in order, those from before it came included") {
  Running station;
  station.events.publish("slot", {{"i", 0}});
  const auto client = station.client();
  REQUIRE(client->call("listen", {}, kLong).has_value());
  for (int i = 1; i < 200; ++i) station.events.publish("slot", {{"i", i}});
  for (int i = 0; i < 200; ++i) {
    const auto event = client->next_event(kLong);
    REQUIRE(event.has_value());
    REQUIRE(event->has_value());
    CHECK((*event)->at("seq") == i + 1);
    CHECK((*event)->at("data").at("i") == i);
  }
}

TEST_CASE("a listener that does not read misses events, is told so, and holds up nobody") {
  Running station;
  const auto lazy = station.client();
  REQUIRE(lazy->call("listen", {}, kLong).has_value());
  const auto busy = station.client();
  const std::string padding(400, 'x');
  for (int i = 0; i < 10000; ++i) {
    station.events.publish("slot", {{"padding", padding}});
    if (i % 1000 == 0) CHECK(echo(*busy, i) == i);
  }
  std::uint64_t last = 0;
  std::uint64_t missed = 0;
  while (last < 10000) {
    const auto event = lazy->next_event(kLong);
    REQUIRE(event.has_value());
    REQUIRE(event->has_value());
    if ((*event)->at("kind") == "missed") {
      missed += (*event)->at("count").to_number<std::uint64_t>();
      continue;
    }
    const auto seq = (*event)->at("seq").to_number<std::uint64_t>();
    if (seq != last + 1) CHECK(missed > 0);
    last = seq;
  }
  CHECK(missed > 0);
}

TEST_CASE("a client that takes nothing is let go") {
  Running station({.stuck_write = milliseconds(50)});
  const RawClient stuck(station.path());
  stuck.send(api::request_line(1, "listen", {}) + "\n");
  const std::string padding(4000, 'x');
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (station.server->clients() > 0 || station.events.next() < 1000) {
    station.events.publish("slot", {{"padding", padding}});
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
  CHECK(station.server->clients() == 0);
}

TEST_CASE("more clients than the station takes are told so") {
  Running station({.clients = 3, .clients_per_user = 2});
  const auto one = station.client();
  const auto two = station.client();
  CHECK(echo(*one, 1) == 1);
  CHECK(echo(*two, 1) == 1);
  const RawClient third(station.path());
  CHECK(third.all().find("api.too-many-clients") != std::string::npos);
}

TEST_CASE("metrics are text over HTTP, for GET alone") {
  Running station;
  const RawClient scrape(station.folder / "metrics");
  scrape.send("GET /metrics HTTP/1.1\r\nHost: station\r\n\r\n");
  const std::string answer = scrape.all();
  CHECK(answer.starts_with("HTTP/1.0 200 OK\r\n"));
  CHECK(answer.ends_with("\r\n\r\nimprint_up 1\n"));
  const RawClient post(station.folder / "metrics");
  post.send("POST / HTTP/1.1\r\n\r\n");
  CHECK(post.all().starts_with("HTTP/1.0 405"));
}

TEST_CASE("a metrics client that says nothing keeps nobody from stopping") {
  Running station;
  const RawClient idle(station.folder / "metrics");
  {
    // Taken after it, so it has been taken.
    const RawClient scrape(station.folder / "metrics");
    scrape.send("GET /metrics HTTP/1.1\r\n\r\n");
    CHECK_FALSE(scrape.all().empty());
  }
  station.server->stop();
  CHECK(station.ended.get_future().wait_for(kLong) == std::future_status::ready);
}

TEST_CASE("a listener whose line is endless stays counted while its last words cannot be written") {
  Running station({.stuck_write = std::chrono::hours(1)});
  const RawClient hostile(station.path());
  hostile.send(api::request_line(1, "listen", {}) + "\n");
  const auto other = station.client();
  // Events until the writer stands still: nothing of the listener's is read.
  for (int i = 0; i < 300; ++i) station.events.publish("slot", {{"padding", std::string(4000, 'x')}});
  hostile.send(std::string(api::kMostRequestBytes + 2, 'x'));
  for (int i = 0; i < 50; ++i) CHECK(echo(*other, i) == i);
  CHECK(station.server->clients() == 2);
}

TEST_CASE("a listener whose last words cannot be written is let go") {
  Running station({.stuck_write = milliseconds(50)});
  const RawClient hostile(station.path());
  hostile.send(api::request_line(1, "listen", {}) + "\n");
  for (int i = 0; i < 300; ++i) station.events.publish("slot", {{"padding", std::string(4000, 'x')}});
  hostile.send(std::string(api::kMostRequestBytes + 2, 'x'));
  CHECK(hostile.is_let_go());
}

TEST_CASE("what takes long takes no more than two threads, and what it makes wait holds up nobody") {
  Running station;
  std::list<RawClient> clients;
  for (std::uint64_t i = 0; i < 12; ++i)
    clients.emplace_back(station.path()).send(api::request_line(i, "long", {}) + "\n");
  station.wait_for_held(2);
  const auto other = station.client();
  for (int i = 0; i < 20; ++i) CHECK(echo(*other, i) == i);
  CHECK(station.gate.waiting == 2);
  station.let_go();
  for (const RawClient& client : clients) {
    client.no_more();
    CHECK(client.all().find("result") != std::string::npos);
  }
}

TEST_CASE("what throws ends its own connection, or its own answer, and nothing else") {
  Running station;
  const auto other = station.client();
  {
    const RawClient thrower(station.path());
    thrower.send(api::request_line(1, "throw", {}) + "\n");
    CHECK(thrower.all().empty());
  }
  CHECK(echo(*other, 1) == 1);
  station.is_broken = true;
  {
    const RawClient unlucky(station.path());
    CHECK(unlucky.all().empty());
    const RawClient scrape(station.folder / "metrics");
    scrape.send("GET /metrics HTTP/1.1\r\n\r\n");
    CHECK(scrape.all().starts_with("HTTP/1.0 500"));
  }
  station.is_broken = false;
  CHECK(echo(*other, 2) == 2);
  CHECK(echo(*station.client(), 3) == 3);
}

TEST_CASE("work that blocks holds up neither clients nor other work, and is not done twice at once") {
  struct {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
    int at_once = 0;
    int most_at_once = 0;
    int ticks = 0;
  } state;
  {
    Running station({}, [&](Server& server) {
      server.every(milliseconds(1), [&] {
        std::unique_lock lock(state.mutex);
        state.most_at_once = std::max(state.most_at_once, ++state.at_once);
        state.changed.notify_all();
        state.changed.wait(lock, [&] { return state.open; });
        --state.at_once;
      });
      server.every(
          milliseconds(1),
          [&] {
            const std::scoped_lock lock(state.mutex);
            ++state.ticks;
            state.changed.notify_all();
            throw std::runtime_error("thrown by the test");
          },
          Server::Runs::in_the_loop);
    });
    const auto client = station.client();
    std::unique_lock lock(state.mutex);
    CHECK(state.changed.wait_for(lock, kLong, [&] { return state.at_once == 1; }));
    const int before = state.ticks;
    CHECK(state.changed.wait_for(lock, kLong, [&] { return state.ticks > before + 20; }));
    lock.unlock();
    CHECK(echo(*client, 1) == 1);
    lock.lock();
    CHECK(state.most_at_once == 1);
    state.open = true;
    state.changed.notify_all();
  }
}

TEST_CASE("a station may take shorter requests only") {
  Running station({.request_bytes = 4096});
  const RawClient client(station.path());
  client.send(std::string(5000, 'x'));
  CHECK(client.all().find("api.request-too-large") != std::string::npos);
}
