// SPDX-License-Identifier: GPL-3.0-or-later
// Takes an FFU apart as it comes in. The order of the checks is that of a device: platform, signature, hash, disk.
#include "devices/virtual/ffu_receiver.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "flash/ffu/hashed_unit.hpp"

namespace imprint::virtual_device {
namespace {

// Device error ids of simple_io::kDeviceErrors, by name.
constexpr std::int16_t kInvalidStoreHeader = 8;
constexpr std::int16_t kImageEnded = 12;
constexpr std::int16_t kBlockWriteFailed = 13;
constexpr std::int16_t kSecureHeaderReadFailed = 15;
constexpr std::int16_t kInvalidSecureHeader = 16;
constexpr std::int16_t kInvalidImageHeader = 18;
constexpr std::int16_t kExcessBlocks = 21;
constexpr std::int16_t kInvalidPlatformId = 22;
constexpr std::int16_t kHashCheckFailed = 23;
constexpr std::int16_t kSignatureCheckFailed = 24;
constexpr std::int16_t kInvalidWriteDescriptors = 28;

std::unexpected<DeviceFault> give_up(std::int16_t id, std::string text) {
  return std::unexpected(DeviceFault{id, std::move(text)});
}

// The device's number for what its parser found.
std::int16_t device_error_for(std::string_view parse_error) {
  constexpr std::string_view kSecurity[] = {"ffu.not-an-ffu",   "ffu.security-header",  "ffu.chunk-size",
                                            "ffu.catalog-size", "ffu.hash-table-size",  "ffu.hash-algorithm",
                                            "ffu.hash-count",   "ffu.header-too-large", "ffu.padding-not-zero"};
  constexpr std::string_view kImage[] = {"ffu.image-header", "ffu.manifest", "ffu.device-targeting"};
  constexpr std::string_view kDescriptors[] = {"ffu.write-descriptors", "ffu.access-method", "ffu.end-run-ambiguous",
                                               "ffu.run-overlap"};
  if (std::ranges::find(kSecurity, parse_error) != std::end(kSecurity)) return kInvalidSecureHeader;
  if (std::ranges::find(kImage, parse_error) != std::end(kImage)) return kInvalidImageHeader;
  if (std::ranges::find(kDescriptors, parse_error) != std::end(kDescriptors)) return kInvalidWriteDescriptors;
  if (parse_error == "ffu.trailing-bytes") return kExcessBlocks;
  return kInvalidStoreHeader;
}

std::unexpected<DeviceFault> give_up(const core::Error& error) {
  return give_up(device_error_for(error.id()), error.message());
}

}  // namespace

FfuReceiver::FfuReceiver(std::shared_ptr<VirtualStorage> storage, std::string platform_id, CatalogCheck check_catalog,
                         ImageRule rule)
    : storage_(std::move(storage)),
      platform_id_(std::move(platform_id)),
      check_catalog_(std::move(check_catalog)),
      rule_(rule) {}

Verdict FfuReceiver::take(core::ByteView bytes) {
  received_ += bytes.size();
  const auto zeros = std::ranges::find_if(bytes.rbegin(), bytes.rend(), [](auto byte) { return byte != 0; });
  zero_tail_ = static_cast<std::uint64_t>(zeros - bytes.rbegin()) + (zeros == bytes.rend() ? zero_tail_ : 0);
  return image_ ? hash(bytes) : collect_header(bytes);
}

Verdict FfuReceiver::collect_header(core::ByteView bytes) {
  header_.insert(header_.end(), bytes.begin(), bytes.end());
  while (header_wanted_ <= header_.size()) {
    const auto wanted = ffu::header_bytes(header_);
    if (!wanted) return give_up(wanted.error());
    if (*wanted <= header_.size()) return accept_header(std::nullopt);
    header_wanted_ = *wanted;
  }
  return {};
}

Verdict FfuReceiver::accept_header(std::optional<std::uint64_t> file_size) {
  auto parsed = ffu::parse_image(header_, file_size);
  if (!parsed) return give_up(parsed.error());
  if (Verdict good = check_image(*parsed); !good) return good;
  image_ = std::move(*parsed);
  skip_finished_descriptors();
  return hash(core::ByteView(header_).subspan(image_->hashed_offset));
}

Verdict FfuReceiver::check_image(const ffu::Image& image) const {
  if (!ffu::platform_matches(image.platform_ids(), platform_id_)) {
    return give_up(kInvalidPlatformId, fmt::format("this device is {}", platform_id_));
  }
  if (rule_ == ImageRule::check && check_catalog_ && !check_catalog_(image))
    return give_up(kSignatureCheckFailed, "the catalog is not trusted");
  if (image.is_compressed()) return give_up(kInvalidStoreHeader, "this device takes no compressed images");
  if (image.stores.size() != 1) {
    return give_up(kInvalidStoreHeader, fmt::format("{} stores for the one disk of this device", image.stores.size()));
  }
  const std::uint32_t sector_size = image.manifest.stores.empty() ? 512 : image.manifest.stores.front().sector_size;
  if (const auto valid = ffu::check_validation(image.stores.front(), *storage_, sector_size); !valid) {
    return give_up(kInvalidStoreHeader, valid.error().message());
  }
  // Checked before the first write, so that an image for a larger disk leaves this one as it is.
  const ffu::Store& store = image.stores.front();
  for (std::size_t i = 0; i < store.descriptors.size(); ++i) {
    const ffu::WriteDescriptor& descriptor = store.descriptors[i];
    if (descriptor.block_count == 0) continue;
    for (const ffu::DiskLocation& location : store.locations_of(descriptor)) {
      for (const std::uint64_t block : {std::uint64_t{0}, std::uint64_t{descriptor.block_count} - 1}) {
        if (!ffu::disk_offset(location, block, store.block_size, storage_->size())) {
          return give_up(kInvalidWriteDescriptors, fmt::format("descriptor {} lies outside of the disk", i));
        }
      }
    }
  }
  return {};
}

Verdict FfuReceiver::hash(core::ByteView bytes) {
  const std::size_t chunk_size = image_->chunk_size;
  while (!bytes.empty()) {
    if (gathered_.empty() && bytes.size() >= chunk_size) {
      if (Verdict good = close_chunk(bytes.first(chunk_size)); !good) return good;
      bytes = bytes.subspan(chunk_size);
      continue;
    }
    const std::size_t part = std::min(chunk_size - gathered_.size(), bytes.size());
    gathered_.insert(gathered_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
    bytes = bytes.subspan(part);
    if (gathered_.size() < chunk_size) continue;
    if (Verdict good = close_chunk(gathered_); !good) return good;
    gathered_.clear();
  }
  return {};
}

// Nothing of a chunk is used before its hash was found right.
Verdict FfuReceiver::close_chunk(core::ByteView chunk) {
  if (chunk_ >= ffu::hashed_units(*image_)) return give_up(kExcessBlocks, "the file is longer than its hash table");
  if (rule_ == ImageRule::check && !ffu::check_unit(*image_, chunk_, chunk))
    return give_up(kHashCheckFailed, fmt::format("chunk {}", chunk_));
  const std::uint64_t start = image_->hashed_offset + chunk_ * image_->chunk_size;
  ++chunk_;
  const std::uint64_t header_part = image_->payload_offset > start ? image_->payload_offset - start : 0;
  if (header_part >= chunk.size()) return {};
  return apply(chunk.subspan(static_cast<std::size_t>(header_part)));
}

Verdict FfuReceiver::apply(core::ByteView payload) {
  const ffu::Store& store = image_->stores.front();
  while (!payload.empty()) {
    if (descriptor_ == store.descriptors.size()) {
      // Zeros may fill up the last chunk; anything else is payload that no descriptor asks for.
      const bool padding =
          chunk_ == ffu::hashed_units(*image_) && std::ranges::all_of(payload, [](auto b) { return b == 0; });
      return padding ? Verdict{} : give_up(kExcessBlocks, "payload follows the last write descriptor");
    }
    if (block_bytes_.empty() && payload.size() >= store.block_size) {
      if (Verdict good = write_block(payload.first(store.block_size)); !good) return good;
      payload = payload.subspan(store.block_size);
      continue;
    }
    const std::size_t part = std::min(store.block_size - block_bytes_.size(), payload.size());
    block_bytes_.insert(block_bytes_.end(), payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(part));
    payload = payload.subspan(part);
    if (block_bytes_.size() < store.block_size) continue;
    if (Verdict good = write_block(block_bytes_); !good) return good;
    block_bytes_.clear();
  }
  return {};
}

Verdict FfuReceiver::write_block(core::ByteView block) {
  const ffu::Store& store = image_->stores.front();
  for (const ffu::DiskLocation& location : store.locations_of(store.descriptors[descriptor_])) {
    const auto offset = ffu::disk_offset(location, block_, store.block_size, storage_->size());
    if (!offset) return give_up(kInvalidWriteDescriptors, offset.error().message());
    if (const auto written = storage_->write_at(*offset, block); !written) {
      return give_up(kBlockWriteFailed, written.error().message());
    }
  }
  ++block_;
  skip_finished_descriptors();
  return {};
}

void FfuReceiver::skip_finished_descriptors() {
  const auto& descriptors = image_->stores.front().descriptors;
  while (descriptor_ < descriptors.size() && block_ == descriptors[descriptor_].block_count) {
    ++descriptor_;
    block_ = 0;
  }
}

Verdict FfuReceiver::finish() {
  if (!image_) {
    // A small file can be over before the most careful guess at its headers' length is reached.
    if (header_.empty()) return give_up(kSecureHeaderReadFailed, "the image is empty");
    const std::uint64_t file_size = header_.size();
    if (Verdict good = accept_header(file_size); !good) return good;
  }
  if (!gathered_.empty()) {
    if (Verdict good = close_chunk(gathered_); !good) return good;
    gathered_.clear();
  }
  if (descriptor_ != image_->stores.front().descriptors.size() || chunk_ != ffu::hashed_units(*image_)) {
    return give_up(kImageEnded, fmt::format("the image ended in descriptor {}", descriptor_));
  }
  return confirm_reading();
}

// While bytes come in, the format's own rule of padding has to do. Only the file's end tells whether it was the right
// one: if not, the wrong bytes were written, and that is never good.
Verdict FfuReceiver::confirm_reading() const {
  const auto tail_is_zero = [&](std::uint64_t from) -> core::Result<bool> { return received_ - from <= zero_tail_; };
  const auto image = ffu::parse_file(header_, received_, tail_is_zero);
  if (!image) return give_up(image.error());
  if (image->payload_offset != image_->payload_offset)
    return give_up(kInvalidStoreHeader,
                   fmt::format("the payload begins at {}, not at {}", image->payload_offset, image_->payload_offset));
  return {};
}

}  // namespace imprint::virtual_device
