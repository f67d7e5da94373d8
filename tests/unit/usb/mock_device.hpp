// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel's side of one USB device for the tests: it answers the usbfs calls that libusb makes, by a script.
#pragma once

#include <umockdev.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "flash/core/bytes.hpp"

struct usbdevfs_urb;

namespace imprint::fixture {

// Thread-safe. Handler calls come from umockdev's thread, in which libusb's memory can be read, since it is one
// process.
class MockDevice {
 public:
  enum class Act : std::uint8_t {
    take,          // the transfer succeeds
    hang,          // it stays under way until it is cancelled or given back
    stall,         //
    fail,          // a bus error (EPROTO)
    take_half,     // an OUT transfer succeeds, with half of its bytes
    overflow,      //
    refuse,        // it cannot be submitted (ENOMEM)
    pull_the_plug  // the device goes away when this transfer is submitted
  };

  MockDevice();
  MockDevice(const MockDevice&) = delete;
  MockDevice& operator=(const MockDevice&) = delete;
  ~MockDevice();
  [[nodiscard]] UMockdevIoctlBase* handler() const { return handler_; }

  // Of the OUT transfers to come, in order; then all are taken.
  void script_out(std::vector<Act> acts);
  // Answers to IN transfers, in order; with none, an IN transfer waits.
  void reply(core::ByteBuffer data);
  void reply(Act act);
  void fail_control(Act act);
  void fail_claim(int error_number);
  void fail_clear(int error_number);
  void bind_driver(std::string name);
  // Cancelled transfers stay where they are, as with a controller that hangs.
  void swallow_cancels();
  // Hanging OUT transfers succeed now.
  void complete_hanging();
  // They come back after all, as cancelled.
  void give_back();
  // Gone: what is under way ends so, and all calls fail.
  void pull();

  [[nodiscard]] std::vector<core::ByteBuffer> received() const;
  [[nodiscard]] std::size_t most_under_way() const;
  // "claim 0", "release 0", "detach", "attach", "clear 81", "control 21 22 1", "reset": what else was asked, in order.
  [[nodiscard]] std::vector<std::string> calls() const;
  // Waits until a transfer hangs.
  void wait_until_hanging() const;

 private:
  struct Answer {
    Act act = Act::take;
    core::ByteBuffer data;
  };
  static gboolean on_ioctl(UMockdevIoctlBase* base, UMockdevIoctlClient* client, MockDevice* self);
  // 0 or more: the result; less: minus errno.
  int handle(unsigned long request, void* argument);
  int submit(usbdevfs_urb* urb);
  int act_on(usbdevfs_urb* urb, Act act);
  void answer_waiting();
  int discard(usbdevfs_urb* urb);
  int reap(void* argument);
  int driver_call(void* argument);
  void finish(usbdevfs_urb* urb, int status);
  void pull_locked();

  UMockdevIoctlBase* handler_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<Act> out_script_;
  std::deque<Answer> replies_;
  Act control_act_ = Act::take;
  std::string driver_;
  int claim_error_ = 0;
  int clear_error_ = 0;
  bool swallows_cancels_ = false;
  bool gone_ = false;
  std::vector<usbdevfs_urb*> under_way_;
  std::deque<usbdevfs_urb*> done_;
  std::vector<core::ByteBuffer> received_;
  std::vector<std::string> calls_;
  std::size_t most_under_way_ = 0;
};

}  // namespace imprint::fixture
