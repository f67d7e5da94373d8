// SPDX-License-Identifier: GPL-3.0-or-later
// Writes small FFU files by hand, after the format's description alone.
#include "tests/unit/devices/ffu_fixture.hpp"

#include "flash/core/digest.hpp"

namespace imprint::fixture {
namespace {

// A writer of its own, so that a mistake in the product's cannot hide in the fixture.
class Out {
 public:
  void le32(std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  void le16(std::uint16_t value) {
    for (int shift = 0; shift < 16; shift += 8) bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  void bytes(core::ByteView data) {
    for (const std::uint8_t b : data) bytes_.push_back(b);
  }
  void zeros(std::size_t count) {
    for (; count != 0; --count) bytes_.push_back(0);
  }
  void align(std::size_t size) {
    while (bytes_.size() % size != 0) bytes_.push_back(0);
  }
  [[nodiscard]] const core::ByteBuffer& buffer() const { return bytes_; }
  [[nodiscard]] core::ByteBuffer release() { return std::move(bytes_); }

 private:
  core::ByteBuffer bytes_;
};

std::uint8_t payload_byte(std::uint8_t seed, std::uint64_t at) {
  return static_cast<std::uint8_t>((at * 31 + (at >> 8) * 17 + seed) ^ (seed * 73));
}

core::ByteBuffer payload_of(const ImageOptions& options) {
  core::ByteBuffer payload;
  for (const Descriptor& d : options.descriptors) {
    for (std::uint64_t i = 0; i < std::uint64_t{d.block_count} * options.block_size; ++i)
      payload.push_back(payload_byte(d.seed, i));
  }
  return payload;
}

core::ByteBuffer descriptor_table(const ImageOptions& options) {
  Out out;
  for (const Descriptor& d : options.descriptors) {
    out.le32(static_cast<std::uint32_t>(d.locations.size()));
    out.le32(d.block_count);
    for (const Location& l : d.locations) {
      out.le32(l.method);
      out.le32(l.block);
    }
  }
  return out.release();
}

core::ByteBuffer hashed_part(const ImageOptions& options, std::size_t& payload_start) {
  const std::string manifest =
      "[FullFlash]\r\nVersion = 2.0\r\nOSVersion = 10.0\r\nDescription = test\r\nDevicePlatformId0 = " +
      options.platform_id +
      "\r\n\r\n[Store]\r\nSectorSize = 512\r\nMinSectorCount = " + std::to_string(options.disk_size / 512) + "\r\n";
  const std::size_t chunk = options.chunk_kib * std::size_t{1024};
  Out out;
  out.le32(24);
  out.bytes(core::as_bytes("ImageFlash  "));
  out.le32(static_cast<std::uint32_t>(manifest.size()));
  out.le32(options.chunk_kib);
  out.bytes(core::as_bytes(manifest));
  out.align(chunk);

  const core::ByteBuffer table = descriptor_table(options);
  const auto count = static_cast<std::uint32_t>(options.descriptors.size());
  out.le32(0);
  for (const std::uint16_t version : {1, 0, 2, 0}) out.le16(version);
  out.bytes(core::as_bytes(options.platform_id));
  out.zeros(192 - options.platform_id.size());
  out.le32(options.block_size);
  for (const std::uint32_t field : {count, static_cast<std::uint32_t>(table.size()), 0U, 0U, 0U, 0U, 0U, 0U, 0U, count})
    out.le32(field);
  out.bytes(table);
  out.align(chunk);
  payload_start = out.buffer().size();
  out.bytes(payload_of(options));
  return out.release();
}

}  // namespace

std::vector<Descriptor> simple_descriptors(std::uint32_t n) {
  std::vector<Descriptor> out;
  for (std::uint32_t i = 0; i < n; ++i) out.push_back({{{0, i * 2}}, 1, static_cast<std::uint8_t>(i + 1)});
  out.front().locations.push_back({2, 1});
  out.back().locations.push_back({2, 0});
  return out;
}

Image build_image(const ImageOptions& options) {
  Image image;
  image.chunk_size = options.chunk_kib * 1024;
  std::size_t payload_start = 0;
  const core::ByteBuffer hashed = hashed_part(options, payload_start);
  Out hashes;
  for (std::size_t at = 0; at < hashed.size(); at += image.chunk_size) {
    core::ByteBuffer chunk(
        hashed.begin() + static_cast<std::ptrdiff_t>(at),
        hashed.begin() + static_cast<std::ptrdiff_t>(std::min(at + image.chunk_size, hashed.size())));
    chunk.resize(image.chunk_size);
    hashes.bytes(core::sha256(chunk));
  }
  Out out;
  out.le32(32);
  out.bytes(core::as_bytes("SignedImage "));
  out.le32(options.chunk_kib);
  out.le32(0x800C);
  out.le32(static_cast<std::uint32_t>(options.catalog_size));
  out.le32(static_cast<std::uint32_t>(hashes.buffer().size()));
  out.bytes(core::ByteBuffer(options.catalog_size, 0xCA));
  out.bytes(hashes.buffer());
  out.align(image.chunk_size);
  image.hashed_offset = out.buffer().size();
  image.payload_offset = image.hashed_offset + payload_start;
  out.bytes(hashed);
  image.file = out.release();
  return image;
}

Image small_image() {
  ImageOptions options;
  options.descriptors = simple_descriptors(24);
  return build_image(options);
}

Image image_of_size_multiple(std::size_t packet) {
  ImageOptions options;
  for (std::uint32_t n = 1;; ++n) {
    options.descriptors = simple_descriptors(n);
    Image image = build_image(options);
    if (image.file.size() % packet == 0) return image;
  }
}

core::ByteBuffer expected_disk(const ImageOptions& options, std::uint8_t fill) {
  core::ByteBuffer disk(options.disk_size, fill);
  for (const Descriptor& d : options.descriptors) {
    for (const Location& l : d.locations) {
      const std::uint64_t start = l.method == 0 ? std::uint64_t{l.block} * options.block_size
                                                : options.disk_size - (std::uint64_t{l.block} + 1) * options.block_size;
      for (std::uint64_t i = 0; i < std::uint64_t{d.block_count} * options.block_size; ++i)
        disk[start + i] = payload_byte(d.seed, i);
    }
  }
  return disk;
}

}  // namespace imprint::fixture
