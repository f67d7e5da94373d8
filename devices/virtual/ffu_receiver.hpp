// SPDX-License-Identifier: GPL-3.0-or-later
// What a device does with the FFU that streams into it: parse the headers, check that the image is for it, check each
// chunk against the hash table before any of it touches the disk, apply the write descriptors in order.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "devices/virtual/virtual_storage.hpp"
#include "flash/core/bytes.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::virtual_device {

// Why the device gives up: an id of simple_io::kDeviceErrors and words for the log.
struct DeviceFault {
  std::int16_t id = 0;
  std::string text;
};
using Verdict = std::expected<void, DeviceFault>;

// Whether the catalog vouches for the hash table, as this device's keys see it.
using CatalogCheck = std::function<bool(const ffu::Image&)>;

// Trusting is for benchmarks, where the simulator must not be what is measured: neither hashes nor the catalog are
// checked then, the rest of the image still is.
enum class ImageRule : std::uint8_t { check, trust };

// Not thread-safe. After a fault nothing may be taken any more.
class FfuReceiver {
 public:
  // Without a check any catalog is accepted, like a device whose secure boot is off.
  FfuReceiver(std::shared_ptr<VirtualStorage> storage, std::string platform_id, CatalogCheck check_catalog,
              ImageRule rule = ImageRule::check);

  // The next bytes of the file, in any portions.
  [[nodiscard]] Verdict take(core::ByteView bytes);
  // The file is over: good only when every block that the image describes is on the disk.
  [[nodiscard]] Verdict finish();

 private:
  [[nodiscard]] Verdict collect_header(core::ByteView bytes);
  [[nodiscard]] Verdict accept_header(std::optional<std::uint64_t> file_size);
  [[nodiscard]] Verdict check_image(const ffu::Image& image) const;
  [[nodiscard]] Verdict hash(core::ByteView bytes);
  [[nodiscard]] Verdict close_chunk(core::ByteView chunk);
  [[nodiscard]] Verdict apply(core::ByteView payload);
  [[nodiscard]] Verdict write_block(core::ByteView block);
  void skip_finished_descriptors();
  [[nodiscard]] Verdict confirm_reading() const;

  std::shared_ptr<VirtualStorage> storage_;
  std::string platform_id_;
  CatalogCheck check_catalog_;
  ImageRule rule_;

  core::ByteBuffer header_;  // the file's start, with all headers
  std::uint64_t received_ = 0;
  std::uint64_t zero_tail_ = 0;  // of what was received, the zeros at its end
  std::uint64_t header_wanted_ = 0;
  std::optional<ffu::Image> image_;
  std::uint64_t chunk_ = 0;       // number of the chunk that is being gathered
  core::ByteBuffer gathered_;     // its bytes so far
  std::size_t descriptor_ = 0;    // the one that the next payload block belongs to
  std::uint32_t block_ = 0;       // that block's number in it
  core::ByteBuffer block_bytes_;  // its bytes so far, where chunks and blocks do not end together
};

}  // namespace imprint::virtual_device
