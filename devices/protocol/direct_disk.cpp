// SPDX-License-Identifier: GPL-3.0-or-later
// A disk for callers that wait for each call.
#include "devices/protocol/direct_disk.hpp"

#include <algorithm>
#include <system_error>

#include "devices/protocol/disk_worker.hpp"
#include "devices/protocol/errors.hpp"
#include "flash/core/errors.hpp"

namespace imprint::devices {
namespace {

constexpr std::size_t kAlignment = 4096;

}  // namespace

core::Result<std::shared_ptr<DirectDisk>> DirectDisk::open(DirectDiskSetup setup) {
  const auto worker = std::make_shared<DiskWorker>(std::move(setup));
  std::shared_ptr<DirectDisk> disk;
  try {
    disk = std::shared_ptr<DirectDisk>(new DirectDisk(worker));
  } catch (const std::system_error&) {
    return core::fail("io.out-of-memory", "no thread for the disk");
  }
  IMPRINT_CHECK(worker->open());
  return disk;
}

// The thread shares the worker, so that one which is stuck keeps what it needs.
DirectDisk::DirectDisk(std::shared_ptr<DiskWorker> worker)
    : worker_(std::move(worker)), thread_([shared = worker_] { shared->run(); }) {}

DirectDisk::~DirectDisk() {
  if (worker_->stop()) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

std::uint64_t DirectDisk::size() const { return worker_->setup().size; }

core::Status DirectDisk::read_at(std::uint64_t offset, core::ByteSpan out) {
  std::uint64_t end = 0;
  if (!core::checked_add(offset, out.size(), end) || end > size()) {
    return core::fail("io.out-of-range").with("offset", offset).with("length", out.size()).with("size", size());
  }
  while (!out.empty()) {
    // Whole pages around what is wanted; the disk's end is a multiple of its sector, if not of a page.
    const std::uint64_t start = offset / kAlignment * kAlignment;
    const std::uint64_t stop =
        std::min({core::round_up(offset + out.size(), kAlignment), start + kBufferBytes, size()});
    const auto part = std::min<std::uint64_t>(out.size(), stop - offset);
    IMPRINT_CHECK(worker_->read(start, stop, offset, out.first(part)));
    offset += part;
    out = out.subspan(part);
  }
  return {};
}

core::Status DirectDisk::write_at(std::uint64_t offset, core::ByteView data) {
  std::uint64_t end = 0;
  if (!core::checked_add(offset, data.size(), end) || end > size()) {
    return core::fail("io.out-of-range").with("offset", offset).with("length", data.size()).with("size", size());
  }
  for (; !data.empty(); data = data.subspan(std::min(data.size(), kBufferBytes)), offset += kBufferBytes)
    IMPRINT_CHECK(worker_->write(offset, data.first(std::min(data.size(), kBufferBytes))));
  return {};
}

core::Status DirectDisk::flush() { return worker_->flush(worker_->setup().stop); }
core::Status DirectDisk::eject() { return worker_->eject(); }

}  // namespace imprint::devices
