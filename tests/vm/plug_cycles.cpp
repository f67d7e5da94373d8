// SPDX-License-Identifier: GPL-3.0-or-later
// Attaches and detaches devices of a USB/IP server, on several ports of vhci_hcd at once:
// vm_plug_cycles PORTS CYCLES TCP_PORT. Each cycle imports a device, waits until the kernel has enumerated it, lets it
// stand for up to 800 ms, and takes it away again, whatever is being done with it. The tool usbip does one at a time,
// and refuses while another is being enumerated.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "devices/virtual/usbip_protocol.hpp"

namespace {

namespace fs = std::filesystem;
namespace usbip = imprint::virtual_device::usbip;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kHost = "/sys/devices/platform/vhci_hcd.0";
constexpr std::chrono::seconds kLimit{60};
constexpr std::size_t kDeviceEntryBytes = 312;
constexpr unsigned kMostStanding = 800;  // ms

// Once one port is in trouble, nobody waits any longer.
class Trouble {
 public:
  void happened() {
    const std::scoped_lock lock(mutex_);
    is_there_ = true;
    changed_.notify_all();
  }
  // True when there was some before the time was over.
  bool within(milliseconds time) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return is_there_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_there_ = false;
};
Trouble trouble;

bool within_limit(const std::function<bool()>& is_so) {
  for (const auto end = Clock::now() + kLimit; !is_so();) {
    // The kernel tells of nothing that could be waited for.
    if (Clock::now() > end || trouble.within(milliseconds(10))) return false;
  }
  return true;
}

bool write_line(const std::string& name, const std::string& text) {
  std::ofstream file(std::string(kHost) + "/" + name);
  file << text << std::flush;
  return file.good();
}

// The number of the host's bus for devices of that speed.
std::string high_speed_bus() {
  for (const auto& entry : fs::directory_iterator(kHost)) {
    const std::string name = entry.path().filename();
    std::string speed;
    std::ifstream(entry.path() / "speed") >> speed;
    if (name.starts_with("usb") && speed == "480") return name.substr(3);
  }
  return {};
}

bool send_all(int socket, const imprint::core::ByteBuffer& bytes) {
  return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

bool receive_exactly(int socket, std::size_t count) {
  std::vector<char> buffer(count);
  return ::recv(socket, buffer.data(), count, MSG_WAITALL) == static_cast<ssize_t>(count);
}

// A connection that the server has given the device's transfers to, or -1.
int import(unsigned device, std::uint16_t tcp_port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(tcp_port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  imprint::core::ByteWriter request;
  usbip::write(request,
               usbip::OperationHeader{.version = usbip::kVersion,
                                      .operation = static_cast<std::uint16_t>(usbip::Operation::request_import)});
  request.bytes(usbip::to_field<32>("1-" + std::to_string(device)));
  const int yes = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      send_all(socket, request.release()) &&
      receive_exactly(socket, imprint::core::kWireSize<usbip::OperationHeader> + kDeviceEntryBytes)) {
    return socket;
  }
  ::close(socket);
  return -1;
}

class Port {
 public:
  Port(unsigned number, std::uint16_t tcp_port, const std::string& bus)
      : number_(number),
        tcp_port_(tcp_port),
        device_(fs::path("/sys/bus/usb/devices") / (bus + "-" + std::to_string(number + 1))) {}

  // Says what went wrong, and false.
  bool cycle(milliseconds standing) {
    int socket = -1;
    // The server may still be taking leave of the last connection.
    if (!within_limit([&] { return (socket = import(number_ + 1, tcp_port_)) >= 0; })) return failed("not imported");
    const auto text =
        std::to_string(number_) + " " + std::to_string(socket) + " 65537 " + std::to_string(usbip::kSpeedHigh);
    // The port may still be busy with the last device.
    const bool attached = within_limit([&] { return write_line("attach", text); });
    ::close(socket);  // the kernel has it now
    if (!attached) return failed("not attached");
    if (!within_limit([&] { return fs::exists(device_ / "bConfigurationValue"); })) return failed("not enumerated");
    if (trouble.within(standing)) return false;
    if (!write_line("detach", std::to_string(number_))) return failed("not detached");
    return within_limit([&] { return !fs::exists(device_); }) || failed("not gone");
  }

 private:
  bool failed(const char* what) const {
    trouble.happened();
    std::printf("       port %u: %s\n", number_ + 1, what);
    return false;
  }
  unsigned number_;
  std::uint16_t tcp_port_;
  fs::path device_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto ports = static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10));
  const auto cycles = static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10));
  const auto tcp_port = static_cast<std::uint16_t>(std::strtoul(argv[3], nullptr, 10));
  const std::string bus = high_speed_bus();
  if (ports == 0 || bus.empty()) return 2;
  std::atomic<unsigned> next = 0;
  std::atomic<unsigned> done = 0;
  std::vector<std::jthread> threads;
  for (unsigned number = 0; number < ports; ++number) {
    threads.emplace_back([&, number] {
      Port port(number, tcp_port, bus);
      for (unsigned cycle = next++; cycle < cycles; cycle = next++) {
        // The same in every run, and of every length.
        if (!port.cycle(milliseconds(cycle * 137 % kMostStanding))) return;
        ++done;
      }
    });
  }
  threads.clear();
  std::printf("       %u of %u cycles on %u ports\n", done.load(), cycles, ports);
  return done == cycles ? 0 : 1;
}
