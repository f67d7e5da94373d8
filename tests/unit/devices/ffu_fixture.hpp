// SPDX-License-Identifier: GPL-3.0-or-later
// Small FFU files made by hand, byte by byte, so that the devices are not tested with the product's own writer.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/digest.hpp"
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

inline std::uint8_t payload_byte(std::uint8_t seed, std::uint64_t at) {
  return static_cast<std::uint8_t>((at * 31 + (at >> 8) * 17 + seed) ^ (seed * 73));
}

// Descriptors 0 to n-1 at consecutive blocks, the first and the last also from the disk's end.
inline std::vector<Descriptor> simple_descriptors(std::uint32_t n) {
  std::vector<Descriptor> out;
  for (std::uint32_t i = 0; i < n; ++i) out.push_back({{{0, i * 2}}, 1, static_cast<std::uint8_t>(i + 1)});
  out.front().locations.push_back({2, 1});
  out.back().locations.push_back({2, 0});
  return out;
}

inline core::ByteBuffer payload_of(const ImageOptions& options) {
  core::ByteBuffer payload;
  for (const Descriptor& d : options.descriptors) {
    for (std::uint64_t i = 0; i < std::uint64_t{d.block_count} * options.block_size; ++i) payload.push_back(payload_byte(d.seed, i));
  }
  return payload;
}

inline core::ByteBuffer descriptor_table(const ImageOptions& options) {
  core::ByteWriter out;
  for (const Descriptor& d : options.descriptors) {
    out.le(static_cast<std::uint32_t>(d.locations.size()));
    out.le(d.block_count);
    for (const Location& l : d.locations) {
      out.le(l.method);
      out.le(l.block);
    }
  }
  return out.release();
}

inline core::ByteBuffer hashed_part(const ImageOptions& options, std::size_t& payload_start) {
  const std::string manifest = "[FullFlash]\r\nVersion = 2.0\r\nOSVersion = 10.0\r\nDescription = test\r\nDevicePlatformId0 = " +
                               options.platform_id + "\r\n\r\n[Store]\r\nSectorSize = 512\r\nMinSectorCount = " +
                               std::to_string(options.disk_size / 512) + "\r\n";
  const std::size_t chunk = options.chunk_kib * std::size_t{1024};
  core::ByteWriter out;
  out.le(std::uint32_t{24});
  out.bytes(core::as_bytes("ImageFlash  "));
  out.le(static_cast<std::uint32_t>(manifest.size()));
  out.le(options.chunk_kib);
  out.bytes(core::as_bytes(manifest));
  out.align(chunk);

  const core::ByteBuffer table = descriptor_table(options);
  const auto count = static_cast<std::uint32_t>(options.descriptors.size());
  out.le(std::uint32_t{0});
  for (const std::uint16_t version : {1, 0, 2, 0}) out.le(version);
  out.bytes(core::as_bytes(options.platform_id));
  out.zeros(192 - options.platform_id.size());
  out.le(options.block_size);
  for (const std::uint32_t field : {count, static_cast<std::uint32_t>(table.size()), 0U, 0U, 0U, 0U, 0U, 0U, 0U, count}) out.le(field);
  out.bytes(table);
  out.align(chunk);
  payload_start = out.buffer().size();
  out.bytes(payload_of(options));
  return out.release();
}

inline Image build_image(const ImageOptions& options) {
  Image image;
  image.chunk_size = options.chunk_kib * 1024;
  std::size_t payload_start = 0;
  const core::ByteBuffer hashed = hashed_part(options, payload_start);
  core::ByteWriter hashes;
  for (std::size_t at = 0; at < hashed.size(); at += image.chunk_size) {
    core::ByteBuffer chunk(hashed.begin() + static_cast<std::ptrdiff_t>(at),
                           hashed.begin() + static_cast<std::ptrdiff_t>(std::min(at + image.chunk_size, hashed.size())));
    chunk.resize(image.chunk_size);
    hashes.bytes(core::sha256(chunk));
  }
  core::ByteWriter out;
  out.le(std::uint32_t{32});
  out.bytes(core::as_bytes("SignedImage "));
  out.le(options.chunk_kib);
  out.le(std::uint32_t{0x800C});
  out.le(static_cast<std::uint32_t>(options.catalog_size));
  out.le(static_cast<std::uint32_t>(hashes.buffer().size()));
  out.bytes(core::ByteBuffer(options.catalog_size, 0xCA));
  out.bytes(hashes.buffer());
  out.align(image.chunk_size);
  image.hashed_offset = out.buffer().size();
  image.payload_offset = image.hashed_offset + payload_start;
  out.bytes(hashed);
  image.file = out.release();
  return image;
}

inline Image small_image() {
  ImageOptions options;
  options.descriptors = simple_descriptors(24);
  return build_image(options);
}

// The catalog is not hashed, so its size sets the file's length modulo the chunk and more.
inline Image image_of_size_multiple(std::size_t packet) {
  ImageOptions options;
  for (std::uint32_t n = 1;; ++n) {
    options.descriptors = simple_descriptors(n);
    Image image = build_image(options);
    if (image.file.size() % packet == 0) return image;
  }
}

// What the disk holds afterwards, worked out from the options alone.
inline core::ByteBuffer expected_disk(const ImageOptions& options, std::uint8_t fill) {
  core::ByteBuffer disk(options.disk_size, fill);
  for (const Descriptor& d : options.descriptors) {
    for (const Location& l : d.locations) {
      const std::uint64_t start = l.method == 0 ? std::uint64_t{l.block} * options.block_size
                                                : options.disk_size - (std::uint64_t{l.block} + 1) * options.block_size;
      for (std::uint64_t i = 0; i < std::uint64_t{d.block_count} * options.block_size; ++i) disk[start + i] = payload_byte(d.seed, i);
    }
  }
  return disk;
}

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
