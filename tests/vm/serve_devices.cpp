// SPDX-License-Identifier: GPL-3.0-or-later
// Simple I/O devices behind a USB/IP server on loopback, for the tests in the virtual machine:
// vm_serve_devices COUNT [BYTES_PER_SECOND]. Says "serving" when they can be imported, and ends with SIGTERM.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "devices/virtual/simple_io_device.hpp"
#include "devices/virtual/usbip_server.hpp"

namespace {

using namespace imprint;

int complain(const core::Error& error) {
  std::fprintf(stderr, "vm_serve_devices: %s\n", error.message().c_str());
  return 4;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const auto count = std::strtoul(argv[1], nullptr, 10);
  const auto rate = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  // Before any thread is there, so that all of them inherit it and only sigwait() below sees the signal.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  std::vector<std::shared_ptr<virtual_device::VirtualDevice>> devices;
  for (unsigned long number = 1; number <= count; ++number) {
    virtual_device::DeviceOptions options;
    options.platform_id = "Imprint.Virtual.Board.1";
    options.serial = core::Guid::from_name("vm device " + std::to_string(number));
    options.unique_id = options.serial;
    options.disk_size = 32U << 20;
    options.bytes_per_second = rate;
    options.storage_folder = std::filesystem::temp_directory_path();
    auto device = virtual_device::VirtualSimpleIoDevice::create(std::move(options));
    if (!device) return complain(device.error());
    devices.push_back(std::move(*device));
  }
  const auto server = virtual_device::UsbIpServer::start(std::move(devices));
  if (!server) return complain(server.error());
  std::puts("serving");
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ending, &signal);
  return 0;
}
