// SPDX-License-Identifier: GPL-3.0-or-later
// The sockets and threads around UsbIpSession.
#include "devices/virtual/usbip_server.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <list>
#include <set>
#include <thread>
#include <utility>

#include "devices/protocol/errors.hpp"
#include "devices/virtual/usbip_session.hpp"

namespace imprint::virtual_device {
namespace {

using Clock = core::Deadline::Clock;

constexpr std::size_t kReadBytes = 256U << 10;
// Beyond one connection for each device: lists, refused imports, and clients that have not said yet what they want.
constexpr std::size_t kSpareConnections = 32;
// From our end of a connection until the client's, so that unread input does not reset it before the last reply is
// read.
constexpr std::chrono::seconds kLingerLimit{1};
constexpr std::chrono::milliseconds kPauseWithoutDescriptors{100};

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

void switch_on(int socket, int level, int option) {
  const int on = 1;
  ::setsockopt(socket, level, option, &on, sizeof on);
}

core::Failure fail_listening(const UsbIpOptions& options, std::string_view reason) {
  return devices::fail("device.usbip-unavailable", std::string(reason))
      .with("address", options.address)
      .with("port", options.port);
}

core::Result<FileDescriptor> listen_at(const UsbIpOptions& options) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(options.port);
  if (const int status = ::getaddrinfo(options.address.c_str(), port.c_str(), &hints, &found); status != 0) {
    return fail_listening(options, ::gai_strerror(status));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> address(found, &::freeaddrinfo);
  FileDescriptor socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket) switch_on(socket.get(), SOL_SOCKET, SO_REUSEADDR);
  if (!socket || ::bind(socket.get(), address->ai_addr, address->ai_addrlen) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0) {
    return fail_listening(options, std::generic_category().message(errno));
  }
  return socket;
}

std::uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, NI_MAXSERV> port{};
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::getsockname(socket, generic, &size) != 0 ||
      ::getnameinfo(generic, size, nullptr, 0, port.data(), port.size(), NI_NUMERICSERV) != 0) {
    return 0;
  }
  return static_cast<std::uint16_t>(std::strtoul(port.data(), nullptr, 10));
}

// Until one of the events on the socket, or the time; false when the server stops.
bool wait(int socket, short events, int stop, std::optional<Clock::time_point> until) {
  std::array<pollfd, 2> polled{{{socket, events, 0}, {stop, POLLIN, 0}}};
  timespec timeout{};
  if (until) {
    const auto left = std::max(Clock::duration::zero(), *until - Clock::now());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    timeout = {static_cast<time_t>(seconds.count()), std::chrono::nanoseconds(left - seconds).count()};
  }
  ::ppoll(polled.data(), polled.size(), until ? &timeout : nullptr, nullptr);
  return polled[1].revents == 0;
}

bool is_passing(int error) { return error == EAGAIN || error == EINTR; }

// One connection from its first byte to its last.
class Connection {
 public:
  Connection(FileDescriptor socket, UsbIpExports& exports, int stop)
      : socket_(std::move(socket)), stop_(stop), session_(exports, Clock::now()), buffer_(kReadBytes) {
    switch_on(socket_.get(), IPPROTO_TCP, TCP_NODELAY);
    // A device that is imported may be silent for hours; a host that is gone is noticed all the same.
    switch_on(socket_.get(), SOL_SOCKET, SO_KEEPALIVE);
  }

  void serve() {
    while (move_bytes()) {
      short events = session_.wants_input() ? POLLIN : short{0};
      if (!session_.output().empty()) events = static_cast<short>(events | POLLOUT);
      if (!wait(socket_.get(), events, stop_, session_.next_due())) return;
    }
    linger();
  }

 private:
  // What can be done without waiting; false at the connection's end.
  bool move_bytes() {
    if (session_.wants_input()) {
      const ssize_t count = ::recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
      if (count == 0 || (count < 0 && !is_passing(errno))) return false;
      if (count > 0) session_.take(core::ByteView(buffer_).first(static_cast<std::size_t>(count)), Clock::now());
    }
    session_.advance(Clock::now());
    if (const core::ByteView out = session_.output(); !out.empty()) {
      const ssize_t count = ::send(socket_.get(), out.data(), out.size(), MSG_NOSIGNAL);
      if (count < 0 && !is_passing(errno)) return false;
      if (count > 0) session_.sent(static_cast<std::size_t>(count), Clock::now());
    }
    return !session_.over() || !session_.output().empty();
  }

  void linger() {
    const auto until = Clock::now() + kLingerLimit;
    ::shutdown(socket_.get(), SHUT_WR);
    while (Clock::now() < until) {
      const ssize_t count = ::recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
      if (count == 0 || (count < 0 && !is_passing(errno))) return;
      if (count < 0 && !wait(socket_.get(), POLLIN, stop_, until)) return;
    }
  }

  FileDescriptor socket_;
  int stop_;
  UsbIpSession session_;
  core::ByteBuffer buffer_;
};

}  // namespace

class UsbIpServer::Running {
 public:
  Running(std::vector<std::shared_ptr<VirtualDevice>> devices, FileDescriptor socket, FileDescriptor stop)
      : exports_(std::move(devices)),
        socket_(std::move(socket)),
        stop_(std::move(stop)),
        port_(port_of(socket_.get())),
        acceptor_([this] { accept_connections(); }) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    ::eventfd_write(stop_.get(), 1);  // stays readable, so every thread sees it
    acceptor_.join();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const UsbIpExports& exports() const { return exports_; }

 private:
  struct Served {
    std::atomic<bool> ended = false;
    std::jthread thread;
  };

  void accept_connections() {
    std::list<Served> connections;  // joined at its end
    while (wait(socket_.get(), POLLIN, stop_.get(), std::nullopt)) {
      FileDescriptor client(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      std::erase_if(connections, [](const Served& served) { return served.ended.load(); });
      if (!client) {
        // Out of file descriptors the listening socket stays readable, and this would be a busy loop.
        const auto until = Clock::now() + kPauseWithoutDescriptors;
        if (!is_passing(errno) && !wait(-1, 0, stop_.get(), until)) return;
        continue;
      }
      if (connections.size() >= exports_.size() + kSpareConnections) continue;
      start_serving(connections, std::move(client));
    }
  }

  // A machine that has no memory or no thread for it refuses the connection.
  void start_serving(std::list<Served>& connections, FileDescriptor client) {
    try {
      Served& served = connections.emplace_back();
      served.thread = std::jthread([this, &served, client = std::move(client)]() mutable {
        serve(std::move(client));
        served.ended = true;
      });
    } catch (const std::exception&) {
      if (!connections.empty() && !connections.back().thread.joinable()) connections.pop_back();
    }
  }

  void serve(FileDescriptor client) {
    try {
      Connection(std::move(client), exports_, stop_.get()).serve();
    } catch (const std::exception&) {
      // Out of memory: this connection ends, and the others go on.
      return;
    }
  }

  UsbIpExports exports_;
  FileDescriptor socket_;
  FileDescriptor stop_;
  std::uint16_t port_;
  std::thread acceptor_;  // last, since it uses the others
};

UsbIpServer::UsbIpServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
UsbIpServer::~UsbIpServer() = default;

core::Result<std::unique_ptr<UsbIpServer>> UsbIpServer::start(std::vector<std::shared_ptr<VirtualDevice>> devices,
                                                              const UsbIpOptions& options) {
  if (std::set(devices.begin(), devices.end()).size() != devices.size() || std::ranges::count(devices, nullptr) != 0) {
    return devices::fail("device.virtual-setup-invalid", "a device is there twice");
  }
  IMPRINT_TRY(FileDescriptor socket, listen_at(options));
  FileDescriptor stop(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!stop) return fail_listening(options, std::generic_category().message(errno));
  try {
    auto running = std::make_unique<Running>(std::move(devices), std::move(socket), std::move(stop));
    return std::unique_ptr<UsbIpServer>(new UsbIpServer(std::move(running)));
  } catch (const std::exception& error) {
    return fail_listening(options, error.what());
  }
}

std::uint16_t UsbIpServer::port() const { return running_->port(); }
std::string UsbIpServer::bus_id(std::size_t number) { return UsbIpExports::bus_id(number); }
bool UsbIpServer::attached(std::size_t number) const { return running_->exports().claimed(number); }

}  // namespace imprint::virtual_device
