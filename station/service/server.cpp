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
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <deque>
#include <list>
#include <map>
#include <vector>

#include "station/api/errors.hpp"
#include "station/api/rpc.hpp"

namespace imprint::service {
namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;

// Threads that answer requests. Some methods take long (verifying an image); the others have to get through meanwhile.
constexpr std::size_t kWorkers = 8;
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
      asio::co_spawn(server_.loop_, read(shared_from_this()), asio::detached);
      asio::co_spawn(server_.loop_, write(shared_from_this()), asio::detached);
    }
    void close() {
      ErrorCode ignored;
      socket_.close(ignored);
      closed_ = true;
      wake_.cancel();
    }
    void wake() { wake_.cancel(); }
    [[nodiscard]] uid_t uid() const { return uid_; }
    [[nodiscard]] bool is_stuck(std::chrono::steady_clock::time_point now) const {
      return writing_since_ && now - *writing_since_ > server_.limits_.stuck_write;
    }

   private:
    asio::awaitable<void> read(std::shared_ptr<Connection> self) {
      std::string buffer;
      // One byte more than the longest request, for its line feed.
      auto dynamic = asio::dynamic_buffer(buffer, api::kMostRequestBytes + 1);
      while (!closed_) {
        ErrorCode error;
        const std::size_t length =
            co_await asio::async_read_until(socket_, dynamic, '\n', asio::redirect_error(asio::use_awaitable, error));
        if (error == asio::error::not_found) {
          say(api::error_line(nullptr, api::fail("api.request-too-large").error()));
          last_words_ = true;
          wake();
          break;
        }
        if (error) break;
        std::string line = buffer.substr(0, length - 1);
        dynamic.consume(length);
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.empty()) continue;
        auto answer = co_await asio::co_spawn(server_.workers_, answer_to(std::move(line)), asio::use_awaitable);
        if (answer) say(std::move(*answer));
        // Only now: the answer to `subscribe` goes first.
        if (!listens_from_) listens_from_ = conversation_->listens_from();
        // The next request is taken when this answer has gone, so that answers never pile up.
        while (!answers_.empty() && !closed_) {
          asio::steady_timer& gone = drained_.emplace(server_.loop_, asio::steady_timer::time_point::max());
          co_await gone.async_wait(asio::redirect_error(asio::use_awaitable, error));
        }
      }
      if (!last_words_) close();
      server_.forget(self);
    }

    // In a worker. A function, for GCC 12 destroys the captures of a lambda in a co_await twice.
    asio::awaitable<std::optional<std::string>> answer_to(std::string line) { co_return conversation_->answer(line); }

    void say(std::string line) {
      answers_.push_back(std::move(line));
      wake();
    }

    asio::awaitable<void> write(std::shared_ptr<Connection> self) {
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
      if (drained_) drained_->cancel();
      server_.forget(self);
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
    bool closed_ = false;
  };

  void run() {
    acceptor_.emplace(loop_, Protocol(), api_.release());
    asio::co_spawn(loop_, accept(), asio::detached);
    if (metrics_) {
      metrics_acceptor_.emplace(loop_, Protocol(), metrics_->release());
      asio::co_spawn(loop_, accept_metrics(), asio::detached);
    }
    every(kSweep, [this] { sweep(); });
    events_.on_event([this] {
      // One wake-up under way is enough for any number of events.
      if (wake_pending_.exchange(true)) return;
      asio::post(loop_, [this] {
        wake_pending_ = false;
        for (const auto& connection : connections_) connection->wake();
      });
    });
    loop_.run();
    events_.on_event({});
    workers_.join();
    connections_.clear();
    loop_.restart();
    loop_.poll();  // what workers still had to hand over
  }

  void stop() {
    asio::post(loop_, [this] {
      stopping_ = true;
      ErrorCode ignored;
      if (acceptor_) acceptor_->close(ignored);
      if (metrics_acceptor_) metrics_acceptor_->close(ignored);
      for (const auto& timer : timers_) timer->cancel();
      for (const auto& signals : signals_) signals->cancel(ignored);
      const auto open = connections_;
      for (const auto& connection : open) connection->close();
    });
  }

  void every(std::chrono::milliseconds period, std::function<void()> work) {
    auto timer = std::make_shared<asio::steady_timer>(loop_);
    timers_.push_back(timer);
    asio::co_spawn(
        loop_,
        [this, timer, period, work = std::move(work)]() -> asio::awaitable<void> {
          while (!stopping_) {
            timer->expires_after(period);
            ErrorCode error;
            co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, error));
            if (!error && !stopping_) work();
          }
        },
        asio::detached);
  }

  void on_signal(int signal, std::function<void()> work) {
    auto signals = std::make_shared<asio::signal_set>(loop_, signal);
    signals_.push_back(signals);
    asio::co_spawn(
        loop_,
        [this, signals, work = std::move(work)]() -> asio::awaitable<void> {
          while (!stopping_) {
            ErrorCode error;
            co_await signals->async_wait(asio::redirect_error(asio::use_awaitable, error));
            if (!error && !stopping_) work();
          }
        },
        asio::detached);
  }

  [[nodiscard]] std::size_t clients() const { return client_count_; }

 private:
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
      const Peer peer = peer_of(socket);
      if (!has_room(peer.uid)) {
        static const std::string kRefusal = api::error_line(nullptr, api::fail("api.too-many-clients").error()) + "\n";
        // Into an empty socket buffer, so it does not wait.
        ErrorCode ignored;
        socket.non_blocking(true, ignored);
        socket.write_some(asio::buffer(kRefusal), ignored);
        continue;
      }
      auto connection = std::make_shared<Connection>(*this, std::move(socket), peer);
      connections_.push_back(connection);
      client_count_ = connections_.size();
      connection->start();
    }
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
      if (scrapes_.size() >= limits_.clients) continue;  // closes it
      auto scrape = std::make_shared<Protocol::socket>(std::move(socket));
      const auto place = scrapes_.insert(scrapes_.end(), {scrape, std::chrono::steady_clock::now()});
      asio::co_spawn(loop_, answer_metrics(scrape, place), asio::detached);
    }
  }

  struct Scrape {
    std::shared_ptr<Protocol::socket> socket;
    std::chrono::steady_clock::time_point since;
  };

  asio::awaitable<void> answer_metrics(std::shared_ptr<Protocol::socket> socket, std::list<Scrape>::iterator place) {
    std::string request;
    ErrorCode error;
    co_await asio::async_read_until(*socket, asio::dynamic_buffer(request, kMostHttpBytes), "\r\n\r\n",
                                    asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      std::string body = co_await asio::co_spawn(workers_, metrics_now(), asio::use_awaitable);
      const bool asks = request.starts_with("GET ");
      std::string head = asks ? "HTTP/1.0 200 OK\r\n" : "HTTP/1.0 405 Method Not Allowed\r\nAllow: GET\r\n";
      if (!asks) body.clear();
      head += "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nConnection: close\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n";
      co_await asio::async_write(*socket, asio::buffer(head + body), asio::redirect_error(asio::use_awaitable, error));
    }
    scrapes_.erase(place);
  }

  asio::awaitable<std::string> metrics_now() { co_return metrics_text_(); }

  // Lets go of clients that take nothing.
  void sweep() {
    const auto now = std::chrono::steady_clock::now();
    const auto open = connections_;
    for (const auto& connection : open)
      if (connection->is_stuck(now)) connection->close();
    for (const Scrape& scrape : scrapes_) {
      ErrorCode ignored;
      if (now - scrape.since > limits_.stuck_write) scrape.socket->close(ignored);
    }
  }

  void forget(const std::shared_ptr<Connection>& connection) {
    connections_.remove(connection);
    client_count_ = connections_.size();
  }

  asio::io_context loop_;
  asio::thread_pool workers_{kWorkers};
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
  std::list<std::shared_ptr<asio::steady_timer>> timers_;
  std::list<std::shared_ptr<asio::signal_set>> signals_;
  std::atomic<bool> wake_pending_{false};
  std::atomic<std::size_t> client_count_{0};
  bool stopping_ = false;
};

Server::Server(Listener api, std::optional<Listener> metrics, api::EventLog& events, Begin begin, Metrics metrics_text,
               ServerLimits limits)
    : impl_(std::make_shared<Impl>(std::move(api), std::move(metrics), events, std::move(begin),
                                   std::move(metrics_text), limits)) {}
Server::~Server() = default;
void Server::every(std::chrono::milliseconds period, std::function<void()> work) {
  impl_->every(period, std::move(work));
}
void Server::on_signal(int signal, std::function<void()> work) { impl_->on_signal(signal, std::move(work)); }
void Server::run() { impl_->run(); }
void Server::stop() { impl_->stop(); }
std::size_t Server::clients() const { return impl_->clients(); }

}  // namespace imprint::service
