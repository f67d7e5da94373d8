// SPDX-License-Identifier: GPL-3.0-or-later
// A thread of its own for the driver of a token, which may never come back: nobody else waits for it without an end,
// and it is left behind where the daemon stops without it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "flash/core/result.hpp"

namespace imprint::daemon {

// Thread-safe, but for the destructor.
class TokenThread {
 public:
  // Owns what it uses, for it may outlive whoever asked, and this object. What it throws is `service.key-unusable`.
  using Call = std::function<core::Result<std::string>()>;
  // `patience`: of each call, and of those that come while it is under way.
  explicit TokenThread(std::chrono::milliseconds patience = std::chrono::seconds(10));
  TokenThread(const TokenThread&) = delete;
  TokenThread& operator=(const TokenThread&) = delete;
  ~TokenThread();

  // `service.key-unusable` where the token does not answer in time, where an earlier call has not come back, and after
  // stop(); else the call's own result.
  [[nodiscard]] core::Result<std::string> run(Call call);
  // Whoever waits is told so now, and nothing more is begun.
  void stop();
  // A call has not come back, and did not in a moment more.
  [[nodiscard]] bool hangs() const;

 private:
  struct State;
  static void work(const std::shared_ptr<State>& state);

  std::chrono::milliseconds patience_;
  std::shared_ptr<State> state_;  // the thread's, too
  std::thread thread_;            // under the state's mutex
};

}  // namespace imprint::daemon
