// SPDX-License-Identifier: GPL-3.0-or-later
// Which libusb code means which of our failures.
#include "devices/usb/usb_failure.hpp"

#include <libusb.h>

namespace imprint::usb {
namespace {

core::Failure row_of_call(int code) {
  switch (code) {
    case LIBUSB_ERROR_NO_DEVICE:
      return devices::fail("device.disconnected");
    case LIBUSB_ERROR_ACCESS:
      return devices::fail("device.permission");
    case LIBUSB_ERROR_BUSY:
      return devices::fail("device.busy");
    case LIBUSB_ERROR_TIMEOUT:
      return devices::fail("device.timed-out");
    case LIBUSB_ERROR_PIPE:
      return devices::fail("device.stalled");
    case LIBUSB_ERROR_NO_MEM:
      return devices::fail("device.transfer-failed",
                           "the kernel has no memory left for USB transfers (usbcore.usbfs_memory_mb)");
    default:
      return devices::fail("device.transfer-failed");
  }
}

}  // namespace

core::Failure fail_call(int code, std::string_view what) {
  return row_of_call(code).with("during", what).with("libusb", libusb_error_name(code));
}

core::Failure fail_transfer(int status, std::string_view what) {
  switch (status) {
    case LIBUSB_TRANSFER_NO_DEVICE:
      return devices::fail("device.disconnected").with("during", what);
    case LIBUSB_TRANSFER_STALL:
      return devices::fail("device.stalled").with("during", what);
    case LIBUSB_TRANSFER_TIMED_OUT:
      return devices::fail("device.timed-out").with("during", what);
    case LIBUSB_TRANSFER_OVERFLOW:
      return devices::fail("device.transfer-failed", "the device sent more than was asked for").with("during", what);
    case LIBUSB_TRANSFER_CANCELLED:
      return devices::fail("device.transfer-failed", "the system took the transfer back").with("during", what);
    default:
      return devices::fail("device.transfer-failed").with("during", what);
  }
}

}  // namespace imprint::usb
