// SPDX-License-Identifier: GPL-3.0-or-later
// libusb for the process: one context and the one thread on which its transfers complete and its hot-plug events come.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "flash/core/result.hpp"

struct libusb_context;
struct libusb_device;

namespace imprint::usb {

class UsbLink;

// Thread-safe. Links share its ownership, so that libusb outlives every device that is open. Never destroyed on its own
// event thread, since nothing that runs there owns a link.
class UsbContext {
 public:
  // `device.usb-unavailable`.
  [[nodiscard]] static core::Result<std::shared_ptr<UsbContext>> open();
  UsbContext(const UsbContext&) = delete;
  UsbContext& operator=(const UsbContext&) = delete;
  ~UsbContext();

  [[nodiscard]] libusb_context* get() const { return context_; }

  // Called for each device that is there (from this thread) and then for each that comes or goes (from the event
  // thread); a device may be announced twice. The device is valid during the call. One listener, set once.
  using HotplugListener = std::function<void(libusb_device* device, bool arrived)>;
  [[nodiscard]] core::Status listen(HotplugListener listener);
  // The listener is not called again once this has returned.
  void stop_listening();

  // Keeps a link whose transfers the kernel has not given back: its buffers must not be freed before that.
  void keep(std::shared_ptr<UsbLink> link);
  // Lets go of the kept links that are idle by now; returns how many are left.
  std::size_t sweep();

  // What libusb calls on the event thread.
  void announce(libusb_device* device, bool arrived);

 private:
  explicit UsbContext(libusb_context* context);
  void handle_events(const std::stop_token& stop);

  libusb_context* context_;
  int hotplug_handle_ = -1;
  std::mutex listener_mutex_;  // held while the listener runs
  HotplugListener listener_;
  std::mutex kept_mutex_;
  std::vector<std::shared_ptr<UsbLink>> kept_;
  std::jthread events_;  // last, so that it ends before what it uses
};

}  // namespace imprint::usb
