// SPDX-License-Identifier: GPL-3.0-or-later
// One call at a time, handed over and answered under one mutex.
#include "station/daemon/token_thread.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>

#include "station/service/errors.hpp"

namespace imprint::daemon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLastMoment{500};

core::Failure silent() { return service::fail("service.key-unusable", "the token does not answer"); }

core::Result<std::string> guarded(const TokenThread::Call& call) {
  try {
    return call();
  } catch (const std::exception& exception) {
    return service::fail("service.key-unusable", exception.what());
  }
}

}  // namespace

struct TokenThread::State {
  struct Asked {
    Call call;
    std::shared_ptr<std::optional<core::Result<std::string>>> answer;  // of nobody where they do not wait any more
  };
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::optional<Asked> next{};
  bool busy = false;  // from when it is asked until it has come back
  bool stopping = false;
  Clock::time_point began{};
};

TokenThread::TokenThread(std::chrono::milliseconds patience) : patience_(patience), state_(std::make_shared<State>()) {}

TokenThread::~TokenThread() {
  stop();
  if (!thread_.joinable()) return;
  if (hangs())
    thread_.detach();
  else
    thread_.join();
}

core::Result<std::string> TokenThread::run(Call call) {
  const auto answer = std::make_shared<std::optional<core::Result<std::string>>>();
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  const auto deadline = Clock::now() + patience_;
  while (state.busy && !state.stopping) {
    const auto turn = std::min(deadline, state.began + patience_);
    if (!state.changed.wait_until(lock, turn, [&] { return !state.busy || state.stopping; })) return silent();
  }
  if (state.stopping) return service::fail("service.key-unusable", "the station is being stopped");
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([state = state_] { work(state); });
    } catch (const std::system_error& error) {
      return service::fail("service.key-unusable", error.what());
    }
  }
  state.next.emplace(std::move(call), answer);
  state.busy = true;
  state.began = Clock::now();
  state.changed.notify_all();
  state.changed.wait_until(lock, deadline, [&] { return answer->has_value() || state.stopping; });
  if (!answer->has_value()) return silent();
  return std::move(**answer);
}

void TokenThread::work(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  for (;;) {
    state->changed.wait(lock, [&] { return state->next || state->stopping; });
    if (!state->stopping) {
      State::Asked asked = std::move(*state->next);
      state->next.reset();
      lock.unlock();
      auto result = guarded(asked.call);
      asked.call = nullptr;
      lock.lock();
      asked.answer->emplace(std::move(result));
    }
    state->busy = false;
    state->changed.notify_all();
    if (state->stopping) return;
  }
}

void TokenThread::stop() {
  const std::scoped_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

bool TokenThread::hangs() const {
  std::unique_lock lock(state_->mutex);
  return !state_->changed.wait_for(lock, kLastMoment, [&] { return !state_->busy; });
}

}  // namespace imprint::daemon
