// SPDX-License-Identifier: GPL-3.0-or-later
// A coroutine in the loop for each chore, and a thread for those that may block.
#include "station/service/chores.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <list>
#include <utility>

namespace imprint::service {

class Chores::Impl {
 public:
  explicit Impl(boost::asio::io_context& loop) : loop_(loop) {}

  void every(std::chrono::milliseconds period, Work work, Runs runs) {
    auto timer = std::make_shared<boost::asio::steady_timer>(loop_);
    timers_.push_back(timer);
    boost::asio::co_spawn(loop_, repeat(timer, period, chore(std::move(work), runs)), boost::asio::detached);
  }
  void on_signal(int signal, Work work, Runs runs) {
    auto signals = std::make_shared<boost::asio::signal_set>(loop_, signal);
    signals_.push_back(signals);
    boost::asio::co_spawn(loop_, obey(signals, chore(std::move(work), runs)), boost::asio::detached);
  }
  void stop() {
    stopping_ = true;
    boost::system::error_code ignored;
    for (const auto& timer : timers_) timer->cancel();
    for (const auto& signals : signals_) signals->cancel(ignored);
  }
  void join() {
    for (boost::asio::thread_pool& thread : threads_) thread.join();
  }

 private:
  // A thread of its own for each, so that none waits for another.
  struct Chore {
    Work work;
    boost::asio::thread_pool* thread = nullptr;  // nothing: the loop
  };
  Chore chore(Work work, Runs runs) {
    return {std::move(work), runs == Runs::in_the_loop ? nullptr : &threads_.emplace_back(1)};
  }

  boost::asio::awaitable<void> repeat(std::shared_ptr<boost::asio::steady_timer> timer,
                                      std::chrono::milliseconds period, Chore what) {
    while (!stopping_) {
      timer->expires_after(period);
      boost::system::error_code error;
      co_await timer->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, error));
      if (!error && !stopping_) co_await perform(what);
    }
  }
  boost::asio::awaitable<void> obey(std::shared_ptr<boost::asio::signal_set> signals, Chore what) {
    while (!stopping_) {
      boost::system::error_code error;
      co_await signals->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, error));
      if (!error && !stopping_) co_await perform(what);
    }
  }
  boost::asio::awaitable<void> perform(const Chore& what) {
    if (what.thread == nullptr) {
      work_on(what);
    } else {
      co_await boost::asio::co_spawn(*what.thread, work_in_thread(what), boost::asio::use_awaitable);
    }
  }
  static boost::asio::awaitable<void> work_in_thread(const Chore& what) {
    work_on(what);
    co_return;
  }
  // The next time may go better; ending the timer or the station would not.
  static void work_on(const Chore& what) {
    try {
      what.work();
    } catch (const std::exception&) {
      return;
    }
  }

  boost::asio::io_context& loop_;
  std::list<boost::asio::thread_pool> threads_;
  std::list<std::shared_ptr<boost::asio::steady_timer>> timers_;
  std::list<std::shared_ptr<boost::asio::signal_set>> signals_;
  bool stopping_ = false;
};

Chores::Chores(boost::asio::io_context& loop) : impl_(std::make_unique<Impl>(loop)) {}
Chores::~Chores() = default;
void Chores::every(std::chrono::milliseconds period, Work work, Runs runs) {
  impl_->every(period, std::move(work), runs);
}
void Chores::on_signal(int signal, Work work, Runs runs) { impl_->on_signal(signal, std::move(work), runs); }
void Chores::stop() { impl_->stop(); }
void Chores::join() { impl_->join(); }

}  // namespace imprint::service
