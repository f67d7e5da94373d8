// SPDX-License-Identifier: GPL-3.0-or-later
// Fork, confine, exec; then its three pipes until it has ended.
#include "station/jobs/confined_process.hpp"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

#include "flash/core/deadline.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/jobs/confinement.hpp"
#include "station/jobs/errors.hpp"
#include "station/jobs/job_tree.hpp"

namespace imprint::station::jobs {
namespace {

using std::chrono::milliseconds;

constexpr int kFirstOwn = 10;  // ours lie above those that the child gets
constexpr milliseconds kLook{50};
constexpr milliseconds kMeasure{500};
constexpr milliseconds kMeasureRoom{20};
constexpr milliseconds kGroupPatience{1000};

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  [[nodiscard]] int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

core::Failure unstartable(int error, std::string_view what) {
  return fail("job.process-unstartable", std::generic_category().message(error)).with("what", what);
}

core::Result<Descriptor> above(int fd) {
  const Descriptor low(fd);
  Descriptor high(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstOwn));
  if (high.get() < 0) return unstartable(errno, "descriptor");
  return high;
}

struct Pipe {
  Descriptor read;
  Descriptor write;
};

core::Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return unstartable(errno, "pipe");
  Descriptor write(ends[1]);
  IMPRINT_TRY(auto high_read, above(ends[0]));
  IMPRINT_TRY(auto high_write, above(::fcntl(write.get(), F_DUPFD_CLOEXEC, kFirstOwn)));
  ::fcntl(high_read.get(), F_SETFL, O_NONBLOCK);
  return Pipe{std::move(high_read), std::move(high_write)};
}

// Everything that the child needs, in memory before the fork.
struct ChildPlan {
  std::string program;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::string folder;
  std::vector<sock_filter> filter;
  std::array<std::pair<int, rlimit>, 6> limits{};
  int ruleset = -1;
  int null = -1;
  int output = -1;
  int errors = -1;
  int progress = -1;
  int trouble = -1;
  pid_t parent = 0;
};

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Processes and threads of the station's user, all of which its limit counts. The station itself may be hidden from its
// user as the owner (it is not dumpable), so it is counted by its own name.
std::uint64_t tasks_of_user() {
  const auto threads = [](const std::string& process) {
    struct stat info{};
    return ::stat(("/proc/" + process + "/task").c_str(), &info) == 0 && info.st_nlink > 2 ? info.st_nlink - 2 : 0;
  };
  const std::string own = std::to_string(::getpid());
  std::uint64_t tasks = threads(own);
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    struct stat info{};
    if (name.find_first_not_of("0123456789") != std::string::npos || name == own) continue;
    if (::stat(entry->path().c_str(), &info) == 0 && info.st_uid == ::getuid()) tasks += threads(name);
  }
  return tasks;
}

rlimit both(std::uint64_t value) { return {value == 0 ? RLIM_INFINITY : value, value == 0 ? RLIM_INFINITY : value}; }

void fill_plan(ChildPlan& plan, const ConfinedRequest& request) {
  plan.program = request.program.native();
  plan.arguments = {plan.program};
  plan.arguments.insert(plan.arguments.end(), request.arguments.begin(), request.arguments.end());
  plan.folder = request.folder.native();
  plan.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=" + plan.folder,
                      "TMPDIR=" + plan.folder};
  plan.argv = pointers_to(plan.arguments);
  plan.envp = pointers_to(plan.environment);
  plan.filter = system_call_filter();
  const ProcessLimits& limits = request.limits;
  plan.limits = {{{RLIMIT_AS, both(limits.memory_bytes)},
                  {RLIMIT_FSIZE, both(limits.file_bytes)},
                  {RLIMIT_NPROC, both(limits.processes == 0 ? 0 : limits.processes + tasks_of_user())},
                  {RLIMIT_NOFILE, both(limits.descriptors)},
                  {RLIMIT_CPU, both(static_cast<std::uint64_t>(limits.cpu.count()))},
                  {RLIMIT_CORE, {0, 0}}}};
  plan.parent = ::getpid();
}

// In the child, where only what is safe in a signal handler may be called: its other threads are gone, with their
// locks.
[[noreturn]] void give_up(const ChildPlan& plan, const char* step) {
  const int error = errno;
  static_cast<void>(!::write(plan.trouble, &error, sizeof error));
  static_cast<void>(!::write(plan.trouble, step, std::strlen(step)));
  ::_exit(127);
}

void stand_alone(const ChildPlan& plan) {
  ::setpgid(0, 0);
  // The station that is killed takes its jobs with it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != plan.parent) give_up(plan, "parent");
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::dup2(plan.null, 0) < 0 || ::dup2(plan.output, 1) < 0 || ::dup2(plan.errors, 2) < 0 ||
      ::dup2(plan.progress, kProgressDescriptor) < 0)
    give_up(plan, "descriptors");
  // The station must not be what the kernel ends first when memory is short.
  if (const int score = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); score >= 0) {
    static_cast<void>(!::write(score, "500", 3));
    ::close(score);
  }
  ::umask(027);
  if (::chdir(plan.folder.c_str()) != 0) give_up(plan, "folder");
}

void confine(ChildPlan& plan) {
  for (sock_filter& statement : plan.filter) {
    if (statement.k == kOwnProcess) statement.k = static_cast<std::uint32_t>(::getpid());
  }
  for (const auto& [resource, limit] : plan.limits) {
    if (::syscall(SYS_prlimit64, 0, resource, &limit, nullptr) != 0) give_up(plan, "limits");
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(plan, "no new privileges");
  constexpr long kRestrictSelf = 446;
  if (plan.ruleset >= 0 && ::syscall(kRestrictSelf, plan.ruleset, 0) != 0) give_up(plan, "Landlock");
  constexpr unsigned kCloseOnExec = 4;  // the pipe for trouble is needed until then
  constexpr long kCloseRange = 436;
  if (::syscall(kCloseRange, kProgressDescriptor + 1, ~0U, kCloseOnExec) != 0) give_up(plan, "closing descriptors");
  const sock_fprog program{static_cast<unsigned short>(plan.filter.size()), plan.filter.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) give_up(plan, "system call filter");
}

[[noreturn]] void become(ChildPlan& plan) {
  stand_alone(plan);
  confine(plan);
  ::execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
  give_up(plan, "exec");
}

// Also what files take that have no name any more, which no look into the folder sees.
core::Status leaves_room(const ConfinedRequest& request) {
  if (request.limits.reserve_bytes == 0) return {};
  std::error_code error;
  const auto space = std::filesystem::space(request.folder, error);
  if (error) return core::fail_errno(error.value(), "io.read-failed", request.folder.native());
  if (space.available >= request.limits.reserve_bytes) return {};
  return fail("job.disk-reserve").with("free", space.available).with("reserve", request.limits.reserve_bytes);
}

// The parent's side of one process. One thread.
class Running {
 public:
  Running(const ConfinedRequest& request, const std::function<void(const JobProgress&)>& progress)
      : request_(request), progress_(progress), deadline_(core::Deadline::after(request.limits.wall)) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { finish(); }

  core::Status start();
  core::Result<ConfinedEnd> wait(const std::stop_token& stop);

 private:
  core::Status watch(const std::stop_token& stop);
  core::Status read_all();
  core::Status read_output();
  core::Status read_progress();
  void read_errors();
  core::Status look(const std::stop_token& stop);
  [[nodiscard]] bool ended() const;
  void finish();
  [[nodiscard]] core::Error with_last_words(core::Error error) const;

  const ConfinedRequest& request_;
  const std::function<void(const JobProgress&)>& progress_;
  core::Deadline deadline_;
  core::Deadline measure_ = core::Deadline::after(kMeasure);
  core::Deadline measure_room_ = core::Deadline::after(kMeasureRoom);
  Pipe output_;
  Pipe errors_;
  Pipe told_;
  ProgressReader reader_;
  ConfinedEnd end_;
  pid_t pid_ = -1;
  int status_ = 0;
};

core::Status Running::start() {
  ConfinedPaths paths;
  paths.inputs = request_.inputs;
  paths.programs = request_.programs;
  for (const char* const system : {"/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/alternatives",
                                   "/etc/localtime", "/etc/ssl/openssl.cnf", "/dev/urandom", "/dev/zero"})
    paths.programs.emplace_back(system);
  paths.programs.push_back(request_.program);
  paths.folder = request_.folder;
  IMPRINT_TRY(const auto ruleset, Ruleset::make(paths));
  IMPRINT_TRY(output_, make_pipe());
  IMPRINT_TRY(errors_, make_pipe());
  IMPRINT_TRY(told_, make_pipe());
  IMPRINT_TRY(Pipe trouble, make_pipe());
  IMPRINT_TRY(const Descriptor null, above(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
  ChildPlan plan;
  fill_plan(plan, request_);
  plan.ruleset = ruleset.fd();
  plan.null = null.get();
  plan.output = output_.write.get();
  plan.errors = errors_.write.get();
  plan.progress = told_.write.get();
  plan.trouble = trouble.write.get();
  // It must not run a handler of ours before its signals are its own.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_ = ::fork();
  if (pid_ == 0) become(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid_ < 0) return unstartable(error, "fork");
  ::setpgid(pid_, pid_);
  for (Pipe* const pipe : {&output_, &errors_, &told_, &trouble}) pipe->write.reset();
  // It ends with exec, which closes it.
  struct {
    int error = 0;
    std::array<char, 60> step{};
  } said;
  ::fcntl(trouble.read.get(), F_SETFL, 0);
  const auto got = ::read(trouble.read.get(), &said, sizeof said - 1);
  if (got < static_cast<ssize_t>(sizeof said.error)) return {};
  // The step comes in a write of its own.
  static_cast<void>(!::read(trouble.read.get(), said.step.data(),
                            got > static_cast<ssize_t>(sizeof said.error) ? 0 : said.step.size() - 1));
  return unstartable(said.error, said.step.data());
}

bool Running::ended() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
}

core::Result<ConfinedEnd> Running::wait(const std::stop_token& stop) {
  const auto watched = watch(stop);
  finish();
  if (!watched) return std::unexpected(with_last_words(watched.error()));
  // What it said last may still lie in the pipes.
  if (const auto rest = read_all(); !rest) return std::unexpected(with_last_words(rest.error()));
  if (WIFSIGNALED(status_)) {
    const int signal = WTERMSIG(status_);
    const char* const name = ::sigabbrev_np(signal);
    const char* const meaning = signal == SIGXCPU   ? "its CPU time was over"
                                : signal == SIGXFSZ ? "a file became larger than it may"
                                                    : "";
    return std::unexpected(
        with_last_words(fail("job.process-died", meaning).with("signal", name != nullptr ? name : "unknown").error()));
  }
  end_.status = WEXITSTATUS(status_);
  end_.errors = core::printable(end_.errors);
  return std::move(end_);
}

core::Status Running::watch(const std::stop_token& stop) {
  const Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const std::stop_callback on_stop(stop, [&wake] { static_cast<void>(::eventfd_write(wake.get(), 1)); });
  while (!ended()) {
    IMPRINT_CHECK(look(stop));
    std::array<pollfd, 4> waits{{{output_.read.get(), POLLIN, 0},
                                 {errors_.read.get(), POLLIN, 0},
                                 {told_.read.get(), POLLIN, 0},
                                 {wake.get(), POLLIN, 0}}};
    const bool open = output_.read.get() >= 0 || errors_.read.get() >= 0 || told_.read.get() >= 0;
    const auto longest = std::min(deadline_.left(), open ? kLook : milliseconds(5));
    static_cast<void>(::poll(waits.data(), waits.size(), static_cast<int>(longest.count())));
    IMPRINT_CHECK(read_all());
  }
  return {};
}

core::Status Running::look(const std::stop_token& stop) {
  if (stop.stop_requested()) return core::fail("job.cancelled");
  if (deadline_.passed()) return fail("job.out-of-time").with("limit_ms", request_.limits.wall.count());
  if (measure_room_.passed()) {
    IMPRINT_CHECK(leaves_room(request_));
    measure_room_ = core::Deadline::after(kMeasureRoom);
  }
  if (!measure_.passed()) return {};
  IMPRINT_TRY(const std::uint64_t bytes, bytes_in(request_.folder));
  measure_ = core::Deadline::after(kMeasure);
  if (bytes > request_.limits.folder_bytes)
    return fail("job.output-too-large", "its folder").with("limit", request_.limits.folder_bytes);
  return {};
}

// One piece at a time: a process that writes without end does not keep us from looking at the clock.
core::Status Running::read_all() {
  read_errors();
  IMPRINT_CHECK(read_output());
  return read_progress();
}

// Bytes that were there; closes a pipe at its end.
std::string_view read_piece(Descriptor& from, std::array<char, 65536>& buffer) {
  if (from.get() < 0) return {};
  const auto got = ::read(from.get(), buffer.data(), buffer.size());
  if (got > 0) return {buffer.data(), static_cast<std::size_t>(got)};
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) from.reset();
  return {};
}

core::Status Running::read_output() {
  std::array<char, 65536> buffer;
  const std::string_view piece = read_piece(output_.read, buffer);
  if (end_.output.size() + piece.size() > kMostOutput)
    return fail("job.output-too-large", "standard output").with("limit", kMostOutput);
  end_.output += piece;
  return {};
}

void Running::read_errors() {
  std::array<char, 65536> buffer;
  end_.errors += read_piece(errors_.read, buffer);
  if (end_.errors.size() > kKeptErrors) end_.errors.erase(0, end_.errors.size() - kKeptErrors);
}

core::Status Running::read_progress() {
  std::array<char, 65536> buffer;
  IMPRINT_TRY(const auto newest, reader_.feed(read_piece(told_.read, buffer)));
  if (newest && progress_) progress_(*newest);
  return {};
}

// The group before its leader is reaped: until then nobody else can have its number.
void Running::finish() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  const auto deadline = core::Deadline::after(kGroupPatience);
  while (::kill(-pid_, SIGKILL) == 0 && !deadline.passed()) ::poll(nullptr, 0, 2);
  pid_ = -1;
}

core::Error Running::with_last_words(core::Error error) const {
  if (!end_.errors.empty()) error.add_context("last_words", core::printable(end_.errors));
  return error;
}

}  // namespace

core::Result<ConfinedEnd> run_confined(const ConfinedRequest& request, std::stop_token stop,
                                       const std::function<void(const JobProgress&)>& progress) {
  if (stop.stop_requested()) return core::fail("job.cancelled");
  IMPRINT_CHECK(leaves_room(request));
  Running running(request, progress);
  IMPRINT_CHECK(running.start());
  return running.wait(stop);
}

}  // namespace imprint::station::jobs
