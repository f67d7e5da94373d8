// SPDX-License-Identifier: GPL-3.0-or-later
// Small FFU files made by hand, byte by byte, so that the devices are not tested with the product's own writer.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/engine/target.hpp"

namespace imprint::fixture {

struct Location {
  std::uint32_t method = 0;  // 0 from the start, 2 from the end
  std::uint32_t block = 0;
};

struct Descriptor {
  std::vector<Location> locations;
  std::uint32_t block_count = 1;
  std::uint8_t seed = 1;  // of the payload's bytes
};

struct ImageOptions {
  std::string platform_id = "Imprint.Virtual.Board.1";
  std::uint32_t chunk_kib = 16;
  std::uint32_t block_size = 16384;
  std::uint64_t disk_size = 4U << 20;
  std::vector<Descriptor> descriptors;
  std::size_t catalog_size = 100;
};

struct Image {
  core::ByteBuffer file;
  std::size_t hashed_offset = 0;
  std::size_t payload_offset = 0;
  std::uint32_t chunk_size = 0;
};

// Without a signature: the catalog is `catalog_size` bytes that mean nothing.
[[nodiscard]] Image build_image(const ImageOptions& options);
[[nodiscard]] Image small_image();
// An image whose file is a whole number of packets.
[[nodiscard]] Image image_of_size_multiple(std::size_t packet);
// What the disk holds afterwards, worked out from the options alone.
[[nodiscard]] core::ByteBuffer expected_disk(const ImageOptions& options, std::uint8_t fill);
// n descriptors of one block at every other block; the first and the last also at the disk's end.
[[nodiscard]] std::vector<Descriptor> simple_descriptors(std::uint32_t n);

class MemoryStream final : public engine::ImageStream {
 public:
  explicit MemoryStream(core::ByteBuffer bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const override { return claimed_size ? *claimed_size : bytes_.size(); }
  [[nodiscard]] core::Status read(std::uint64_t offset, core::ByteSpan out) override {
    if (offset >= fail_from) return core::fail("io.read-failed").with("offset", offset);
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return core::fail("io.out-of-range");
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  [[nodiscard]] std::uint32_t shared_value(std::uint64_t family, std::uint64_t index,
                                           const std::function<std::uint32_t()>& compute) override {
    const auto [entry, fresh] = values_.try_emplace({family, index}, 0);
    if (fresh) {
      entry->second = compute();
      ++computed;
    }
    return entry->second;
  }

  std::uint64_t fail_from = UINT64_MAX;
  std::optional<std::uint64_t> claimed_size;
  int computed = 0;

 private:
  core::ByteBuffer bytes_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> values_;
};

class RecordingObserver final : public engine::TransferObserver {
 public:
  void on_bytes(std::uint64_t done) override {
    progress.push_back(done);
    if (after_bytes) after_bytes();
  }
  void on_device_log(std::string_view line) override { log.emplace_back(line); }
  std::vector<std::uint64_t> progress;
  std::vector<std::string> log;
  std::function<void()> after_bytes;
};

}  // namespace imprint::fixture
