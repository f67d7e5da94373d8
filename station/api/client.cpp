// SPDX-License-Identifier: GPL-3.0-or-later
// A blocking client over poll(2).
#include "station/api/client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "flash/core/errors.hpp"
#include "station/api/errors.hpp"

namespace imprint::api {
namespace {

using Time = std::chrono::steady_clock::time_point;

// False when the time is up.
core::Result<bool> wait_for(int fd, short events, Time until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 3600000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return core::fail_errno(errno, "io.read-failed", "poll");
  }
}

}  // namespace

core::Result<std::unique_ptr<Client>> Client::connect(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& path = socket.native();
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail("api.not-running", "this is no path of a socket").with("socket", path);
  std::memcpy(&address.sun_path[0], path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return core::fail_errno(errno, "io.open-failed", "socket");
  std::unique_ptr<Client> client(new Client(fd));
  // The interface of sockets wants the address as another type.
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (error == EACCES || error == EPERM)
      return core::fail("io.permission", "members of group imprint may use the station's socket").with("socket", path);
    return fail("api.not-running", std::strerror(error)).with("socket", path);
  }
  return client;
}

Client::~Client() { ::close(fd_); }

core::Status Client::send(std::string line, Time until) const {
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail("api.connection-lost", std::strerror(errno));
    IMPRINT_TRY(const bool ready, wait_for(fd_, POLLOUT, until));
    if (!ready) return core::fail("job.deadline", "the station does not take the request");
  }
  return {};
}

core::Result<std::optional<std::string>> Client::receive(Time until) {
  for (;;) {
    const std::size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      scanned_ = 0;
      return line;
    }
    scanned_ = buffer_.size();
    if (buffer_.size() > kMostAnswerBytes) return fail("api.answer-invalid", "the answer has no end");
    IMPRINT_TRY(const bool ready, wait_for(fd_, POLLIN, until));
    if (!ready) return std::nullopt;
    std::array<char, 65536> chunk{};
    const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (got > 0) {
      buffer_.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
      return fail("api.connection-lost", got == 0 ? "" : std::strerror(errno));
    }
  }
}

core::Result<Client::Answer> Client::call(std::string_view method, const json::object& params,
                                          std::chrono::milliseconds wait) {
  const Time until = std::chrono::steady_clock::now() + wait;
  const std::uint64_t id = ++last_id_;
  IMPRINT_CHECK(send(request_line(id, method, params), until));
  for (;;) {
    IMPRINT_TRY(const auto line, receive(until));
    if (!line) return core::fail("job.deadline", "the station did not answer").with("method", method);
    IMPRINT_TRY(auto incoming, parse_incoming(*line));
    if (incoming.error && (!incoming.id || *incoming.id == id)) return Answer(std::move(*incoming.error));
    if (!incoming.id) {
      events_.push_back(std::move(incoming.event));
    } else if (*incoming.id == id) {
      return Answer(std::move(incoming.result));
    }
    // Answers to calls that were given up are passed over.
  }
}

core::Result<std::optional<json::object>> Client::next_event(std::chrono::milliseconds wait) {
  const Time until = std::chrono::steady_clock::now() + wait;
  while (events_.empty()) {
    IMPRINT_TRY(const auto line, receive(until));
    if (!line) return std::nullopt;
    IMPRINT_TRY(auto incoming, parse_incoming(*line));
    if (incoming.error && !incoming.id) return fail("api.connection-lost", incoming.error->message);
    if (!incoming.id) events_.push_back(std::move(incoming.event));
  }
  std::optional<json::object> event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace imprint::api
