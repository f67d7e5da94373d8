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
  // From which event on the client listens; nothing: it does not. Asked after each answer; an answer that changes it
  // reaches the client before the first event does.
  [[nodiscard]] virtual std::optional<std::uint64_t> listens_from() const = 0;
};

struct ServerLimits {
  std::size_t clients = 64;
  std::size_t clients_per_user = 32;
  std::chrono::milliseconds stuck_write{30000};  // a client that takes nothing for this long is let go
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

  // Calls `work` in the loop's thread every `period`, from run() on.
  void every(std::chrono::milliseconds period, std::function<void()> work);
  // Calls `work` in the loop's thread when the signal comes, instead of what it would do; from run() on.
  void on_signal(int signal, std::function<void()> work);
  // Returns after stop(): no client is connected then, and no request being answered.
  void run();
  void stop();
  [[nodiscard]] std::size_t clients() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace imprint::service
