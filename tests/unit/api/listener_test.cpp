// SPDX-License-Identifier: GPL-3.0-or-later
// Sockets as files: whose they are, and what is there when nobody answers.
#include "station/service/listener.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "station/api/client.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

using namespace imprint;
using namespace imprint::service;

TEST_CASE("a socket file that nobody answers on is replaced, one that somebody answers on is not") {
  const core::test::ScratchFolder folder;
  const auto path = folder / "socket";
  {
    // Left by a daemon that was killed: bound, and nobody listens.
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
  }
  const auto first = Listener::bind(path, "");
  REQUIRE(first.has_value());
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  const auto second = Listener::bind(path, "");
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().id() == "service.socket-in-use");
}

TEST_CASE("a file that is no socket is not replaced") {
  const core::test::ScratchFolder folder;
  const auto path = folder / "file";
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  ::close(fd);
  const auto refused = Listener::bind(path, "");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().id() == "service.socket-failed");
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("where no station answers, a client is told so") {
  const core::test::ScratchFolder folder;
  const auto refused = api::Client::connect(folder / "nobody");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().id() == "api.not-running");
}
