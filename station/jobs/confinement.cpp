// SPDX-License-Identifier: GPL-3.0-or-later
// Landlock's rules and the filter of system calls, by the kernel's own interface: a few dozen lines do not need a
// library.
#include "station/jobs/confinement.hpp"

#include <asm/sockios.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <initializer_list>
#include <system_error>

#include "flash/core/errors.hpp"
#include "station/jobs/errors.hpp"

namespace imprint::station::jobs {
namespace {

namespace fs = std::filesystem;

// The kernel's numbers, since Debian 12's headers know version 2 only and its users run later kernels, too.
namespace landlock {
constexpr std::uint64_t kExecute = 1U << 0;
constexpr std::uint64_t kWriteFile = 1U << 1;
constexpr std::uint64_t kReadFile = 1U << 2;
constexpr std::uint64_t kReadDir = 1U << 3;
constexpr std::uint64_t kMakeChar = 1U << 6;
constexpr std::uint64_t kMakeSocket = 1U << 9;
constexpr std::uint64_t kMakeFifo = 1U << 10;
constexpr std::uint64_t kMakeBlock = 1U << 11;
constexpr std::uint64_t kRefer = 1U << 13;        // version 2
constexpr std::uint64_t kTruncate = 1U << 14;     // version 3
constexpr std::uint64_t kIoctlDevice = 1U << 15;  // version 5
constexpr std::uint64_t kVersion1 = (1U << 13) - 1;
constexpr std::uint64_t kNetwork = 3;  // version 4: bind and connect of TCP
constexpr std::uint64_t kScopes = 3;   // version 6: abstract sockets, signals
constexpr std::uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;

struct RulesetAttributes {
  std::uint64_t files;
  std::uint64_t network;
  std::uint64_t scopes;
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t access;
  std::int32_t parent;
};
constexpr int kPathBeneath = 1;
constexpr unsigned kAskVersion = 1;
constexpr long kCreate = 444;
constexpr long kAddRule = 445;
}  // namespace landlock

std::uint64_t handled_by(int version) {
  std::uint64_t files = landlock::kVersion1;
  if (version >= 2) files |= landlock::kRefer;
  if (version >= 3) files |= landlock::kTruncate;
  if (version >= 5) files |= landlock::kIoctlDevice;
  return files;
}

core::Failure unstartable(int error, std::string_view what) {
  return fail("job.process-unstartable", std::generic_category().message(error)).with("what", what);
}

// A link that somebody puts there at the last moment must not open another file to the process.
int open_path(const fs::path& path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const auto fd = ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(fd);
  return ::open(path.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW);
}

core::Status allow_fd(int ruleset, int fd, std::uint64_t access, const fs::path& path) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return core::fail_errno(errno, "io.read-failed", path.native());
  if (!S_ISDIR(info.st_mode)) access &= landlock::kOfFiles;
  const landlock::PathBeneath rule{access, fd};
  if (::syscall(landlock::kAddRule, ruleset, landlock::kPathBeneath, &rule, 0) != 0)
    return unstartable(errno, path.native());
  return {};
}

core::Status allow(int ruleset, const fs::path& path, std::uint64_t access) {
  const int fd = open_path(path);
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", path.native());
  auto status = allow_fd(ruleset, fd, access, path);
  ::close(fd);
  return status;
}

core::Status allow_all(int ruleset, const ConfinedPaths& paths, std::uint64_t handled) {
  constexpr std::uint64_t kRead = landlock::kReadFile | landlock::kReadDir;
  for (const fs::path& input : paths.inputs) IMPRINT_CHECK(allow(ruleset, input, kRead));
  for (const fs::path& program : paths.programs) {
    std::error_code error;
    const fs::path there = fs::canonical(program, error);  // /lib is a link on Debian
    if (!error) IMPRINT_CHECK(allow(ruleset, there, kRead | landlock::kExecute));
  }
  const std::uint64_t never = landlock::kExecute | landlock::kMakeChar | landlock::kMakeBlock | landlock::kMakeSocket |
                              landlock::kMakeFifo | landlock::kIoctlDevice;
  IMPRINT_CHECK(allow(ruleset, paths.folder, handled & ~never));
  return allow(ruleset, "/dev/null", landlock::kReadFile | landlock::kWriteFile);
}

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the filter of system calls has to know this machine"
#endif

constexpr int kDenied[] = {
    SYS_socket,
    SYS_socketpair,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,  // and no way around them
    SYS_kill,
    SYS_tkill,

    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_kcmp,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_bpf,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_unshare,
    SYS_setns,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_syslog,
    SYS_acct,
    SYS_quotactl,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_fanotify_init,
    SYS_personality,
    SYS_mknodat,
    SYS_setpriority,
    SYS_ioprio_set,
    SYS_sched_setaffinity,
    SYS_sched_setscheduler,
    SYS_sched_setparam,
    SYS_sched_setattr,
    SYS_migrate_pages,
    SYS_move_pages,
    SYS_mq_open,
    // Memory that no limit counts, and objects that stay when the process is gone; other programs of the station's user
    // may have some, too.
    SYS_shmget,
    SYS_shmat,
    SYS_shmctl,
    SYS_msgget,
    SYS_msgsnd,
    SYS_msgrcv,
    SYS_msgctl,
    SYS_semget,
    SYS_semop,
    SYS_semtimedop,
    SYS_semctl,
    SYS_memfd_secret,
    // Landlock does not cover these: a file of the station could be made unreadable, or look as if it had been changed.
    SYS_truncate,
    SYS_fchmodat,
    SYS_fchmod,
    SYS_fchownat,
    SYS_fchown,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
#if defined(__x86_64__)
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_mknod,
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_kexec_file_load,
#endif
};

// Later kernels have calls that do what is denied above by another number (fchmodat2, setxattrat, file_setattr ...).
// Machines share the numbers from here on. The C library takes ENOSYS for an older kernel and does without.
constexpr std::uint32_t kFirstNewerCall = 451;  // Linux 6.5

constexpr std::uint32_t kNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr std::uint32_t kSetSignal = 10;   // F_SETSIG
constexpr std::uint32_t kSetOwnerEx = 15;  // F_SETOWN_EX
constexpr std::uint32_t kSetLease = 1024;  // F_SETLEASE
constexpr std::uint32_t kNotify = 1026;    // F_NOTIFY

class FilterBuilder {
 public:
  void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
  void load_argument(unsigned index) { load(offsetof(seccomp_data, args) + std::size_t{8} * index); }  // its low half
  void answer(std::uint32_t what) { add(BPF_RET | BPF_K, what); }
  void answer_error(std::uint32_t error) { answer(SECCOMP_RET_ERRNO | error); }
  // The next `count` statements only where the loaded word is `value`.
  void where_equal(std::uint32_t value, std::uint8_t count) { add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count); }
  void where_any_bit(std::uint32_t bits, std::uint8_t count) { add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, count); }
  void where_at_least(std::uint32_t value, std::uint8_t count) { add(BPF_JMP | BPF_JGE | BPF_K, value, 0, count); }
  void unless_equal(std::uint32_t value, std::uint8_t count) { add(BPF_JMP | BPF_JEQ | BPF_K, value, count, 0); }
  void keep_bits(std::uint32_t bits) { add(BPF_ALU | BPF_AND | BPF_K, bits); }
  [[nodiscard]] std::vector<sock_filter> take() { return std::move(program_); }

 private:
  void add(unsigned code, std::uint32_t value, std::uint8_t yes = 0, std::uint8_t no = 0) {
    program_.push_back({static_cast<std::uint16_t>(code), yes, no, value});
  }
  std::vector<sock_filter> program_;
};

// Truncating through a descriptor that is open for reading only escapes Landlock before its version 3.
void deny_truncating_reads(FilterBuilder& filter, int call, unsigned flags_argument) {
  filter.where_equal(static_cast<std::uint32_t>(call), 7);
  filter.load_argument(flags_argument);
  filter.keep_bits(O_TRUNC | O_ACCMODE);
  filter.where_equal(O_TRUNC, 1);
  filter.answer_error(EACCES);
  filter.where_equal(O_TRUNC | O_ACCMODE, 1);
  filter.answer_error(EACCES);
  filter.answer(SECCOMP_RET_ALLOW);
}

void deny_values(FilterBuilder& filter, int call, unsigned argument, std::initializer_list<std::uint32_t> values) {
  filter.where_equal(static_cast<std::uint32_t>(call), static_cast<std::uint8_t>(2 * values.size() + 2));
  filter.load_argument(argument);
  for (const std::uint32_t value : values) {
    filter.where_equal(value, 1);
    filter.answer_error(EPERM);
  }
  filter.answer(SECCOMP_RET_ALLOW);
}

}  // namespace

int landlock_version() {
  const long version = ::syscall(landlock::kCreate, nullptr, 0, landlock::kAskVersion);
  if (version > 0) return static_cast<int>(version);
  // A filter that this process was put under answers EPERM, say: no reason to run a job without Landlock.
  return version < 0 && errno != ENOSYS && errno != EOPNOTSUPP ? -errno : 0;
}

Ruleset::~Ruleset() {
  if (fd_ >= 0) ::close(fd_);
}

core::Result<Ruleset> Ruleset::make(const ConfinedPaths& paths) {
  const int version = landlock_version();
  if (version < 0) return unstartable(-version, "Landlock");
  if (version == 0) return Ruleset(-1);
  const std::uint64_t handled = handled_by(version);
  const landlock::RulesetAttributes attributes{handled, version >= 4 ? landlock::kNetwork : 0,
                                               version >= 6 ? landlock::kScopes : 0};
  // A kernel refuses what it does not know unless it is zero.
  const auto made = ::syscall(landlock::kCreate, &attributes, sizeof attributes, 0);
  if (made < 0) return unstartable(errno, "Landlock");
  // Above the numbers that the process is given: its pipes would take the ruleset's place before it counts.
  Ruleset ruleset(::fcntl(static_cast<int>(made), F_DUPFD_CLOEXEC, 10));
  ::close(static_cast<int>(made));
  if (ruleset.fd() < 0) return unstartable(errno, "Landlock");
  IMPRINT_CHECK(allow_all(ruleset.fd(), paths, handled));
  return ruleset;
}

std::vector<sock_filter> system_call_filter() {
  FilterBuilder filter;
  filter.load(offsetof(seccomp_data, arch));
  filter.unless_equal(kArchitecture, 1);
  filter.answer(SECCOMP_RET_KILL_PROCESS);
  filter.load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  filter.where_at_least(0x40000000, 1);  // the calls of x32 have numbers of their own
  filter.answer(SECCOMP_RET_KILL_PROCESS);
#endif
  filter.where_at_least(kFirstNewerCall, 1);
  filter.answer_error(ENOSYS);
  for (const int call : kDenied) {
    filter.where_equal(static_cast<std::uint32_t>(call), 1);
    filter.answer_error(EPERM);
  }
  // Whose arguments stand in memory cannot be judged: callers fall back to the calls before them.
  for (const int call : {SYS_clone3, SYS_openat2}) {
    filter.where_equal(static_cast<std::uint32_t>(call), 1);
    filter.answer_error(ENOSYS);
  }
  for (const int call : {SYS_setpgid, SYS_setsid}) {
    filter.where_equal(static_cast<std::uint32_t>(call), 1);
    filter.answer_error(0);
  }
  filter.where_equal(SYS_clone, 4);
  filter.load_argument(0);
  filter.where_any_bit(kNamespaces, 1);
  filter.answer_error(EPERM);
  filter.answer(SECCOMP_RET_ALLOW);
  filter.where_equal(SYS_prlimit64, 4);  // of itself only
  filter.load_argument(0);
  filter.where_equal(0, 1);
  filter.answer(SECCOMP_RET_ALLOW);
  filter.answer_error(EPERM);
  filter.where_equal(SYS_tgkill, 4);  // its own threads only
  filter.load_argument(0);
  filter.where_equal(kOwnProcess, 1);
  filter.answer(SECCOMP_RET_ALLOW);
  filter.answer_error(EPERM);
  // The kernel would send signals in its name; and whoever opens a file with a lease on it waits for the lease's
  // holder.
  deny_values(filter, SYS_fcntl, 1, {F_SETOWN, kSetOwnerEx, kSetSignal, kSetLease, kNotify});
  deny_values(filter, SYS_ioctl, 1, {FIOSETOWN, SIOCSPGRP, FIOASYNC, TIOCSTI});
  deny_truncating_reads(filter, SYS_openat, 2);
#if defined(__x86_64__)
  deny_truncating_reads(filter, SYS_open, 1);
#endif
  filter.answer(SECCOMP_RET_ALLOW);
  return filter.take();
}

std::string confinement_text() {
  const int version = landlock_version();
  if (version < 0) return "NO jobs: " + std::generic_category().message(-version) + " when asking for Landlock";
  return version > 0 ? fmt::format("Landlock version {}, system call filter, limits", version)
                     : std::string("NO Landlock on this kernel: system call filter and limits only");
}

}  // namespace imprint::station::jobs
