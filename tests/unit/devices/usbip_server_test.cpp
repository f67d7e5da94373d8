// SPDX-License-Identifier: GPL-3.0-or-later
// The USB/IP server over real sockets: a device is flashed through it, and what happens when one side goes away.
#include "devices/virtual/usbip_server.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "tests/unit/devices/device_fixture.hpp"
#include "tests/unit/devices/usbip_client.hpp"

using namespace imprint;
using namespace imprint::fixture;
using virtual_device::UsbIpServer;

namespace {

constexpr std::chrono::seconds kLong{30};
constexpr int kTestSeconds = 30;  // longer than any answer takes, so that a test fails instead of hanging

// A kernel's end of one connection.
class Client {
 public:
  explicit Client(const UsbIpServer& server) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{kTestSeconds, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(socket_); }

  [[nodiscard]] bool send(core::ByteView bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
  }
  // Exactly that many; nothing when the server closed before or the time is up.
  [[nodiscard]] std::optional<core::ByteBuffer> receive(std::size_t count) {
    while (received_.size() < count && receive_some()) {
    }
    if (received_.size() < count) return std::nullopt;
    core::ByteBuffer out(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(count));
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(count));
    return out;
  }
  [[nodiscard]] bool closed_by_server() { return !receive_some() && errno == 0; }

  [[nodiscard]] std::optional<std::uint32_t> import_status(std::string_view bus_id) {
    if (!send(import_request(bus_id))) return std::nullopt;
    const auto out = receive(8);
    if (!out) return std::nullopt;
    if (out->at(7) == 0 && !receive(312)) return std::nullopt;
    return out->at(7);
  }
  // Sends a transfer and waits for its reply; one that does not come is nothing. At the deadline the transfer is taken
  // back, and the reply is the one to that: the transfer's own never comes then.
  [[nodiscard]] std::optional<UrbReply> transfer(Urb urb, core::Deadline deadline) {
    urb.sequence = ++sequence_;
    const bool in = urb.direction == usbip::Direction::in;
    if (!send(submit_message(urb))) return std::nullopt;
    for (bool taken_back = false;;) {
      core::ByteReader reader(received_);
      if (const auto reply = read_reply(reader, [&](std::uint32_t) { return in; })) {
        received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(reader.position()));
        const bool is_own = reply->command == usbip::Command::reply_submit;
        if (is_own && taken_back) continue;  // it was done by itself just then: the answer to taking it back follows
        return reply;
      }
      if (!taken_back && !can_receive(deadline)) {
        taken_back = true;
        if (!send(unlink_message(++sequence_, urb.sequence))) return std::nullopt;
      }
      if (!receive_some()) return std::nullopt;
    }
  }

 private:
  bool can_receive(core::Deadline deadline) const {
    pollfd wanted{.fd = socket_, .events = POLLIN, .revents = 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.left()).count();
    return ::poll(&wanted, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, kTestSeconds * 1000))) > 0;
  }
  bool receive_some() {
    core::ByteBuffer buffer(65536);
    errno = 0;
    const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (count > 0) received_.insert(received_.end(), buffer.begin(), buffer.begin() + count);
    return count > 0;
  }

  int socket_;
  std::uint32_t sequence_ = 0;
  core::ByteBuffer received_;
};

// What libusb and the kernel are to a target.
class UsbIpTransport final : public devices::Transport {
 public:
  UsbIpTransport(const UsbIpServer& server, std::size_t number) : client_(server) {
    REQUIRE(client_.import_status(UsbIpServer::bus_id(number)) == 0U);
    REQUIRE(run(control(0, kSetConfiguration)));
  }
  [[nodiscard]] core::Status write(core::ByteView data, core::Deadline deadline) override {
    IMPRINT_CHECK(run(bulk_out(0, core::ByteBuffer(data.begin(), data.end())), deadline));
    return {};
  }
  [[nodiscard]] core::Result<std::size_t> read(core::ByteSpan buffer, core::Deadline deadline) override {
    IMPRINT_TRY(const UrbReply reply, run(bulk_in(0, static_cast<std::uint32_t>(buffer.size())), deadline));
    std::ranges::copy(reply.data, buffer.begin());
    return reply.data.size();
  }
  [[nodiscard]] core::Status clear(core::Deadline) override {
    IMPRINT_CHECK(run(control(0, {0x02, 1, 0, 0, 0x81, 0, 0, 0})));
    IMPRINT_CHECK(run(control(0, {0x02, 1, 0, 0, 0x01, 0, 0, 0})));
    return {};
  }
  [[nodiscard]] core::Status control_line_state(core::Deadline) override {
    IMPRINT_CHECK(run(control(0, {0x21, 0x22, 1, 0, 0, 0, 0, 0})));
    return {};
  }
  void cancel_at(core::Deadline) override {}

 private:
  core::Result<UrbReply> run(const Urb& urb, core::Deadline deadline = core::Deadline::after(kLong)) {
    auto reply = client_.transfer(urb, deadline);
    if (!reply) return devices::fail("device.disconnected");
    if (reply->command == usbip::Command::reply_unlink) return devices::fail("device.timed-out");
    if (reply->status == TransferStatus::stalled) return devices::fail("device.stalled");
    if (reply->status != TransferStatus::good) return devices::fail("device.transfer-failed");
    return std::move(*reply);
  }
  Client client_;
};

std::unique_ptr<UsbIpServer> serve(std::vector<std::shared_ptr<virtual_device::VirtualDevice>> devices) {
  auto server = UsbIpServer::start(std::move(devices), {.port = 0});
  REQUIRE(server);
  return std::move(*server);
}

// The server notices the end of a connection a little after the client made it.
bool becomes_free(const UsbIpServer& server, std::size_t number) {
  const auto deadline = core::Deadline::after(std::chrono::seconds(kTestSeconds));
  while (server.attached(number) && !deadline.passed()) std::this_thread::yield();
  return !server.attached(number);
}

// No assertion in here: it runs in threads, and Catch2 allows those in one only.
core::Status flash_through(std::unique_ptr<UsbIpTransport> transport) {
  devices::SimpleIoTarget target(std::move(transport));
  MemoryStream image(small_image().file);
  RecordingObserver observer;
  IMPRINT_CHECK(target.identify());
  return target.flash(image, observer, {});
}

core::Status flash_through(const UsbIpServer& server, std::size_t number) {
  return flash_through(std::make_unique<UsbIpTransport>(server, number));
}

}  // namespace

TEST_CASE("a device is flashed over USB/IP and says so") {
  const auto device = make_device();
  const auto server = serve({device});
  REQUIRE(flash_through(*server, 0));
  CHECK(device->completed_images() == 1);
  CHECK(becomes_free(*server, 0));
}

TEST_CASE("devices are flashed at the same time over one server") {
  std::vector<std::shared_ptr<VirtualSimpleIoDevice>> all;
  for (int i = 0; i < 4; ++i) all.push_back(make_device());
  const auto server = serve({all.begin(), all.end()});
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < all.size(); ++i) {
      threads.emplace_back([transport = std::make_unique<UsbIpTransport>(*server, i)]() mutable {
        static_cast<void>(flash_through(std::move(transport)));
      });
    }
  }
  for (const auto& device : all) CHECK(device->completed_images() == 1);
}

TEST_CASE(
    "a fault script that pulls the cable closes the connection, and the device passes when it is attached again") {
  auto options = device_options();
  options.faults.disconnect_at_byte = 70000;
  const auto device = make_device(options);
  const auto server = serve({device});
  CHECK(error_id(flash_through(*server, 0)) == "device.disconnected");
  CHECK(device->position() == 0);
  REQUIRE(becomes_free(*server, 0));
  CHECK(flash_through(*server, 0));
  CHECK(device->completed_images() == 1);
}

TEST_CASE("a list of devices is followed by the end of the connection") {
  const auto server = serve({make_device(), make_device()});
  Client client(*server);
  REQUIRE(client.send(operation(usbip::Operation::request_device_list)));
  const auto list = client.receive(12 + 2 * 316);
  REQUIRE(list);
  CHECK(list->at(11) == 2);
  CHECK(client.closed_by_server());
}

TEST_CASE("a second host is refused while the first one has the device") {
  const auto server = serve({make_device()});
  auto first = std::make_unique<Client>(*server);
  CHECK(first->import_status("1-1") == 0U);
  CHECK(server->attached(0));
  Client second(*server);
  CHECK(second.import_status("1-1") == 2U);
  CHECK(second.closed_by_server());
  first.reset();
  REQUIRE(becomes_free(*server, 0));
  CHECK(Client(*server).import_status("1-1") == 0U);
}

TEST_CASE("more clients than there can be are turned away, and the devices stay in reach of their hosts") {
  const auto server = serve({make_device()});
  Client host(*server);
  REQUIRE(host.import_status("1-1") == 0U);
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(std::make_unique<Client>(*server));
  CHECK(idle.back()->closed_by_server());
  CHECK(host.transfer(control(0, kSetConfiguration), core::Deadline::after(kLong)));
}

TEST_CASE("a server that stops closes what hangs on it, whatever it waits for") {
  auto options = device_options();
  options.bytes_per_second = 1;
  auto server = serve({make_device(), make_device(options)});
  Client silent(*server);
  Client waiting(*server);
  CHECK(waiting.import_status("1-1") == 0U);
  CHECK(waiting.transfer(control(0, kSetConfiguration), core::Deadline::after(kLong)));
  CHECK(waiting.send(submit_message(bulk_in(9))));
  Client slow(*server);
  CHECK(slow.import_status("1-2") == 0U);
  CHECK(slow.transfer(control(0, kSetConfiguration), core::Deadline::after(kLong)));
  CHECK(slow.send(submit_message(bulk_out(9, core::ByteBuffer(1000)))));
  server.reset();
  CHECK(silent.closed_by_server());
  CHECK_FALSE(waiting.receive(1));
}

TEST_CASE("a port that is taken and an address that is none are refused with their names") {
  const auto server = serve({make_device()});
  const auto second = UsbIpServer::start({make_device()}, {.port = server->port()});
  REQUIRE(error_id(second) == "device.usbip-unavailable");
  CHECK(second.error().context_value("port") == std::to_string(server->port()));
  CHECK(error_id(UsbIpServer::start({make_device()}, {.address = "nowhere"})) == "device.usbip-unavailable");
}

TEST_CASE("a device that is there twice is refused") {
  const auto device = make_device();
  CHECK(error_id(UsbIpServer::start({device, device}, {.port = 0})) == "device.virtual-setup-invalid");
}
