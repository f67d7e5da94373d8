// SPDX-License-Identifier: GPL-3.0-or-later
// The terminal itself is asked, not standard input: that may be a pipe.
#include "station/cli/secret_prompt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "flash/core/errors.hpp"

namespace imprint::station::cli {
namespace {

constexpr std::size_t kLongestLine = 4096;  // what a terminal takes as a line

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// Signals that would end or stop the program are held back while the echo is off, and delivered after it is on again.
class QuietTerminal {
 public:
  explicit QuietTerminal(int terminal) : terminal_(terminal) {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    changed_ = tcgetattr(terminal_, &old_) == 0;
    termios quiet = old_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ICANON | ISIG;
    if (changed_) changed_ = tcsetattr(terminal_, TCSAFLUSH, &quiet) == 0;
  }
  ~QuietTerminal() {
    if (changed_) tcsetattr(terminal_, TCSAFLUSH, &old_);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;
  [[nodiscard]] bool is_quiet() const { return changed_; }
  [[nodiscard]] const sigset_t& signals() const { return signals_; }

 private:
  int terminal_;
  termios old_{};
  sigset_t signals_{};
  sigset_t before_{};
  bool changed_ = false;
};

bool say(int terminal, std::string_view text) {
  return ::write(terminal, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// How many bytes of a line came, 0 at the end of input; nothing when a signal came first, which is still pending.
core::Result<std::optional<std::size_t>> read_line(int terminal, const sigset_t& signals, std::string& line) {
  const Descriptor signal_fd(signalfd(-1, &signals, SFD_CLOEXEC));
  pollfd both[] = {{terminal, POLLIN, 0}, {signal_fd.get(), POLLIN, 0}};
  for (;;) {
    if (poll(both, 2, -1) < 0 && errno != EINTR) return core::fail_errno(errno, "io.read-failed", "the terminal");
    if (both[1].revents != 0) return std::optional<std::size_t>{};
    if (both[0].revents == 0) continue;
    const auto got = ::read(terminal, line.data(), line.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return core::fail_errno(errno, "io.read-failed", "the terminal");
    return std::optional<std::size_t>{static_cast<std::size_t>(got)};
  }
}

}  // namespace

core::Result<std::optional<trust::Secret>> ask_secret(std::string_view question) {
  const Descriptor terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (terminal.get() < 0 || !say(terminal.get(), question)) return std::optional<trust::Secret>{};
  std::string line(kLongestLine, '\0');
  core::Result<std::optional<std::size_t>> got = std::optional<std::size_t>{};
  {
    const QuietTerminal quiet(terminal.get());
    if (!quiet.is_quiet()) return std::optional<trust::Secret>{};
    got = read_line(terminal.get(), quiet.signals(), line);
  }  // a signal that came is delivered here
  static_cast<void>(say(terminal.get(), "\n"));
  if (got && *got && **got != 0) {
    line.resize(**got - (line[**got - 1] == '\n' ? 1 : 0));
    return std::optional(trust::Secret::take(std::move(line)));
  }
  if (!got) return std::unexpected(std::move(got).error());
  return core::fail("job.cancelled");
}

}  // namespace imprint::station::cli
