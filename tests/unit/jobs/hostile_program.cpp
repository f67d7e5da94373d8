// SPDX-License-Identifier: GPL-3.0-or-later
// What a job's process would do if an image had taken it over: tries one thing and says how it went.
#include <fcntl.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

int said(bool done) {
  std::printf("%s\n", done ? "done" : std::strerror(errno));
  return 0;
}

int flood(const char* text) {
  for (;;) {
    if (::write(3, text, std::strlen(text)) < 0 && errno != EAGAIN) return 1;
  }
}

int write_without_end(const char* path) {
  const int fd = ::open(path, O_CREAT | O_WRONLY, 0600);
  const std::vector<char> block(1U << 20, 'x');
  while (::write(fd, block.data(), block.size()) > 0) {
  }
  return said(false);
}

// Until the disk is full, and stays: no name shows how much that was.
int fill_without_a_name(const char* path) {
  const int fd = ::open(path, O_CREAT | O_WRONLY, 0600);
  if (fd < 0 || ::unlink(path) != 0) return said(false);
  const std::vector<char> block(1U << 20, 'x');
  while (::write(fd, block.data(), block.size()) > 0) {
  }
  for (;;) ::pause();
}

int hang(bool with_child) {
  // A group of its own would escape the one that is killed.
  if (with_child && ::fork() == 0) ::setpgid(0, 0);
  std::ofstream(std::to_string(::getpid())) << "here";
  for (;;) ::pause();
}

int spin() {
  volatile unsigned turns = 0;
  while (turns == 0) {
  }
  return 0;
}

int take_memory() {
  for (int i = 0; i < 4096; ++i) {
    void* const more = ::mmap(nullptr, 16U << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (more == MAP_FAILED) return said(false);
    std::memset(more, 1, 16U << 20);
  }
  return said(true);
}

int show_process_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NPROC, &limit) != 0) return said(false);
  std::printf("%llu\n", static_cast<unsigned long long>(limit.rlim_cur));
  return 0;
}

int show_surroundings(char** environment) {
  for (char** entry = environment; *entry != nullptr; ++entry) std::printf("%s\n", *entry);
  for (int fd = 0; fd < 256; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) std::printf("fd %d\n", fd);
  }
  return 0;
}

// What is shared by number, and where it goes on when the process is gone; each answer on a line.
int share() {
  said(::syscall(SYS_shmget, IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0);
  said(::syscall(SYS_shmat, 0, nullptr, 0) >= 0);
  said(::syscall(SYS_shmctl, 0, IPC_RMID, nullptr) >= 0);
  said(::syscall(SYS_msgget, IPC_PRIVATE, IPC_CREAT | 0600) >= 0);
  said(::syscall(SYS_semget, IPC_PRIVATE, 1, IPC_CREAT | 0600) >= 0);
  return said(::syscall(SYS_memfd_secret, 0) >= 0);
}

}  // namespace

int main(int argc, char** argv, char** environment) {
  if (argc < 3) return 2;
  const std::string what = argv[1];
  const char* const subject = argv[2];
  if (what == "read") return said(::open(subject, O_RDONLY) >= 0);
  if (what == "write") return said(::open(subject, O_CREAT | O_WRONLY, 0600) >= 0);
  if (what == "truncate") return said(::truncate(subject, 0) == 0);
  if (what == "truncate-reading") return said(::open(subject, O_RDONLY | O_TRUNC) >= 0);
  if (what == "chmod") return said(::chmod(subject, 0) == 0);
  if (what == "newer-call") return said(::syscall(std::atoi(subject), -1, 0, 0, 0, 0, 0) == 0);
  if (what == "fchmodat2") return said(::syscall(452, AT_FDCWD, subject, 0, 0) == 0);
  if (what == "process-limit") return show_process_limit();
  if (what == "unlink") return said(::unlink(subject) == 0);
  if (what == "kill") return said(::kill(std::atoi(subject), 0) == 0);
  if (what == "socket") return said(::socket(std::atoi(subject), SOCK_STREAM, 0) >= 0);
  if (what == "ptrace") return said(::ptrace(PTRACE_ATTACH, std::atoi(subject), nullptr, nullptr) == 0);
  if (what == "own-signals") return said(::fcntl(1, F_SETOWN, std::atoi(subject)) == 0);
  if (what == "lease") return said(::fcntl(::open(subject, O_RDONLY), F_SETLEASE, F_RDLCK) == 0);
  if (what == "watch-folder") return said(::fcntl(::open(subject, O_RDONLY), F_NOTIFY, DN_CREATE) == 0);
  if (what == "share") return share();
  if (what == "memory") return take_memory();
  if (what == "spin") return spin();
  if (what == "hang") return hang(false);
  if (what == "hang-with-child") return hang(true);
  if (what == "fill-without-a-name") return fill_without_a_name(subject);
  if (what == "fill") return write_without_end(subject);
  if (what == "tell") return flood(subject);
  if (what == "tell-once") return ::write(3, subject, std::strlen(subject)) > 0 ? 0 : 1;
  if (what == "talk")
    for (;;) std::puts(subject);
  if (what == "complain") {
    for (int i = 0; i < 10'000; ++i) std::fprintf(stderr, "line %d\n", i);
    return 7;
  }
  if (what == "die") return ::raise(SIGSEGV);
  if (what == "crash") *reinterpret_cast<volatile int*>(std::strlen(subject)) = 1;
  if (what == "surroundings") return show_surroundings(environment);
  return 2;
}
