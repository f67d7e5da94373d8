// SPDX-License-Identifier: GPL-3.0-or-later
// Plays usbfs (linux/usbdevice_fs.h).
#include "tests/unit/usb/mock_device.hpp"

#include <fmt/format.h>
#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>

namespace imprint::fixture {
namespace {

constexpr std::chrono::seconds kPatience{20};

bool is_in(const usbdevfs_urb& urb) { return (urb.endpoint & 0x80U) != 0; }

}  // namespace

MockDevice::MockDevice() : handler_(umockdev_ioctl_base_new()) {
  g_signal_connect(handler_, "handle-ioctl", G_CALLBACK(&MockDevice::on_ioctl), this);
}

MockDevice::~MockDevice() {
  g_signal_handlers_disconnect_by_data(handler_, this);
  g_object_unref(handler_);
}

void MockDevice::script_out(std::vector<Act> acts) {
  const std::scoped_lock lock(mutex_);
  out_script_.assign(acts.begin(), acts.end());
}

void MockDevice::reply(core::ByteBuffer data) {
  const std::scoped_lock lock(mutex_);
  replies_.push_back({.act = Act::take, .data = std::move(data)});
  answer_waiting();
}

void MockDevice::reply(Act act) {
  const std::scoped_lock lock(mutex_);
  replies_.push_back({.act = act, .data = {}});
  answer_waiting();
}

void MockDevice::fail_control(Act act) {
  const std::scoped_lock lock(mutex_);
  control_act_ = act;
}

void MockDevice::fail_claim(int error_number) {
  const std::scoped_lock lock(mutex_);
  claim_error_ = error_number;
}

void MockDevice::fail_clear(int error_number) {
  const std::scoped_lock lock(mutex_);
  clear_error_ = error_number;
}

void MockDevice::bind_driver(std::string name) {
  const std::scoped_lock lock(mutex_);
  driver_ = std::move(name);
}

void MockDevice::swallow_cancels() {
  const std::scoped_lock lock(mutex_);
  swallows_cancels_ = true;
}

void MockDevice::complete_hanging() {
  const std::scoped_lock lock(mutex_);
  while (!under_way_.empty()) {
    usbdevfs_urb* urb = under_way_.front();
    const auto* bytes = static_cast<const std::uint8_t*>(urb->buffer);
    received_.emplace_back(bytes, bytes + urb->buffer_length);
    urb->actual_length = urb->buffer_length;
    finish(urb, 0);
  }
}

void MockDevice::give_back() {
  const std::scoped_lock lock(mutex_);
  while (!under_way_.empty()) finish(under_way_.front(), -ENOENT);
}

void MockDevice::pull() {
  const std::scoped_lock lock(mutex_);
  pull_locked();
}

void MockDevice::pull_locked() {
  gone_ = true;
  while (!under_way_.empty()) finish(under_way_.front(), -ESHUTDOWN);
}

std::vector<core::ByteBuffer> MockDevice::received() const {
  const std::scoped_lock lock(mutex_);
  return received_;
}

std::size_t MockDevice::most_under_way() const {
  const std::scoped_lock lock(mutex_);
  return most_under_way_;
}

std::vector<std::string> MockDevice::calls() const {
  const std::scoped_lock lock(mutex_);
  return calls_;
}

void MockDevice::wait_until_hanging() const {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [&] { return !under_way_.empty(); })) {
    throw std::runtime_error("no transfer came to hang");
  }
}

gboolean MockDevice::on_ioctl(UMockdevIoctlBase* /*base*/, UMockdevIoctlClient* client, MockDevice* self) {
  void* argument = nullptr;
  std::memcpy(&argument, umockdev_ioctl_client_get_arg(client)->data, sizeof(argument));
  const int result = self->handle(umockdev_ioctl_client_get_request(client), argument);
  umockdev_ioctl_client_complete(client, result < 0 ? -1 : result, result < 0 ? -result : 0);
  return TRUE;
}

int MockDevice::handle(unsigned long request, void* argument) {
  const std::scoped_lock lock(mutex_);
  if (request == USBDEVFS_REAPURBNDELAY) return reap(argument);
  if (gone_) return -ENODEV;
  const auto number = [&] { return *static_cast<unsigned*>(argument); };
  switch (request) {
    case USBDEVFS_GET_CAPABILITIES:
      *static_cast<std::uint32_t*>(argument) = USBDEVFS_CAP_BULK_SCATTER_GATHER | USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                                               USBDEVFS_CAP_REAP_AFTER_DISCONNECT | USBDEVFS_CAP_ZERO_PACKET;
      return 0;
    case USBDEVFS_CLAIMINTERFACE:
      if (claim_error_ != 0) return -claim_error_;
      calls_.push_back(fmt::format("claim {}", number()));
      return 0;
    case USBDEVFS_RELEASEINTERFACE:
      calls_.push_back(fmt::format("release {}", number()));
      return 0;
    case USBDEVFS_CLEAR_HALT:
      calls_.push_back(fmt::format("clear {:02x}", number()));
      return -clear_error_;
    case USBDEVFS_RESET:
      calls_.emplace_back("reset");
      return 0;
    case USBDEVFS_GETDRIVER:
      if (driver_.empty()) return -ENODATA;
      std::strncpy(static_cast<usbdevfs_getdriver*>(argument)->driver, driver_.c_str(), USBDEVFS_MAXDRIVERNAME);
      return 0;
    case USBDEVFS_IOCTL:
      return driver_call(argument);
    case USBDEVFS_SUBMITURB:
      return submit(static_cast<usbdevfs_urb*>(argument));
    case USBDEVFS_DISCARDURB:
      return discard(static_cast<usbdevfs_urb*>(argument));
    default:
      return -ENOTTY;
  }
}

int MockDevice::driver_call(void* argument) {
  const auto code = static_cast<unsigned>(static_cast<usbdevfs_ioctl*>(argument)->ioctl_code);
  if (code == USBDEVFS_DISCONNECT) {
    calls_.emplace_back("detach");
    driver_.clear();
    return 0;
  }
  if (code == USBDEVFS_CONNECT) {
    calls_.emplace_back("attach");
    return 1;
  }
  return -ENOTTY;
}

int MockDevice::submit(usbdevfs_urb* urb) {
  const auto* bytes = static_cast<const std::uint8_t*>(urb->buffer);
  if (urb->type == USBDEVFS_URB_TYPE_CONTROL) {
    calls_.push_back(
        fmt::format("control {:02x} {:02x} {}", bytes[0], bytes[1], core::load_le<std::uint16_t>(bytes + 2)));
    return act_on(urb, control_act_);
  }
  if (is_in(*urb)) {
    under_way_.push_back(urb);
    answer_waiting();
    changed_.notify_all();
    return 0;
  }
  Act act = Act::take;
  if (!out_script_.empty()) {
    act = out_script_.front();
    out_script_.pop_front();
  }
  if (act == Act::refuse) return -ENOMEM;
  if (act == Act::take) received_.emplace_back(bytes, bytes + urb->buffer_length);
  return act_on(urb, act);
}

int MockDevice::act_on(usbdevfs_urb* urb, Act act) {
  under_way_.push_back(urb);
  most_under_way_ = std::max(most_under_way_, under_way_.size());
  urb->actual_length = urb->type == USBDEVFS_URB_TYPE_CONTROL ? 0 : urb->buffer_length;
  switch (act) {
    case Act::take:
      finish(urb, 0);
      break;
    case Act::take_half:
      urb->actual_length /= 2;
      finish(urb, 0);
      break;
    case Act::stall:
      urb->actual_length = 0;
      finish(urb, -EPIPE);
      break;
    case Act::fail:
      urb->actual_length = 0;
      finish(urb, -EPROTO);
      break;
    case Act::overflow:
      finish(urb, -EOVERFLOW);
      break;
    case Act::hang:
      urb->actual_length = 0;
      changed_.notify_all();
      break;
    case Act::refuse:
    case Act::pull_the_plug:
      urb->actual_length = 0;
      pull_locked();
      break;
  }
  return 0;
}

// Gives the waiting IN transfers their answers, in order.
void MockDevice::answer_waiting() {
  while (!replies_.empty()) {
    const auto waiting = std::ranges::find_if(under_way_, [](const usbdevfs_urb* urb) { return is_in(*urb); });
    if (waiting == under_way_.end()) return;
    usbdevfs_urb* urb = *waiting;
    const Answer answer = std::move(replies_.front());
    replies_.pop_front();
    under_way_.erase(waiting);
    act_on(urb, answer.act);
    if (answer.act != Act::take) continue;
    const std::size_t size = std::min(answer.data.size(), static_cast<std::size_t>(urb->buffer_length));
    std::copy_n(answer.data.begin(), size, static_cast<std::uint8_t*>(urb->buffer));
    urb->actual_length = static_cast<int>(size);
  }
}

int MockDevice::discard(usbdevfs_urb* urb) {
  if (std::ranges::find(under_way_, urb) == under_way_.end()) return -EINVAL;
  if (!swallows_cancels_) finish(urb, -ENOENT);
  return 0;
}

void MockDevice::finish(usbdevfs_urb* urb, int status) {
  urb->status = status;
  std::erase(under_way_, urb);
  done_.push_back(urb);
}

int MockDevice::reap(void* argument) {
  if (done_.empty()) return gone_ ? -ENODEV : -EAGAIN;
  *static_cast<void**>(argument) = done_.front();
  done_.pop_front();
  return 0;
}

}  // namespace imprint::fixture
