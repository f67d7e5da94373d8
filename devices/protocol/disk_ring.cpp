// SPDX-License-Identifier: GPL-3.0-or-later
// io_uring, with an eventfd in it by which other threads wake the one that waits.
#include "devices/protocol/disk_ring.hpp"

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace imprint::devices {
namespace {

constexpr std::uint64_t kWake = UINT64_MAX;  // instead of a transfer's id

class Uring final : public DiskRing {
 public:
  Uring(int file, int event) : file_(file), event_(event) {}
  ~Uring() override {
    if (is_open_) io_uring_queue_exit(&ring_);
    ::close(event_);
  }
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  [[nodiscard]] std::expected<void, int> open(unsigned depth) {
    const int error = io_uring_queue_init(depth + 1, &ring_, 0);
    if (error < 0) return std::unexpected(-error);
    is_open_ = true;
    parts_.resize(depth);
    return {};
  }

  [[nodiscard]] std::expected<void, int> start(const Transfer& transfer) override {
    io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) return std::unexpected(EAGAIN);
    const auto length = static_cast<unsigned>(transfer.bytes.size());
    if (!transfer.parts.empty()) {
      std::vector<iovec>& parts = parts_.at(transfer.id);
      parts.clear();
      // The kernel only reads from them.
      for (const core::ByteView part : transfer.parts)
        parts.push_back({const_cast<std::uint8_t*>(part.data()), part.size()});
      io_uring_prep_writev(entry, file_, parts.data(), static_cast<unsigned>(parts.size()), transfer.offset);
    } else if (transfer.is_read) {
      io_uring_prep_read(entry, file_, transfer.bytes.data(), length, transfer.offset);
    } else {
      io_uring_prep_write(entry, file_, transfer.bytes.data(), length, transfer.offset);
    }
    io_uring_sqe_set_data64(entry, transfer.id);
    // One that the kernel did not take yet goes with the next call, so it is no failure.
    static_cast<void>(io_uring_submit(&ring_));
    return {};
  }

  [[nodiscard]] std::expected<std::optional<Done>, int> wait() override {
    if (!is_armed_) {
      if (io_uring_sqe* const entry = io_uring_get_sqe(&ring_); entry != nullptr) {
        io_uring_prep_read(entry, event_, &events_, sizeof events_, 0);
        io_uring_sqe_set_data64(entry, kWake);
        is_armed_ = true;
      }
    }
    io_uring_cqe* end = nullptr;
    for (;;) {
      const int error = io_uring_submit_and_wait(&ring_, 1);
      if (error == -EINTR || error == -EAGAIN || error == -EBUSY) continue;
      if (error < 0) return std::unexpected(-error);
      if (io_uring_peek_cqe(&ring_, &end) == 0) break;
    }
    const std::uint64_t id = io_uring_cqe_get_data64(end);
    const int result = end->res;
    io_uring_cqe_seen(&ring_, end);
    if (id == kWake) {
      is_armed_ = false;
      return std::optional<Done>{};
    }
    Done done{static_cast<unsigned>(id), 0};
    if (result < 0) {
      done.moved = std::unexpected(-result);
    } else {
      done.moved = static_cast<std::size_t>(result);
    }
    return std::optional(done);
  }

  void wake() override {
    const std::uint64_t one = 1;
    static_cast<void>(::write(event_, &one, sizeof one) == sizeof one);  // full: it is awake already
  }

 private:
  const int file_;
  const int event_;
  io_uring ring_{};
  std::vector<std::vector<iovec>> parts_;  // by transfer, until it is done
  bool is_open_ = false;
  bool is_armed_ = false;  // the eventfd is being read
  std::uint64_t events_ = 0;
};

}  // namespace

std::expected<std::unique_ptr<DiskRing>, int> open_ring(int file, unsigned depth) {
  const int event = ::eventfd(0, EFD_CLOEXEC);
  if (event < 0) return std::unexpected(errno);
  auto ring = std::make_unique<Uring>(file, event);
  if (auto opened = ring->open(depth); !opened) return std::unexpected(opened.error());
  return ring;
}

}  // namespace imprint::devices
