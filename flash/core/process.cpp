// SPDX-License-Identifier: GPL-3.0-or-later
// posix_spawn with a pipe for the output and a deadline on it.
#include "flash/core/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>

#include "flash/core/deadline.hpp"
#include "flash/core/errors.hpp"

namespace imprint::core {
namespace {

constexpr std::size_t kKeptOutput = 65536;
// Longer limits would overflow the clock's nanoseconds.
constexpr std::chrono::milliseconds kLongestLimit = std::chrono::hours(24 * 365);

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// The formatters live in sbin, which is not in every user's PATH.
std::optional<std::string> find_program(const std::string& name) {
  const auto runnable = [](const std::string& candidate) {
    std::error_code ignored;
    return access(candidate.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(candidate, ignored);
  };
  if (name.empty()) return std::nullopt;
  if (name.find('/') != std::string::npos) return runnable(name) ? std::optional(name) : std::nullopt;
  const char* path = std::getenv("PATH");
  const std::string folders =
      std::string(path != nullptr ? path : "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin";
  for (std::size_t start = 0; start <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', start), folders.size());
    // An empty entry would mean the current folder, from which nothing is ever run.
    std::string candidate = folders.substr(start, end - start) + "/" + name;
    if (end > start && runnable(candidate)) return candidate;
    start = end + 1;
  }
  return std::nullopt;
}

// This process's environment with the request's own values in place of the inherited ones: of two entries with one
// name, getenv in the child would find the inherited one.
std::vector<std::string> child_environment(const ProcessRequest& request) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view key = text.substr(0, text.find('='));
    const bool replaced = std::ranges::any_of(request.environment, [&](const auto& pair) { return pair.first == key; });
    if (!replaced) out.emplace_back(text);
  }
  for (const auto& [key, value] : request.environment) out.push_back(key + "=" + value);
  return out;
}

// The null-terminated array that exec takes, pointing into `strings`.
std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (auto& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The child in a process group of its own, reading nothing and writing to `output_fd`. 0, or an errno.
int spawn(const std::string& program, const ProcessRequest& request, int output_fd, pid_t& pid) {
  std::vector<std::string> environment = child_environment(request);
  std::vector<std::string> arguments = request.arguments;
  const auto envp = pointers_to(environment);
  const auto argv = pointers_to(arguments);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_fd, 1);
  posix_spawn_file_actions_adddup2(&actions, output_fd, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // The child starts with no signal blocked and SIGPIPE deadly, whatever this process or thread has chosen for itself.
  sigset_t none;
  sigset_t deadly;
  sigemptyset(&none);
  sigemptyset(&deadly);
  sigaddset(&deadly, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &deadly);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Waits until `fd` can be read; false when the deadline passed first.
bool wait_readable(int fd, const Deadline& deadline) {
  for (;;) {
    pollfd poll_fd{fd, POLLIN, 0};
    const auto left =
        std::min<std::chrono::milliseconds::rep>(deadline.left().count(), std::numeric_limits<int>::max());
    const int ready = poll(&poll_fd, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0 || deadline.passed()) return false;
  }
}

// Reads until the other end closes; false when the deadline passed first.
bool collect(int fd, const Deadline& deadline, std::string& output) {
  std::array<char, 4096> buffer{};
  while (wait_readable(fd, deadline)) {
    const auto got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    output.append(buffer.data(), static_cast<std::size_t>(got));
    if (output.size() > 2 * kKeptOutput) output.erase(0, output.size() - kKeptOutput);
    // A child that writes without end keeps the pipe readable, so the wait alone would never time out.
    if (deadline.passed()) return false;
  }
  return false;
}

// A child that closed its output may still be running: its end is waited for under the same deadline.
bool wait_for_end(pid_t pid, const Deadline& deadline) {
  // The system call itself: glibc 2.36 declares its wrapper without extern "C".
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (process.get() >= 0) return wait_readable(process.get(), deadline);
  // Some sandboxes refuse the call: then the child is asked for again and again, without being reaped.
  while (!deadline.passed()) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
      return true;
    poll(nullptr, 0, 5);
  }
  return false;
}

}  // namespace

Result<std::string> SystemProcessRunner::run(const ProcessRequest& request) {
  const std::string name = request.arguments.empty() ? std::string() : request.arguments.front();
  const auto program = find_program(name);
  if (!program) return fail("process.not-found").with("program", name);

  std::array<int, 2> pipe_fds{};
  if (pipe2(pipe_fds.data(), O_CLOEXEC) != 0) return fail_errno(errno, "process.failed", name);
  const Descriptor read_end(pipe_fds[0]);
  Descriptor write_end(pipe_fds[1]);
  pid_t pid = 0;
  if (const int error = spawn(*program, request, write_end.get(), pid); error != 0) {
    return fail("process.failed", std::generic_category().message(error)).with("program", name);
  }
  write_end.reset();  // else the pipe would never report its end

  std::string output;
  const auto deadline = Deadline::after(std::min(request.limit, kLongestLimit));
  const bool finished = collect(read_end.get(), deadline, output) && wait_for_end(pid, deadline);
  if (!finished) kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (output.size() > kKeptOutput) output.erase(0, output.size() - kKeptOutput);
  if (!finished) return fail("process.timed-out", output).with("program", name).with("limit_ms", request.limit.count());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail("process.failed", output)
        .with("program", name)
        .with("status", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  }
  return output;
}

}  // namespace imprint::core
