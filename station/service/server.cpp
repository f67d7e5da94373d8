// SPDX-License-Identifier: GPL-3.0-or-later
// Asio: an acceptor, two coroutines a connection (one reads and has requests answered, one writes), and workers that
// may block.
#include "station/service/server.hpp"

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "station/api/errors.hpp"
#include "station/api/rpc.hpp"
#include "station/service/chores.hpp"

namespace imprint::service {
namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;

// Threads that answer requests. Some methods take long (verifying an image); the others have to get through meanwhile.
constexpr std::size_t kWorkers = 8;
// Those that take longest have threads of their own; further ones wait for them, and for no worker.
constexpr std::size_t kLongWorkers = 2;
constexpr std::size_t kEventsAtOnce = 64;
constexpr std::chrono::seconds kSweep{1};
constexpr std::size_t kMostHttpBytes = 8192;

Peer peer_of(Protocol::socket& socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  // Cannot fail on a connected Unix socket; if it did, the peer is nobody.
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return {static_cast<uid_t>(-1), static_cast<gid_t>(-1), 0};
  return {credentials.uid, credentials.gid, credentials.pid};
}

}  // namespace

class Server::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Listener api, std::optional<Listener> metrics, api::EventLog& events, Begin begin, Metrics metrics_text,
       ServerLimits limits)
      : api_(std::move(api)),
        metrics_(std::move(metrics)),
        events_(events),
        begin_(std::move(begin)),
        metrics_text_(std::move(metrics_text)),
        limits_(limits) {}

  // One client. Everything but answer() happens in the loop's thread.
  class Connection : public std::enable_shared_from_this<Connection> {
   public:
    Connection(Impl& server, Protocol::socket socket, const Peer& peer)
        : server_(server), socket_(std::move(socket)), wake_(server.loop_), uid_(peer.uid) {
      wake_.expires_at(asio::steady_timer::time_point::max());
      conversation_ = server.begin_(peer);
    }

    void start() {
      const auto ended = [self = shared_from_this()](const std::exception_ptr& fault) {
        self->ended(fault != nullptr);
      };
      asio::co_spawn(server_.loop_, read(), ended);
      asio::co_spawn(server_.loop_, write(), ended);
    }
    void close() {
      ErrorCode ignored;
      socket_.close(ignored);
      closed_ = true;
      wake_.cancel();
      if (drained_) drained_->cancel();
    }
    // What is being answered still is, and events that are there are told; nothing more is taken.
    void finish() {
      finishing_ = true;
      if (!answering_) say_no_more();
    }
    void wake() { wake_.cancel(); }
    [[nodiscard]] uid_t uid() const { return uid_; }
    [[nodiscard]] bool is_stuck(std::chrono::steady_clock::time_point now) const {
      return writing_since_ && now - *writing_since_ > server_.limits_.stuck_write;
    }

   private:
    // It is counted and swept until both coroutines have ended, or a client that reads nothing would keep a descriptor
    // that nobody knows of.
    void ended(bool by_a_fault) {
      if (by_a_fault) close();
      if (--coroutines_ == 0) server_.forget(shared_from_this());
    }

    asio::awaitable<void> read() {
      std::string buffer;
      // One byte more than the longest request, for its line feed.
      auto dynamic = asio::dynamic_buffer(buffer, server_.limits_.request_bytes + 1);
      while (!closed_) {
        ErrorCode error;
        const std::size_t length =
            co_await asio::async_read_until(socket_, dynamic, '\n', asio::redirect_error(asio::use_awaitable, error));
        if (error == asio::error::not_found) {
          say(api::error_line(nullptr, api::fail("api.request-too-large").error()));
          say_no_more();
          break;
        }
        if (error || finishing_) break;
        std::string line = buffer.substr(0, length - 1);
        dynamic.consume(length);
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.empty()) continue;
        answering_ = true;
        auto answer = co_await asio::co_spawn(server_.workers_, answer_to(std::move(line)), asio::use_awaitable);
        answering_ = false;
        if (answer) say(std::move(*answer));
        // Only now: the answer to `subscribe` goes first.
        if (!listens_from_) listens_from_ = conversation_->listens_from();
        if (finishing_) say_no_more();
        // The next request is taken when this answer has gone, so that answers never pile up.
        while (!answers_.empty() && !closed_) {
          asio::steady_timer& gone = drained_.emplace(server_.loop_, asio::steady_timer::time_point::max());
          co_await gone.async_wait(asio::redirect_error(asio::use_awaitable, error));
        }
      }
      if (!last_words_) close();
    }

    // In a worker. Functions, for GCC 12 destroys the captures of a lambda in a co_await twice.
    asio::awaitable<std::optional<std::string>> answer_to(std::string line) {
      if (conversation_->takes_long(line))
        co_return co_await asio::co_spawn(server_.long_workers_, answer_at_length(line), asio::use_awaitable);
      co_return conversation_->answer(line);
    }
    // What still waits when the server stops is not begun.
    asio::awaitable<std::optional<std::string>> answer_at_length(const std::string& line) {
      if (server_.stopping_) co_return std::nullopt;
      co_return conversation_->answer(line);
    }

    void say(std::string line) {
      answers_.push_back(std::move(line));
      wake();
    }
    void say_no_more() {
      last_words_ = true;
      wake();
    }

    asio::awaitable<void> write() {
      while (!closed_) {
        std::vector<std::shared_ptr<const std::string>> lines = next_lines();
        if (lines.empty()) {
          if (last_words_) break;
          ErrorCode woken;
          co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
          wake_.expires_at(asio::steady_timer::time_point::max());
          continue;
        }
        std::string text;
        for (const auto& line : lines) text.append(*line).push_back('\n');
        writing_since_ = std::chrono::steady_clock::now();
        ErrorCode error;
        co_await asio::async_write(socket_, asio::buffer(text), asio::redirect_error(asio::use_awaitable, error));
        writing_since_.reset();
        if (error) break;
        if (drained_ && answers_.empty()) drained_->cancel();
      }
      close();
    }

    // An answer before events; events that are not kept any more are said to be missed.
    std::vector<std::shared_ptr<const std::string>> next_lines() {
      std::vector<std::shared_ptr<const std::string>> lines;
      if (!answers_.empty()) {
        lines.push_back(std::make_shared<const std::string>(std::move(answers_.front())));
        answers_.pop_front();
        return lines;
      }
      if (!listens_from_) return lines;
      auto page = server_.events_.from(*listens_from_, kEventsAtOnce);
      listens_from_ = page.next;
      if (page.missed > 0) {
        boost::json::object params{{"kind", "missed"}, {"count", page.missed}};
        boost::json::object event{{"jsonrpc", "2.0"}, {"method", "event"}, {"params", std::move(params)}};
        lines.push_back(std::make_shared<const std::string>(boost::json::serialize(event)));
      }
      lines.insert(lines.end(), page.lines.begin(), page.lines.end());
      return lines;
    }

    Impl& server_;
    Protocol::socket socket_;
    asio::steady_timer wake_;
    std::optional<asio::steady_timer> drained_;
    uid_t uid_;
    std::unique_ptr<Conversation> conversation_;
    std::deque<std::string> answers_;
    std::optional<std::uint64_t> listens_from_;
    std::optional<std::chrono::steady_clock::time_point> writing_since_;
    bool last_words_ = false;  // what is to be said still is, then the connection ends
    bool answering_ = false;
    bool finishing_ = false;
    bool closed_ = false;
    int coroutines_ = 2;
  };

  void run() {
    acceptor_.emplace(loop_, Protocol(), api_.release());
    asio::co_spawn(loop_, accept(), asio::detached);
    if (metrics_) {
      metrics_acceptor_.emplace(loop_, Protocol(), metrics_->release());
      asio::co_spawn(loop_, accept_metrics(), asio::detached);
    }
    chores_.every(kSweep, [this] { sweep(); }, Runs::in_the_loop);
    {
      const Listening listening(*this);
      run_loop();
    }
    long_workers_.join();
    workers_.join();
    chores_.join();
    connections_.clear();
    loop_.restart();
    run_loop();  // what workers still had to hand over
  }

  void stop() {
    asio::post(loop_, [this] {
      stopping_ = true;
      ErrorCode ignored;
      if (acceptor_) acceptor_->close(ignored);
      if (metrics_acceptor_) metrics_acceptor_->close(ignored);
      chores_.stop();
      for (const auto& connection : connections_) connection->finish();
      for (const Scrape& scrape : scrapes_) scrape.socket->close(ignored);
      last_words_.expires_after(limits_.last_words);
      last_words_.async_wait([this](ErrorCode cancelled) {
        if (cancelled) return;
        for (const auto& connection : connections_) connection->close();
      });
      end_when_nobody_is_left();
    });
  }

  [[nodiscard]] Chores& chores() { return chores_; }
  [[nodiscard]] std::size_t clients() const { return client_count_; }

 private:
  // While it lives, an event wakes those that listen. Gone before the server is, however run() ends.
  class Listening {
   public:
    explicit Listening(Impl& server) : events_(server.events_) {
      events_.on_event([&server] {
        // One wake-up under way is enough for any number of events.
        if (server.wake_pending_.exchange(true)) return;
        asio::post(server.loop_, [&server] {
          server.wake_pending_ = false;
          for (const auto& connection : server.connections_) connection->wake();
        });
      });
    }
    ~Listening() { events_.on_event({}); }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

   private:
    api::EventLog& events_;
  };

  // An exception that gets here has ended one handler. The others go on: clients, and what stops the station.
  void run_loop() {
    for (;;) {
      try {
        loop_.run();
        return;
      } catch (const std::exception&) {
        continue;
      }
    }
  }

  asio::awaitable<void> accept() {
    while (!stopping_) {
      ErrorCode error;
      Protocol::socket socket = co_await acceptor_->async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) {
        // Out of descriptors, say: going on at once would only burn the processor.
        co_await pause(error == asio::error::operation_aborted ? std::chrono::milliseconds(0)
                                                               : std::chrono::milliseconds(200));
        continue;
      }
      admit(std::move(socket));
    }
  }

  // Room, or what it is missing, costs the one that came and nobody else.
  void admit(Protocol::socket socket) {
    std::shared_ptr<Connection> connection;
    try {
      const Peer peer = peer_of(socket);
      if (!has_room(peer.uid)) return refuse(socket);
      connection = std::make_shared<Connection>(*this, std::move(socket), peer);
      connections_.push_back(connection);
      client_count_ = connections_.size();
      connection->start();
    } catch (const std::exception&) {
      if (!connection) return;
      connection->close();
      forget(connection);
    }
  }

  static void refuse(Protocol::socket& socket) {
    const std::string refusal = api::error_line(nullptr, api::fail("api.too-many-clients").error()) + "\n";
    // Into an empty socket buffer, so it does not wait.
    ErrorCode ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(refusal), ignored);
  }

  [[nodiscard]] bool has_room(uid_t uid) const {
    std::size_t same = 0;
    for (const auto& connection : connections_) same += connection->uid() == uid ? 1 : 0;
    return connections_.size() < limits_.clients && same < limits_.clients_per_user;
  }

  asio::awaitable<void> pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(loop_, time);
    ErrorCode ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }

  asio::awaitable<void> accept_metrics() {
    while (!stopping_) {
      ErrorCode error;
      Protocol::socket socket =
          co_await metrics_acceptor_->async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) {
        co_await pause(std::chrono::milliseconds(200));
        continue;
      }
      if (scrapes_.size() < limits_.clients) begin_scrape(std::move(socket));
    }
  }

  void begin_scrape(Protocol::socket socket) {
    auto place = scrapes_.end();
    try {
      auto scrape = std::make_shared<Protocol::socket>(std::move(socket));
      place = scrapes_.insert(scrapes_.end(), {scrape, std::chrono::steady_clock::now()});
      asio::co_spawn(loop_, answer_metrics(scrape),
                     [this, place](const std::exception_ptr&) { scrapes_.erase(place); });
    } catch (const std::exception&) {
      if (place != scrapes_.end()) scrapes_.erase(place);
    }
  }

  struct Scrape {
    std::shared_ptr<Protocol::socket> socket;
    std::chrono::steady_clock::time_point since;
  };

  asio::awaitable<void> answer_metrics(std::shared_ptr<Protocol::socket> socket) {
    std::string request;
    ErrorCode error;
    co_await asio::async_read_until(*socket, asio::dynamic_buffer(request, kMostHttpBytes), "\r\n\r\n",
                                    asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    const bool asks = request.starts_with("GET ");
    std::optional<std::string> body;
    if (asks) body = co_await asio::co_spawn(workers_, metrics_now(), asio::use_awaitable);
    std::string head = !asks  ? "HTTP/1.0 405 Method Not Allowed\r\nAllow: GET\r\n"
                       : body ? "HTTP/1.0 200 OK\r\n"
                              : "HTTP/1.0 500 Internal Server Error\r\n";
    head += "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nConnection: close\r\nContent-Length: " +
            std::to_string(body ? body->size() : 0) + "\r\n\r\n";
    if (body) head += *body;
    co_await asio::async_write(*socket, asio::buffer(head), asio::redirect_error(asio::use_awaitable, error));
  }

  asio::awaitable<std::optional<std::string>> metrics_now() {
    try {
      co_return metrics_text_();
    } catch (const std::exception&) {
      co_return std::nullopt;
    }
  }

  // Lets go of clients that take nothing.
  void sweep() {
    const auto now = std::chrono::steady_clock::now();
    for (const auto& connection : connections_)
      if (connection->is_stuck(now)) connection->close();
    for (const Scrape& scrape : scrapes_) {
      ErrorCode ignored;
      if (now - scrape.since > limits_.stuck_write) scrape.socket->close(ignored);
    }
  }

  void forget(const std::shared_ptr<Connection>& connection) {
    connections_.remove(connection);
    client_count_ = connections_.size();
    end_when_nobody_is_left();
  }

  void end_when_nobody_is_left() {
    if (stopping_ && connections_.empty()) last_words_.cancel();
  }

  asio::io_context loop_;
  asio::thread_pool workers_{kWorkers};
  asio::thread_pool long_workers_{kLongWorkers};
  Chores chores_{loop_};
  Listener api_;
  std::optional<Listener> metrics_;
  api::EventLog& events_;
  Begin begin_;
  Metrics metrics_text_;
  ServerLimits limits_;
  std::optional<Protocol::acceptor> acceptor_;
  std::optional<Protocol::acceptor> metrics_acceptor_;
  std::list<std::shared_ptr<Connection>> connections_;
  std::list<Scrape> scrapes_;
  std::atomic<bool> wake_pending_{false};
  std::atomic<std::size_t> client_count_{0};
  std::atomic<bool> stopping_{false};
  asio::steady_timer last_words_{loop_};
};

Server::Server(Listener api, std::optional<Listener> metrics, api::EventLog& events, Begin begin, Metrics metrics_text,
               ServerLimits limits)
    : impl_(std::make_shared<Impl>(std::move(api), std::move(metrics), events, std::move(begin),
                                   std::move(metrics_text), limits)) {}
Server::~Server() = default;
void Server::every(std::chrono::milliseconds period, Work work, Runs runs) {
  impl_->chores().every(period, std::move(work), runs);
}
void Server::on_signal(int signal, Work work, Runs runs) { impl_->chores().on_signal(signal, std::move(work), runs); }
void Server::run() { impl_->run(); }
void Server::stop() { impl_->stop(); }
std::size_t Server::clients() const { return impl_->clients(); }

}  // namespace imprint::service
