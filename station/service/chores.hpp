// SPDX-License-Identifier: GPL-3.0-or-later
// What the server's timers and signals set going. Private to this folder.
#pragma once

#include <chrono>
#include <memory>

#include "station/service/server.hpp"

namespace boost::asio {
class io_context;
}  // namespace boost::asio

namespace imprint::service {

// As Server::every() and on_signal() say. Everything but the work itself happens in the loop's thread.
class Chores {
 public:
  using Work = Server::Work;
  using Runs = Server::Runs;

  explicit Chores(boost::asio::io_context& loop);
  ~Chores();
  Chores(const Chores&) = delete;
  Chores& operator=(const Chores&) = delete;

  void every(std::chrono::milliseconds period, Work work, Runs runs);
  void on_signal(int signal, Work work, Runs runs);
  // Nothing is begun any more.
  void stop();
  // After stop() and the loop's end.
  void join();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace imprint::service
