// SPDX-License-Identifier: GPL-3.0-or-later
// Serves the API to many clients from one event loop. Nothing that a client does or leaves undone holds up another, the
// station, or memory: one request of a connection at a time, requests and answers of bounded size, and events only out
// of the log.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "station/api/event_log.hpp"
#include "station/api/rpc.hpp"
#include "station/service/listener.hpp"

namespace imprint::service {

struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

// One client's connection, as whoever answers sees it. One call at a time, from any worker.
class Conversation {
 public:
  Conversation() = default;
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  virtual ~Conversation() = default;
  // May block. The answer's line, or nothing for a notification.
  [[nodiscard]] virtual std::optional<std::string> answer(const std::string& line) = 0;
  // Does the answer to this line keep its thread for seconds or more? Such ones are answered a few at a time, and
  // further ones wait, so that they do not take the threads of all others. From any worker; must not block.
  [[nodiscard]] virtual bool takes_long(const std::string& line) const {
    static_cast<void>(line);
    return false;
  }
  // From which event on the client listens; nothing: it does not. Asked after each answer; an answer that changes it
  // reaches the client before the first event does.
  [[nodiscard]] virtual std::optional<std::uint64_t> listens_from() const = 0;
};

struct ServerLimits {
  std::size_t clients = 64;
  std::size_t clients_per_user = 32;
  std::size_t request_bytes = api::kMostRequestBytes;  // of a line; not more than this
  std::chrono::milliseconds stuck_write{30000};        // a client that takes nothing for this long is let go
  std::chrono::milliseconds last_words{1000};          // what a stopping server waits until clients have taken theirs
};

// Runs in the thread that calls run(). Other members from any thread, but for the constructor and destructor.
class Server {
 public:
  using Begin = std::function<std::unique_ptr<Conversation>(const Peer&)>;
  // What is answered on the second socket, HTTP's body; called from a worker.
  using Metrics = std::function<std::string()>;

  Server(Listener api, std::optional<Listener> metrics, api::EventLog& events, Begin begin, Metrics metrics_text,
         ServerLimits limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  using Work = std::function<void()>;
  // Where something is done: in a thread of its own, in which it may block, or in the loop's, which all clients wait
  // for.
  enum class Runs { in_a_thread, in_the_loop };

  // Both before run(). `work` is done from run() on and never twice at once; what it throws is swallowed.
  // Every `period`, counted from the end of the last time.
  void every(std::chrono::milliseconds period, Work work, Runs runs = Runs::in_a_thread);
  // When the signal comes, instead of what it would do.
  void on_signal(int signal, Work work, Runs runs = Runs::in_a_thread);
  // Returns after stop(): no client is connected then, no request being answered, and no work done. Does not throw.
  void run();
  // Requests that are being answered still are, and clients are told the events that are there; nothing new is taken.
  void stop();
  [[nodiscard]] std::size_t clients() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace imprint::service
