// SPDX-License-Identifier: GPL-3.0-or-later
// A Full Flash Update file, parsed and checked: everything before the payload, in memory, and where the payload lies.
// Source: Microsoft, "FFU image format"; field observations in docs/formats.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/result.hpp"

namespace imprint::ffu {

enum class AccessMethod : std::uint32_t { disk_begin = 0, disk_end = 2 };

struct DiskLocation {
  AccessMethod method = AccessMethod::disk_begin;
  std::uint32_t block_index = 0;
  friend bool operator==(const DiskLocation&, const DiskLocation&) = default;
};

// One run of payload blocks and the places on the disk where it goes.
struct WriteDescriptor {
  std::uint32_t block_count = 0;
  std::uint32_t location_count = 0;
  std::size_t first_location = 0;    // index into Store::locations
  std::uint64_t payload_offset = 0;  // bytes from the file's start
};

struct Store {
  std::uint16_t major_version = 0;
  std::uint16_t minor_version = 0;
  std::uint16_t full_flash_major = 0;
  std::uint16_t full_flash_minor = 0;
  std::vector<std::string> platform_ids;
  std::uint32_t block_size = 0;              // bytes
  std::vector<WriteDescriptor> descriptors;  // in file order; a later write to the same block wins
  std::vector<DiskLocation> locations;
  std::uint64_t payload_offset = 0;  // bytes from the file's start
  std::uint64_t payload_size = 0;    // bytes
  std::string device_path;           // V2, empty in V1

  [[nodiscard]] std::span<const DiskLocation> locations_of(const WriteDescriptor& descriptor) const {
    return std::span(locations).subspan(descriptor.first_location, descriptor.location_count);
  }
};

struct ManifestSection {
  std::string name;                                                  // "FullFlash", "Store", "Partition"
  std::vector<std::pair<std::string, std::string>> values;           // in file order
  [[nodiscard]] std::string_view value(std::string_view key) const;  // empty when it is not there
};

struct ManifestPartition {
  std::string name;
  std::string type;
  std::string id;
  std::string file_system;
  std::uint64_t total_sectors = 0;
  std::uint64_t used_sectors = 0;
  bool use_all_space = false;
};

struct ManifestStore {
  std::uint32_t sector_size = 512;     // bytes
  std::uint64_t min_sector_count = 0;  // 0: not given
  std::vector<ManifestPartition> partitions;
  [[nodiscard]] std::uint64_t min_disk_bytes() const { return min_sector_count * sector_size; }
};

struct Manifest {
  std::vector<ManifestSection> sections;
  std::string version;
  std::string os_version;
  std::string description;
  std::vector<std::string> platform_ids;
  std::vector<ManifestStore> stores;
};

struct Image {
  std::uint64_t file_size = 0;
  std::uint32_t chunk_size = 0;  // bytes
  core::ByteBuffer catalog;
  core::ByteBuffer hash_table;       // SHA-256 of each chunk, 32 bytes each
  std::uint64_t hashed_offset = 0;   // where chunk 0 starts: the image header
  std::uint64_t payload_offset = 0;  // where the first store's payload starts: a multiple of a block from hashed_offset
  std::uint64_t payload_end = 0;     // where the last store's payload ends; only zeros may follow, to a whole chunk
  std::string manifest_text;
  Manifest manifest;
  std::vector<Store> stores;

  [[nodiscard]] std::uint64_t chunk_count() const { return hash_table.size() / 32; }
  [[nodiscard]] core::ByteView chunk_hash(std::uint64_t chunk) const {
    return core::ByteView(hash_table).subspan(chunk * 32, 32);
  }
  // Every platform id that the image names (store headers), without doubles.
  [[nodiscard]] std::vector<std::string> platform_ids() const;
};

// How many bytes from the file's start everything before the payload takes, as far as `start` tells. The answer grows
// while headers are still missing; it is final once it is not larger than start.size(). For readers that see the file
// only as a stream. At most kMaxHeaderBytes.
[[nodiscard]] core::Result<std::uint64_t> header_bytes(core::ByteView start);
inline constexpr std::uint64_t kMaxHeaderBytes = 512ULL << 20;

// Parses the header area (header_bytes of it at least). With a file size, the payload has to fill the file exactly.
[[nodiscard]] core::Result<Image> parse_image(core::ByteView start, std::optional<std::uint64_t> file_size);
// Whether only zeros lie in the file from this offset on.
using ZeroTail = std::function<core::Result<bool>(std::uint64_t from)>;
// The same where the file's end can be asked for: it settles how the headers are padded (`ffu.padding-ambiguous`).
[[nodiscard]] core::Result<Image> parse_file(core::ByteView start, std::uint64_t file_size,
                                             const ZeroTail& tail_is_zero);
// The same from a file: reads the header area once. The bytes that were parsed are returned too, so that nothing has to
// be read twice between check and use.
struct OpenedImage {
  Image image;
  core::ByteBuffer header_area;  // [0, image.payload_offset)
};
[[nodiscard]] core::Result<OpenedImage> open_image(const core::BlockSource& file);

// Where a block lies on a disk: from its start, or from its end (block 0 is the last one, ending at the disk's end,
// also when the disk's size is no multiple of the block). `ffu.location-out-of-disk`.
[[nodiscard]] core::Result<std::uint64_t> disk_offset(const DiskLocation& location, std::uint64_t block,
                                                      std::uint32_t block_size, std::uint64_t disk_bytes);

// Does the device's platform id ("Manufacturer.Family.Product[.Version]") match one of the image's? Components may be
// '*'; an image id of three components matches any version. Compared as written, with case.
[[nodiscard]] bool platform_matches(std::span<const std::string> image_ids, std::string_view device_id);

}  // namespace imprint::ffu
