// SPDX-License-Identifier: GPL-3.0-or-later
// Asks a libusb of its own, which handles no events: the process's one may not be there, and belongs to its bus.
#include "devices/usb/kernel_descriptors.hpp"

#include <libusb.h>

#include <memory>
#include <span>

#include "devices/protocol/errors.hpp"
#include "devices/usb/port_table.hpp"

namespace imprint::usb {
namespace {

struct ContextDeleter {
  void operator()(libusb_context* context) const { libusb_exit(context); }
};
struct ListDeleter {
  void operator()(libusb_device** list) const { libusb_free_device_list(list, 1); }
};
struct ConfigDeleter {
  void operator()(libusb_config_descriptor* config) const { libusb_free_config_descriptor(config); }
};

}  // namespace

core::Status check_active_config(const devices::PortPath& port,
                                 const std::function<core::Status(const libusb_config_descriptor&)>& check) {
  libusb_context* raw_context = nullptr;
  if (const int code = libusb_init(&raw_context); code != LIBUSB_SUCCESS)
    return devices::fail("device.usb-unavailable").with("libusb", libusb_error_name(code));
  const std::unique_ptr<libusb_context, ContextDeleter> context(raw_context);
  libusb_device** raw_list = nullptr;
  const auto count = libusb_get_device_list(context.get(), &raw_list);
  if (count < 0)
    return devices::fail("device.usb-unavailable").with("libusb", libusb_error_name(static_cast<int>(count)));
  const std::unique_ptr<libusb_device*, ListDeleter> list(raw_list);
  for (libusb_device* device : std::span(raw_list, static_cast<std::size_t>(count))) {
    if (port_of(device) != port) continue;
    libusb_config_descriptor* raw_config = nullptr;
    const int code = libusb_get_active_config_descriptor(device, &raw_config);
    if (code != LIBUSB_SUCCESS) {
      return devices::fail("device.protocol-violation", "its descriptors cannot be read")
          .with("libusb", libusb_error_name(code));
    }
    const std::unique_ptr<libusb_config_descriptor, ConfigDeleter> config(raw_config);
    return check(*config);
  }
  return devices::fail("device.not-present").with("port", port.text);
}

}  // namespace imprint::usb
