// SPDX-License-Identifier: GPL-3.0-or-later
// A disk in memory with several requests in flight that end in the wrong order, any of which may fail; and images whose
// every byte a test decides.
#pragma once

#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <vector>

#include "flash/core/errors.hpp"
#include "flash/engine/flash_device.hpp"
#include "flash/ffu/writer.hpp"

namespace imprint::fixture {

// What all queues of the disk share.
struct MemoryDisk {
  explicit MemoryDisk(core::ByteBuffer content) : bytes(std::move(content)) {}
  struct Event {
    enum class Kind : std::uint8_t { read, write, flush, erase } kind;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    engine::EraseWay way = engine::EraseWay::zero;
  };
  core::ByteBuffer bytes;
  std::vector<Event> events;  // ended well
  unsigned fail_at = 0;       // counted from 1 over all that ends; 0: none
  const char* fail_as = "transfer";
  unsigned ended = 0;
  unsigned most_in_flight = 0;
  unsigned gathered = 0;
  bool takes_gathers = true;
  bool discards = true;
  bool lies_when_erasing = false;  // says that it did

  [[nodiscard]] std::uint64_t count(Event::Kind kind) const {
    return static_cast<std::uint64_t>(std::ranges::count(events, kind, &Event::kind));
  }
  [[nodiscard]] std::uint64_t length_of(Event::Kind kind) const {
    std::uint64_t sum = 0;
    for (const Event& event : events) sum += event.kind == kind ? event.length : 0;
    return sum;
  }
  [[nodiscard]] core::Status end() {
    if (++ended != fail_at) return {};
    return core::fail("io.write-failed", "as planned");
  }
};

class MemoryQueue final : public engine::QueuedDisk {
 public:
  static constexpr unsigned kDepth = 3;
  explicit MemoryQueue(MemoryDisk& disk) : disk_(disk) {
    for (auto& buffer : buffers_) buffer.resize(kBufferBytes);
  }
  [[nodiscard]] std::uint64_t size() const override { return disk_.bytes.size(); }
  [[nodiscard]] unsigned buffers() const override { return kDepth; }
  [[nodiscard]] core::ByteSpan buffer(unsigned number) override { return buffers_.at(number); }
  [[nodiscard]] core::Status start(const Request& request) override {
    REQUIRE(request.offset % 512 == 0);
    REQUIRE(request.length % 512 == 0);
    REQUIRE(request.from % 512 == 0);
    REQUIRE(request.offset + request.length <= size());
    add({request, {}});
    return {};
  }
  [[nodiscard]] core::Result<bool> start_gather(Gather& gather) override {
    if (!disk_.takes_gathers) return false;
    Request request{Request::Way::write, gather.buffer, 0, gather.offset, 0};
    for (const core::ByteView part : gather.parts) {
      REQUIRE(reinterpret_cast<std::uintptr_t>(part.data()) % 4096 == 0);
      request.length += part.size();
    }
    ++disk_.gathered;
    add({request, std::move(gather)});
    return true;
  }
  [[nodiscard]] core::Result<unsigned> finish(const std::stop_token& stop) override {
    REQUIRE_FALSE(in_flight_.empty());
    if (stop.stop_requested()) return core::fail("job.cancelled");
    const InFlight last = std::move(in_flight_.back());
    in_flight_.pop_back();
    IMPRINT_CHECK(disk_.end());
    const auto place = disk_.bytes.begin() + static_cast<std::ptrdiff_t>(last.request.offset);
    const core::ByteSpan bytes = buffer(last.request.buffer).subspan(last.request.from, last.request.length);
    const bool is_read = last.request.way == Request::Way::read;
    if (is_read) {
      std::copy_n(place, bytes.size(), bytes.begin());
    } else if (last.gather.parts.empty()) {
      std::ranges::copy(bytes, place);
    } else {
      auto at = place;
      for (const core::ByteView part : last.gather.parts) at = std::ranges::copy(part, at).out;
    }
    disk_.events.push_back({is_read ? MemoryDisk::Event::Kind::read : MemoryDisk::Event::Kind::write,
                            last.request.offset, last.request.length});
    return last.request.buffer;
  }
  [[nodiscard]] core::Status flush(const std::stop_token& stop) override {
    REQUIRE(in_flight_.empty());
    if (stop.stop_requested()) return core::fail("job.cancelled");
    IMPRINT_CHECK(disk_.end());
    disk_.events.push_back({MemoryDisk::Event::Kind::flush});
    return {};
  }
  [[nodiscard]] core::Result<bool> erase(engine::EraseWay way, core::Extent extent,
                                         const std::stop_token& /*stop*/) override {
    REQUIRE(in_flight_.empty());
    if (way != engine::EraseWay::zero && !disk_.discards) return false;
    IMPRINT_CHECK(disk_.end());
    if (!disk_.lies_when_erasing) {
      std::fill_n(disk_.bytes.begin() + static_cast<std::ptrdiff_t>(extent.offset), extent.length, std::uint8_t{0});
    }
    disk_.events.push_back({MemoryDisk::Event::Kind::erase, extent.offset, extent.length, way});
    return true;
  }
  [[nodiscard]] std::vector<std::string> notes() const override { return {"a disk in memory"}; }

 private:
  struct InFlight {
    Request request;
    Gather gather;
  };
  void add(InFlight one) {
    for (const InFlight& other : in_flight_) REQUIRE(other.request.buffer != one.request.buffer);
    in_flight_.push_back(std::move(one));
    disk_.most_in_flight = std::max(disk_.most_in_flight, static_cast<unsigned>(in_flight_.size()));
  }
  MemoryDisk& disk_;
  std::array<core::ByteBuffer, kDepth> buffers_;
  std::vector<InFlight> in_flight_;
};

class MemoryTarget final : public engine::BlockTarget {
 public:
  explicit MemoryTarget(MemoryDisk& disk) : disk_(disk) {}
  [[nodiscard]] core::Result<engine::DeviceIdentity> identify() override {
    engine::DeviceIdentity identity;
    identity.disk = engine::DiskGeometry{512, disk_.bytes.size()};
    identity.is_bare_disk = true;
    return identity;
  }
  [[nodiscard]] core::Result<std::unique_ptr<core::BlockSink>> open_for_writing() override {
    return core::fail("io.open-failed");
  }
  [[nodiscard]] core::Result<std::shared_ptr<const core::BlockSource>> open_disk() override {
    return core::fail("io.open-failed");
  }
  [[nodiscard]] core::Result<std::unique_ptr<engine::QueuedDisk>> open_queue_for_writing() override {
    ++openings;
    return std::make_unique<MemoryQueue>(disk_);
  }
  [[nodiscard]] core::Status reboot() override { return {}; }
  unsigned openings = 0;

 private:
  MemoryDisk& disk_;
};

class Listener final : public engine::TransferObserver {
 public:
  void on_bytes(std::uint64_t bytes) override {
    done = bytes;
    if (after_bytes) after_bytes();
  }
  void on_device_log(std::string_view /*line*/) override {}
  std::uint64_t done = 0;
  std::function<void()> after_bytes;
};

// An FFU of the parts of `disk` that `described` names by blocks of 128 KiB, in that order, for a disk of that size.
inline std::shared_ptr<engine::VerifiedImage> image_of(const core::ByteBuffer& disk,
                                                       const std::vector<std::uint32_t>& described,
                                                       std::uint32_t chunk_size = 131072) {
  class Growing final : public core::BlockSink {
   public:
    [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override {
      bytes.resize(std::max<std::size_t>(bytes.size(), offset + data.size()));
      std::ranges::copy(data, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
      return {};
    }
    [[nodiscard]] core::Status flush() override { return {}; }
    core::ByteBuffer bytes;
  };
  const core::MemorySource source(disk);
  ffu::Store store;
  store.platform_ids = {"Imprint.Virtual.Board.1"};
  for (const std::uint32_t block : described) {
    store.descriptors.push_back({.block_count = 1,
                                 .location_count = 1,
                                 .first_location = static_cast<std::uint32_t>(store.locations.size()),
                                 .plain_offset = std::uint64_t{block} * 131072});
    store.locations.push_back({ffu::AccessMethod::disk_begin, block});
  }
  ffu::WriteRequest request;
  request.chunk_size = chunk_size;
  request.manifest =
      "[FullFlash]\r\nVersion = 2.0\r\nDevicePlatformId0 = Imprint.Virtual.Board.1\r\n\r\n"
      "[Store]\r\nSectorSize = 512\r\nMinSectorCount = " +
      std::to_string(disk.size() / 512) + "\r\n";
  request.make_catalog = [](core::ByteView) -> core::Result<core::ByteBuffer> { return core::ByteBuffer(64); };
  request.stores.push_back({std::move(store), &source});
  Growing file;
  REQUIRE(ffu::write_image(request, file));
  return engine::VerifiedImage::open(std::make_shared<core::MemorySource>(std::move(file.bytes))).value();
}

// Bytes that are all different from those of their neighbours, and never a page of zeros.
inline core::ByteBuffer noise(std::size_t size, std::uint8_t seed) {
  core::ByteBuffer out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(1 + (i * 31 + i / 251 + seed) % 255);
  return out;
}

}  // namespace imprint::fixture
