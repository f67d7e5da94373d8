// SPDX-License-Identifier: GPL-3.0-or-later
// One bulk transfer of our own making through the kernel's usbfs, without libusb, so that a failure in the virtual
// machine can be told from one of the station's USB code: vm_usb_probe /dev/bus/usb/BUS/DEVICE id|wait MILLISECONDS.
//   id    sends Simple I/O's Id command and prints how many bytes came back (exit 0)
//   wait  only reads; a Simple I/O device has nothing to say then: exit 0 when the time was up and the transfer was
//         taken back, 3 when the device went away
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

constexpr unsigned kBulkOut = 0x01;
constexpr unsigned kBulkIn = 0x81;
constexpr std::uint8_t kIdCommand = 1;

// Bytes moved, or -1 with errno.
int transfer(int device, unsigned endpoint, void* data, unsigned size, unsigned milliseconds) {
  usbdevfs_bulktransfer request{.ep = endpoint, .len = size, .timeout = milliseconds, .data = data};
  return ::ioctl(device, USBDEVFS_BULK, &request);
}

int complain(const char* what) {
  std::fprintf(stderr, "vm_usb_probe: %s: %s\n", what, std::strerror(errno));
  return errno == ENODEV || errno == ESHUTDOWN || errno == EPROTO ? 3 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string_view mode = argv[2];
  const auto milliseconds = static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10));
  const int device = ::open(argv[1], O_RDWR | O_CLOEXEC);
  if (device < 0) return complain("open");
  unsigned interface = 0;
  if (::ioctl(device, USBDEVFS_CLAIMINTERFACE, &interface) != 0) return complain("claim");
  std::uint8_t command = kIdCommand;
  if (mode == "id" && transfer(device, kBulkOut, &command, 1, milliseconds) != 1) return complain("write");
  std::array<std::uint8_t, 16384> answer{};
  const int count = transfer(device, kBulkIn, answer.data(), answer.size(), milliseconds);
  if (mode == "wait") {
    if (count < 0 && errno == ETIMEDOUT) return 0;
    return count < 0 ? complain("read") : 1;
  }
  if (count < 0) return complain("read");
  std::printf("%d bytes\n", count);
  return 0;
}
