// SPDX-License-Identifier: GPL-3.0-or-later
// posix_spawn with a pipe for the output and a deadline on it.
#include "flash/core/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <optional>

#include "flash/core/deadline.hpp"
#include "flash/core/errors.hpp"

namespace imprint::core {
namespace {

constexpr std::size_t kKeptOutput = 65536;

// The formatters live in sbin, which is not in every user's PATH.
std::optional<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string folders = std::string(path != nullptr ? path : "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin";
  for (std::size_t start = 0; start <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', start), folders.size());
    const std::string candidate = folders.substr(start, end - start) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    start = end + 1;
  }
  return std::nullopt;
}

// Reads until the other end closes; false when the deadline passed first.
bool collect(int fd, const Deadline& deadline, std::string& output) {
  std::array<char, 4096> buffer{};
  for (;;) {
    pollfd poll_fd{fd, POLLIN, 0};
    const int ready = poll(&poll_fd, 1, static_cast<int>(deadline.left().count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const auto got = read(fd, buffer.data(), buffer.size());
    if (got <= 0) return true;
    output.append(buffer.data(), static_cast<std::size_t>(got));
    if (output.size() > 2 * kKeptOutput) output.erase(0, output.size() - kKeptOutput);
  }
}

}  // namespace

Result<std::string> SystemProcessRunner::run(const ProcessRequest& request) {
  const std::string& name = request.arguments.at(0);
  const auto program = find_program(name);
  if (!program) return fail("process.not-found").with("program", name);

  std::array<int, 2> pipe_fds{};
  if (pipe2(pipe_fds.data(), O_CLOEXEC) != 0) return fail_errno(errno, "process.failed", name);

  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  for (const auto& [key, value] : request.environment) environment.push_back(key + "=" + value);
  std::vector<char*> envp;
  for (auto& entry : environment) envp.push_back(entry.data());
  envp.push_back(nullptr);
  std::vector<std::string> arguments = request.arguments;
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = 0;
  const int spawned = posix_spawn(&pid, program->c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_fds[1]);
  if (spawned != 0) {
    close(pipe_fds[0]);
    return fail_errno(spawned, "process.failed", name);
  }

  std::string output;
  const bool finished = collect(pipe_fds[0], Deadline::after(request.limit), output);
  close(pipe_fds[0]);
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
