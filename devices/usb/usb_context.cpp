// SPDX-License-Identifier: GPL-3.0-or-later
// Runs libusb's events until the context goes.
#include "devices/usb/usb_context.hpp"

#include <libusb.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <system_error>

#include "devices/protocol/errors.hpp"
#include "devices/usb/usb_link.hpp"

namespace imprint::usb {
namespace {

// After an error of libusb itself, so that one that stays does not take a whole core.
constexpr std::chrono::milliseconds kPauseAfterError{100};

int on_hotplug(libusb_context* /*context*/, libusb_device* device, libusb_hotplug_event event, void* user) {
  static_cast<UsbContext*>(user)->announce(device, event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED);
  return 0;  // any other value would end the registration
}

}  // namespace

core::Result<std::shared_ptr<UsbContext>> UsbContext::open() {
  libusb_context* context = nullptr;
  if (const int code = libusb_init(&context); code != LIBUSB_SUCCESS) {
    return devices::fail("device.usb-unavailable").with("libusb", libusb_error_name(code));
  }
  if (libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG) == 0) {
    libusb_exit(context);
    return devices::fail("device.usb-unavailable", "this libusb does not tell of devices that come and go");
  }
  try {
    return std::shared_ptr<UsbContext>(new UsbContext(context));
  } catch (const std::system_error& error) {  // no thread to be had
    libusb_exit(context);
    return devices::fail("device.usb-unavailable", error.what());
  }
}

UsbContext::UsbContext(libusb_context* context)
    : context_(context), events_([this](const std::stop_token& stop) { handle_events(stop); }) {}

UsbContext::~UsbContext() {
  events_.request_stop();
  libusb_interrupt_event_handler(context_);
  events_.join();
  libusb_exit(context_);
}

void UsbContext::handle_events(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any pause;
  while (!stop.stop_requested()) {
    // The interrupt stays pending until it is seen, so a stop between the test and the call is not lost.
    const int code = libusb_handle_events_completed(context_, nullptr);
    if (code == LIBUSB_SUCCESS || code == LIBUSB_ERROR_INTERRUPTED) continue;
    std::unique_lock lock(mutex);
    pause.wait_for(lock, stop, kPauseAfterError, [] { return false; });
  }
}

core::Status UsbContext::listen(HotplugListener listener) {
  {
    const std::scoped_lock lock(listener_mutex_);
    listener_ = std::move(listener);
  }
  const int code =
      libusb_hotplug_register_callback(context_, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
                                       LIBUSB_HOTPLUG_ENUMERATE, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
                                       LIBUSB_HOTPLUG_MATCH_ANY, &on_hotplug, this, &hotplug_handle_);
  if (code == LIBUSB_SUCCESS) return {};
  stop_listening();
  return devices::fail("device.usb-unavailable", "hot-plug events").with("libusb", libusb_error_name(code));
}

void UsbContext::stop_listening() {
  const std::scoped_lock lock(listener_mutex_);
  listener_ = nullptr;
}

void UsbContext::announce(libusb_device* device, bool arrived) {
  const std::scoped_lock lock(listener_mutex_);
  if (listener_) listener_(device, arrived);
}

void UsbContext::keep(std::shared_ptr<UsbLink> link) {
  const std::scoped_lock lock(kept_mutex_);
  kept_.push_back(std::move(link));
}

std::size_t UsbContext::sweep() {
  std::vector<std::shared_ptr<UsbLink>> links;
  std::size_t left = 0;
  {
    const std::scoped_lock lock(kept_mutex_);
    // Only those that nobody else has any more, whose calls would otherwise run beside this one; nor can such a link
    // call keep() with its own lock held.
    for (auto& link : kept_) {
      if (link.use_count() == 1 && link->is_idle()) links.push_back(std::move(link));
    }
    std::erase(kept_, nullptr);
    left = kept_.size();
  }
  for (const auto& link : links) link->close();
  return left;
}

}  // namespace imprint::usb
