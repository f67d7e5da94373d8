// SPDX-License-Identifier: GPL-3.0-or-later
// Binding a Unix socket without stepping on another daemon's.
#include "station/service/listener.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "station/service/errors.hpp"

namespace imprint::service {
namespace {

constexpr int kBacklog = 64;

core::Failure failed(const char* what, int error, const std::filesystem::path& path) {
  return fail("service.socket-failed", std::string(what) + ": " + std::strerror(error)).with("socket", path.native());
}

class Socket {
 public:
  Socket() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

bool answers(const sockaddr_un& address) {
  const Socket probe;
  return ::connect(probe.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

std::optional<gid_t> group_id(const std::string& name) {
  std::array<char, 4096> buffer{};
  group entry{};
  group* found = nullptr;
  if (name.empty() || ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return entry.gr_gid;
}

}  // namespace

core::Result<Listener> Listener::bind(const std::filesystem::path& path, const std::string& group) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path)
    return fail("service.socket-failed", "the path is too long for a socket").with("socket", path.native());
  std::memcpy(&address.sun_path[0], path.c_str(), path.native().size());
  Socket socket;
  if (socket.fd() < 0) return failed("socket", errno, path);
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode))
      return fail("service.socket-failed", "something else stands there").with("socket", path.native());
    if (answers(address)) return fail("service.socket-in-use").with("socket", path.native());
    if (::unlink(path.c_str()) != 0) return failed("unlink", errno, path);
  }
  // Nobody may connect before the mode is right.
  const mode_t former = ::umask(0177);
  const int bound = ::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(former);
  if (bound != 0) return failed("bind", error, path);
  Listener listener(socket.release(), path);
  // Who starts it by hand may not be able to give it away; then it is for that user alone, which is safe.
  if (const auto gid = group_id(group); gid && ::chown(path.c_str(), static_cast<uid_t>(-1), *gid) == 0) {
    if (::chmod(path.c_str(), 0660) != 0) return failed("chmod", errno, path);
  }
  if (::listen(listener.fd(), kBacklog) != 0) return failed("listen", errno, path);
  return listener;
}

Listener::Listener(Listener&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::exchange(other.path_, {})) {}

Listener::~Listener() {
  if (fd_ >= 0) ::close(fd_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

int Listener::release() { return std::exchange(fd_, -1); }

}  // namespace imprint::service
