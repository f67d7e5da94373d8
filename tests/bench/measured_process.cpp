// SPDX-License-Identifier: GPL-3.0-or-later
// fork, exec and looks into /proc.
#include "measured_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace imprint::bench {
namespace {

[[noreturn]] void become(const MeasuredProcess& process, std::vector<char*>& arguments, int errors) {
  if (process.core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(*process.core, &cores);
    if (sched_setaffinity(0, sizeof(cores), &cores) != 0) _exit(126);
  }
  for (const auto& [name, value] : process.environment) setenv(name.c_str(), value.c_str(), 1);
  const int nowhere = open("/dev/null", O_RDWR);
  dup2(nowhere, 0);
  dup2(nowhere, 1);
  dup2(errors, 2);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

void look_at_memory(pid_t child, Measurement& measurement) {
  std::ifstream status("/proc/" + std::to_string(child) + "/status");
  for (std::string line; std::getline(status, line);) {
    const auto mebibytes = [&] { return std::strtod(line.c_str() + line.find(':') + 1, nullptr) / 1024; };  // in kB
    if (line.starts_with("VmHWM:"))
      measurement.peak_resident_MiB = std::max(measurement.peak_resident_MiB, mebibytes());
    if (line.starts_with("RssAnon:"))
      measurement.peak_anonymous_MiB = std::max(measurement.peak_anonymous_MiB, mebibytes());
  }
}

// Until the child has ended.
void watch_memory(pid_t child, Measurement& measurement) {
  const auto descriptor = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  pollfd end{.fd = descriptor, .events = POLLIN, .revents = 0};
  while (descriptor >= 0 && poll(&end, 1, 1) == 0) look_at_memory(child, measurement);
  close(descriptor);
}

void print_end(int errors) {
  std::array<char, 2000> text{};
  const off_t size = lseek(errors, 0, SEEK_END);
  const ssize_t got =
      pread(errors, text.data(), text.size(), std::max<off_t>(0, size - static_cast<off_t>(text.size())));
  if (got > 0) std::fwrite(text.data(), 1, static_cast<std::size_t>(got), stderr);
}

}  // namespace

std::optional<Measurement> run_measured(const MeasuredProcess& process) {
  std::vector<std::string> copies = process.arguments;
  std::vector<char*> arguments;
  arguments.reserve(copies.size() + 1);
  for (std::string& argument : copies) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const int errors = memfd_create("standard error", MFD_CLOEXEC);  // progress; shown only where it goes wrong
  std::array<int, 2> started{-1, -1};  // its other end closes when the program has taken the place of our copy
  if (pipe2(started.data(), O_CLOEXEC) != 0) return std::nullopt;
  Measurement measurement;
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) become(process, arguments, errors);
  close(started[1]);
  char nothing = 0;
  while (read(started[0], &nothing, 1) < 0 && errno == EINTR) {
  }
  close(started[0]);
  if (child > 0 && process.watch_memory) watch_memory(child, measurement);
  int status = -1;
  if (child > 0) waitpid(child, &status, 0);
  measurement.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool good = child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!good) print_end(errors);
  close(errors);
  if (good) return measurement;
  std::fprintf(stderr, "bench: %s did not run or did not succeed (status %d)\n", process.arguments[0].c_str(),
               WIFEXITED(status) ? WEXITSTATUS(status) : status);
  return std::nullopt;
}

}  // namespace imprint::bench
