// SPDX-License-Identifier: GPL-3.0-or-later
// Transfers on their way out and back, and calls that are kept from blocking anyone.
#include "devices/usb/usb_link.hpp"

#include <libusb.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "devices/usb/usb_context.hpp"
#include "devices/usb/usb_failure.hpp"
#include "flash/core/errors.hpp"

namespace imprint::usb {
namespace {

constexpr int kInterface = 0;

}  // namespace

core::Result<std::shared_ptr<UsbLink>> UsbLink::open(std::shared_ptr<UsbContext> context, libusb_device* device,
                                                     core::Deadline deadline) {
  std::shared_ptr<UsbLink> link(new UsbLink(std::move(context)));
  for (Flight& flight : link->flights_) {
    flight.link = link.get();
    flight.transfer = libusb_alloc_transfer(0);
    if (flight.transfer == nullptr) return core::fail("io.out-of-memory");
  }
  // The thread aside needs the device after a caller that no longer waits has let go of it.
  const std::shared_ptr<libusb_device> held(libusb_ref_device(device), &libusb_unref_device);
  auto opened = link->run([self = link.get(), held](libusb_device_handle*) { return self->open_and_claim(held.get()); },
                          std::min(deadline, core::Deadline::after(kOpenLimit),
                                   [](const auto& a, const auto& b) { return a.at() < b.at(); }),
                          "opening and claiming the device");
  if (opened) return link;
  link->close();  // aside: what was opened and not claimed has to be given back
  return std::unexpected(std::move(opened).error());
}

UsbLink::~UsbLink() {
  release_and_close();
  for (const Flight& flight : flights_) libusb_free_transfer(flight.transfer);
}

int UsbLink::open_and_claim(libusb_device* device) {
  if (const int code = libusb_open(device, &handle_); code != LIBUSB_SUCCESS) {
    handle_ = nullptr;
    return code;
  }
  if (libusb_kernel_driver_active(handle_, kInterface) == 1) {
    const int code = libusb_detach_kernel_driver(handle_, kInterface);
    if (code != LIBUSB_SUCCESS && code != LIBUSB_ERROR_NOT_FOUND) return code;
    driver_detached_ = code == LIBUSB_SUCCESS;
  }
  const int code = libusb_claim_interface(handle_, kInterface);
  claimed_ = code == LIBUSB_SUCCESS;
  return code;
}

void UsbLink::release_and_close() {
  if (handle_ == nullptr) return;
  if (claimed_) libusb_release_interface(handle_, kInterface);
  // One that cannot be given back is the kernel's to bind again at the next plug; there is no one to tell here.
  if (driver_detached_) libusb_attach_kernel_driver(handle_, kInterface);
  libusb_close(std::exchange(handle_, nullptr));
  claimed_ = driver_detached_ = false;
}

core::Status UsbLink::require_usable() const {
  if (given_up_) return devices::fail("device.disconnected", "given up: the system did not give its transfers back");
  if (gone_ || closed_) return devices::fail("device.disconnected");
  if (cancelled_at_ && Clock::now() >= *cancelled_at_) return core::fail("job.cancelled");
  return {};
}

// ---- transfers

void UsbLink::on_landed(libusb_transfer* transfer) {
  auto& flight = *static_cast<Flight*>(transfer->user_data);
  UsbLink& link = *flight.link;
  const std::scoped_lock lock(link.mutex_);
  flight.flying = false;
  if (transfer->status == LIBUSB_TRANSFER_NO_DEVICE) link.gone_ = true;
  // With the lock held: the link may be destroyed as soon as its owner sees that nothing is flying.
  link.changed_.notify_all();
}

core::Result<UsbLink::Flight*> UsbLink::prepare(std::size_t size) {
  const std::scoped_lock lock(mutex_);
  IMPRINT_CHECK(require_usable());
  if (count_ == 0) oldest_ = 0;  // a device that is spoken to by turns needs one buffer, not all of them
  Flight& flight = flights_[(oldest_ + count_) % kMostInFlight];
  if (flight.buffer.size() < size) flight.buffer.resize(size);
  flight.size = size;
  flight.flying = true;
  return &flight;
}

core::Result<UsbLink::Launch> UsbLink::submit(Flight& flight, std::string_view what) {
  const int code = libusb_submit_transfer(flight.transfer);
  if (code == LIBUSB_SUCCESS) {
    ++count_;
    bytes_ += flight.size;
    return Launch::done;
  }
  {
    const std::scoped_lock lock(mutex_);
    flight.flying = false;
    if (code == LIBUSB_ERROR_NO_DEVICE) gone_ = true;
  }
  if (code == LIBUSB_ERROR_NO_MEM && count_ > 0) return Launch::no_room;
  recall();
  return fail_call(code, what);
}

core::Result<UsbLink::Launch> UsbLink::launch_out(std::uint8_t endpoint, core::ByteView data) {
  IMPRINT_TRY(Flight * flight, prepare(data.size()));
  std::ranges::copy(data, flight->buffer.begin());
  libusb_fill_bulk_transfer(flight->transfer, handle_, endpoint, flight->buffer.data(), static_cast<int>(data.size()),
                            &UsbLink::on_landed, flight, 0);
  return submit(*flight, "sending to the device");
}

core::Result<UsbLink::Launch> UsbLink::launch_in(std::uint8_t endpoint, std::size_t size) {
  IMPRINT_TRY(Flight * flight, prepare(size));
  libusb_fill_bulk_transfer(flight->transfer, handle_, endpoint, flight->buffer.data(), static_cast<int>(size),
                            &UsbLink::on_landed, flight, 0);
  return submit(*flight, "reading from the device");
}

core::Result<UsbLink::Launch> UsbLink::launch_control(std::uint8_t type, std::uint8_t request, std::uint16_t value,
                                                      std::uint16_t index) {
  IMPRINT_TRY(Flight * flight, prepare(LIBUSB_CONTROL_SETUP_SIZE));
  libusb_fill_control_setup(flight->buffer.data(), type, request, value, index, 0);
  libusb_fill_control_transfer(flight->transfer, handle_, flight->buffer.data(), &UsbLink::on_landed, flight, 0);
  return submit(*flight, "a control transfer");
}

UsbLink::Clock::time_point UsbLink::limit(core::Deadline deadline) const {
  return cancelled_at_ ? std::min(deadline.at(), *cancelled_at_) : deadline.at();
}

core::Failure UsbLink::out_of_time(std::string_view waited_for) const {
  if (cancelled_at_ && Clock::now() >= *cancelled_at_)
    return core::fail("job.cancelled").with("waited_for", waited_for);
  return devices::fail("device.timed-out").with("waited_for", waited_for);
}

core::Result<UsbLink::Landing> UsbLink::land(core::Deadline deadline, std::string_view waited_for) {
  Lock lock(mutex_);
  Flight& flight = flights_[oldest_];
  while (flight.flying && Clock::now() < limit(deadline)) changed_.wait_until(lock, limit(deadline));
  if (flight.flying) {
    const bool alone = count_ == 1;
    recall(lock);
    if (flight.flying) return out_of_time(waited_for).with("given_up", "true");
    // It may have come to its end while it was cancelled; nothing is lost then.
    const bool done = flight.transfer->status == LIBUSB_TRANSFER_COMPLETED;
    if (!alone || !done) {
      if (gone_) return fail_transfer(LIBUSB_TRANSFER_NO_DEVICE, waited_for);
      return out_of_time(waited_for).with("bytes", flight.transfer->actual_length);
    }
  } else {
    oldest_ = (oldest_ + 1) % kMostInFlight;
    --count_;
    bytes_ -= flight.size;
    const int status = flight.transfer->status;
    if (status != LIBUSB_TRANSFER_COMPLETED) return failed_landing(lock, status, deadline, waited_for);
  }
  const auto moved = std::min(flight.size, static_cast<std::size_t>(flight.transfer->actual_length));
  return Landing{.asked = flight.size, .bytes = core::ByteView(flight.buffer).first(moved)};
}

core::Failure UsbLink::failed_landing(Lock& lock, int status, core::Deadline deadline, std::string_view waited_for) {
  recall(lock);
  if (status == LIBUSB_TRANSFER_ERROR) {
    const auto until = std::min(limit(deadline), Clock::now() + kGoneGrace);
    changed_.wait_until(lock, until, [&] { return gone_; });
  }
  return fail_transfer(gone_ ? LIBUSB_TRANSFER_NO_DEVICE : status, waited_for);
}

bool UsbLink::is_flying() const {
  return std::ranges::any_of(flights_, [](const Flight& flight) { return flight.flying; });
}

void UsbLink::recall() {
  Lock lock(mutex_);
  recall(lock);
}

void UsbLink::recall(Lock& lock) {
  std::vector<libusb_transfer*> flying;
  for (std::size_t i = count_; i-- > 0;) {
    const Flight& flight = flights_[(oldest_ + i) % kMostInFlight];
    if (flight.flying) flying.push_back(flight.transfer);
  }
  count_ = bytes_ = 0;
  if (flying.empty()) return;
  lock.unlock();
  // A transfer that ended by itself meanwhile is not found, which is what is wanted.
  const CallResult cancelled = start([flying] {
    for (libusb_transfer* transfer : flying) libusb_cancel_transfer(transfer);
    return 0;
  });
  lock.lock();
  const bool back = changed_.wait_for(lock, kRecallLimit, [&] { return cancelled->has_value() && !is_flying(); });
  if (!back) give_up();
}

void UsbLink::give_up() {
  if (given_up_) return;
  given_up_ = true;
  context_->keep(shared_from_this());
}

// ---- calls that may block

UsbLink::CallResult UsbLink::start(std::function<int()> call) {
  auto result = std::make_shared<std::optional<int>>();
  {
    const std::scoped_lock lock(mutex_);
    ++calls_;
  }
  auto body = [self = shared_from_this(), call = std::move(call), result] {
    const int code = call();
    const std::scoped_lock lock(self->mutex_);
    *result = code;
    --self->calls_;
    self->changed_.notify_all();
  };
  try {
    std::thread(body).detach();  // it ends when the kernel lets it; `self` keeps everything that it uses
  } catch (const std::system_error&) {
    body();  // out of threads: better to wait than not to do it
  }
  return result;
}

core::Status UsbLink::run(std::function<int(libusb_device_handle*)> call, core::Deadline deadline,
                          std::string_view waited_for) {
  Lock lock(mutex_);
  IMPRINT_CHECK(require_usable());
  lock.unlock();
  const CallResult result = start([call = std::move(call), handle = handle_] { return call(handle); });
  lock.lock();
  while (!result->has_value() && Clock::now() < limit(deadline)) changed_.wait_until(lock, limit(deadline));
  if (!result->has_value()) {
    give_up();
    return out_of_time(waited_for);
  }
  if (**result >= 0) return {};
  if (**result == LIBUSB_ERROR_NO_DEVICE) gone_ = true;
  return fail_call(**result, waited_for);
}

void UsbLink::cancel_at(core::Deadline grace) {
  const std::scoped_lock lock(mutex_);
  if (!cancelled_at_ || grace.at() < *cancelled_at_) cancelled_at_ = grace.at();
  changed_.notify_all();
}

void UsbLink::mark_gone() {
  const std::scoped_lock lock(mutex_);
  gone_ = true;
  changed_.notify_all();
}

void UsbLink::close() {
  Lock lock(mutex_);
  if (closed_) return;
  recall(lock);
  if (is_flying() || calls_ > 0) return;  // given up; the context closes it when it is idle
  closed_ = true;
  lock.unlock();
  const CallResult done = start([this] {
    release_and_close();
    return 0;
  });
  lock.lock();
  changed_.wait_for(lock, kRecallLimit, [&] { return done->has_value(); });
}

bool UsbLink::is_closed() const {
  const std::scoped_lock lock(mutex_);
  return closed_;
}

bool UsbLink::is_idle() const {
  const std::scoped_lock lock(mutex_);
  return calls_ == 0 && !is_flying();
}

}  // namespace imprint::usb
