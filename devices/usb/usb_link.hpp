// SPDX-License-Identifier: GPL-3.0-or-later
// One opened and claimed device and its transfers under way. Everything here can be waited for with a limit, also calls
// that block in the kernel, and memory that the kernel may still use is never freed.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "flash/core/bytes.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/result.hpp"

// NOLINTBEGIN(readability-identifier-naming): the library's own
struct libusb_device;
struct libusb_device_handle;
struct libusb_transfer;
// NOLINTEND(readability-identifier-naming)

namespace imprint::usb {

class UsbContext;

// How long opening and claiming may take, with a kernel driver to detach.
inline constexpr std::chrono::milliseconds kOpenLimit{10'000};
// How long to wait for the kernel to give back transfers that were cancelled; then the device is given up.
inline constexpr std::chrono::milliseconds kRecallLimit{2'000};
// How long a transfer's error waits for the news that the device was pulled: the bus sees errors before the hub
// reports.
inline constexpr std::chrono::milliseconds kGoneGrace{300};

// Used by one thread at a time, but for cancel_at(), mark_gone() and is_idle(). Transfers complete on the context's
// event thread, which wakes the waiting one.
//
// A call into usbfs can block for seconds or for ever (a cancelled transfer is waited for in the kernel, a cleared halt
// is a control transfer, a released interface may be reset): those run on a thread of their own that keeps the link
// alive, and whoever waits goes on at its limit. libusb's own time limits are not used, since their cancelling would
// block the event thread, and with it all other devices.
class UsbLink : public std::enable_shared_from_this<UsbLink> {
 public:
  static constexpr std::size_t kMostInFlight = 8;

  // Opens the device, detaches a kernel driver from interface 0 and claims it, by the deadline or within kOpenLimit.
  // `device.permission`, `device.busy`, `device.disconnected`, `device.timed-out`, `device.transfer-failed`.
  [[nodiscard]] static core::Result<std::shared_ptr<UsbLink>> open(std::shared_ptr<UsbContext> context,
                                                                   libusb_device* device, core::Deadline deadline);
  UsbLink(const UsbLink&) = delete;
  UsbLink& operator=(const UsbLink&) = delete;
  ~UsbLink();

  // Puts a transfer under way, after those that are. There has to be room (in_flight() < kMostInFlight). What fails
  // here has not been sent. NoRoom: the kernel has no memory for it now, while others are under way.
  enum class Launch { done, no_room };
  [[nodiscard]] core::Result<Launch> launch_out(std::uint8_t endpoint, core::ByteView data);
  [[nodiscard]] core::Result<Launch> launch_in(std::uint8_t endpoint, std::size_t size);
  // A control transfer without data.
  [[nodiscard]] core::Result<Launch> launch_control(std::uint8_t type, std::uint8_t request, std::uint16_t value,
                                                    std::uint16_t index);
  [[nodiscard]] std::size_t in_flight() const { return count_; }
  [[nodiscard]] std::size_t bytes_in_flight() const { return bytes_; }

  // What a transfer moved, valid until the next launch.
  struct Landing {
    std::size_t asked = 0;
    core::ByteView bytes;
  };
  // Waits for the oldest transfer. After a failure nothing is under way any more: the others are cancelled, newest
  // first, so that the device does not see a gap.
  [[nodiscard]] core::Result<Landing> land(core::Deadline deadline, std::string_view waited_for);
  // Cancels everything that is under way.
  void recall();

  // Runs `call` (a libusb call on handle()) aside. It is not interrupted at the deadline: the link is given up then.
  [[nodiscard]] core::Status run(std::function<int(libusb_device_handle*)> call, core::Deadline deadline,
                                 std::string_view waited_for);

  void cancel_at(core::Deadline grace);
  // The hub said that the device was pulled: later calls are `device.disconnected`.
  void mark_gone();
  // Releases the interface, gives it back to the kernel driver that had it, and closes the device; within kRecallLimit
  // or aside. Later calls are `device.disconnected`.
  void close();
  [[nodiscard]] bool is_closed() const;
  // No transfer and no call is under way.
  [[nodiscard]] bool is_idle() const;

 private:
  using Clock = core::Deadline::Clock;
  using Lock = std::unique_lock<std::mutex>;
  struct Flight {
    UsbLink* link = nullptr;
    libusb_transfer* transfer = nullptr;
    core::ByteBuffer buffer;
    std::size_t size = 0;  // of this transfer's data
    bool flying = false;
  };
  // A call that runs aside; its result when it has ended.
  using CallResult = std::shared_ptr<std::optional<int>>;

  explicit UsbLink(std::shared_ptr<UsbContext> context) : context_(std::move(context)) {}
  static void on_landed(libusb_transfer* transfer);
  int open_and_claim(libusb_device* device);
  void release_and_close();
  [[nodiscard]] core::Status require_usable() const;
  [[nodiscard]] core::Result<Flight*> prepare(std::size_t size);
  [[nodiscard]] core::Result<Launch> submit(Flight& flight, std::string_view what);
  [[nodiscard]] Clock::time_point limit(core::Deadline deadline) const;
  [[nodiscard]] core::Failure out_of_time(std::string_view waited_for) const;
  [[nodiscard]] CallResult start(std::function<int()> call);
  [[nodiscard]] bool is_flying() const;
  void recall(Lock& lock);
  void give_up();
  [[nodiscard]] core::Failure failed_landing(Lock& lock, int status, core::Deadline deadline,
                                             std::string_view waited_for);

  std::shared_ptr<UsbContext> context_;
  libusb_device_handle* handle_ = nullptr;
  bool claimed_ = false;
  bool driver_detached_ = false;
  std::array<Flight, kMostInFlight> flights_;
  std::size_t oldest_ = 0;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;

  mutable std::mutex mutex_;  // of what follows and of Flight::flying
  std::condition_variable changed_;
  bool gone_ = false;
  bool given_up_ = false;
  bool closed_ = false;
  std::size_t calls_ = 0;  // that run aside
  std::optional<Clock::time_point> cancelled_at_;
};

}  // namespace imprint::usb
