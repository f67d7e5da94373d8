// SPDX-License-Identifier: GPL-3.0-or-later
// A Full Flash Update file, parsed and checked: everything before the payload, in memory, and where the payload lies.
// Source: Microsoft, "FFU image format"; field observations in docs/formats.md.
//
// Two address spaces: *stored* offsets are bytes of the file; *plain* offsets are bytes of the file as it would be if
// its payload were not compressed. They are the same but for the payload of compressed images.
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
#include "flash/ffu/manifest.hpp"

namespace imprint::ffu {

// The forms of the field. Several stores need v2; compression needs v1_compressed.
enum class Form : std::uint8_t { v1, v1_compressed, v2 };
[[nodiscard]] std::string_view to_string(Form form);  // "V1", "V1 compressed", "V2"

enum class UpdateType : std::uint8_t { full, partial };

enum class AccessMethod : std::uint32_t { disk_begin = 0, disk_end = 2 };

struct DiskLocation {
  AccessMethod method = AccessMethod::disk_begin;
  std::uint32_t block_index = 0;
  friend bool operator==(const DiskLocation&, const DiskLocation&) = default;
};

// One run of payload blocks and the places on the disk where it goes. In a compressed image a run is one block.
struct WriteDescriptor {
  std::uint32_t block_count = 0;
  std::uint32_t location_count = 0;
  std::uint32_t first_location = 0;   // index into Store::locations
  std::uint32_t compressed_size = 0;  // bytes; 0 where the image is not compressed
  std::uint64_t stored_offset = 0;
  std::uint64_t plain_offset = 0;
};

// What a device's disk has to hold before a partial update may be applied.
struct ValidationEntry {
  std::uint32_t sector_index = 0;
  std::uint32_t sector_offset = 0;  // bytes into the sector
  std::uint32_t data_offset = 0;    // into Store::validation_data
  std::uint32_t data_size = 0;      // bytes
};

// Ranges of descriptors, as the store header has them. Hints: writers do not agree on them, and nothing is refused for
// them.
struct PhaseTables {
  std::uint32_t initial_index = 0;
  std::uint32_t initial_count = 0;
  std::uint32_t flash_only_index = 0;
  std::uint32_t flash_only_count = 0;
  std::uint32_t final_index = 0;
  std::uint32_t final_count = 0;
  friend bool operator==(const PhaseTables&, const PhaseTables&) = default;
};

struct Store {
  UpdateType update_type = UpdateType::full;
  std::uint16_t major_version = 1;
  std::uint16_t minor_version = 0;
  std::uint16_t full_flash_major = 2;
  std::uint16_t full_flash_minor = 0;
  std::vector<std::string> platform_ids;
  std::uint32_t block_size = 131072;         // bytes
  std::vector<WriteDescriptor> descriptors;  // in file order; a later write to the same block wins
  std::vector<DiskLocation> locations;
  std::vector<ValidationEntry> validation;
  core::ByteBuffer validation_data;
  PhaseTables phases;
  std::uint64_t stored_offset = 0;          // of the payload
  std::uint64_t stored_size = 0;            // of the payload, bytes
  std::uint32_t compression_algorithm = 0;  // as the header has it: what it means is settled by the blocks' hashes
  std::string device_path;                  // V2, empty in V1
  std::uint64_t extension_offset = 0;       // V2: where the extension lies in the file
  std::uint64_t table_offset = 0;           // where the write descriptors lie in the file
  std::size_t entry_size = 8;               // bytes of a descriptor without its locations

  [[nodiscard]] std::span<const DiskLocation> locations_of(const WriteDescriptor& descriptor) const {
    return std::span(locations).subspan(descriptor.first_location, descriptor.location_count);
  }
  // Where a descriptor's k-th location lies in the file, for errors that name it.
  [[nodiscard]] std::uint64_t location_offset(std::size_t descriptor, std::size_t k) const {
    return table_offset + (descriptor + 1) * entry_size + 8 * (descriptors[descriptor].first_location + k);
  }
  [[nodiscard]] core::ByteView data_of(const ValidationEntry& entry) const {
    return core::ByteView(validation_data).subspan(entry.data_offset, entry.data_size);
  }
};

// A device model that the image names in its header (28-byte image headers). Empty texts match anything.
struct DeviceTarget {
  std::string manufacturer;
  std::string family;
  std::string product_name;
  std::string product_version;
  std::string sku_number;
  std::string baseboard_manufacturer;
  std::string baseboard_product;
  friend bool operator==(const DeviceTarget&, const DeviceTarget&) = default;
};

struct Image {
  Form form = Form::v1;
  std::uint64_t file_size = 0;
  std::uint32_t chunk_size = 0;  // bytes
  core::ByteBuffer catalog;
  core::ByteBuffer hash_table;       // SHA-256 of each hashed unit (hashed_unit.hpp), 32 bytes each
  std::uint64_t hashed_offset = 0;   // where unit 0 starts: the image header
  std::uint64_t payload_offset = 0;  // where the first store's payload starts, in both address spaces
  std::uint64_t payload_end = 0;     // where the last store's payload ends in the file; only zeros may follow
  std::uint64_t plain_size = 0;      // where it ends in the plain image: payload_end unless compressed
  std::uint32_t image_header_size = 24;
  std::vector<DeviceTarget> targets;
  std::string manifest_text;
  Manifest manifest;
  std::vector<Store> stores;

  // Every platform id that the image names (store headers), without doubles.
  [[nodiscard]] std::vector<std::string> platform_ids() const;
  [[nodiscard]] bool is_compressed() const { return form == Form::v1_compressed; }
  [[nodiscard]] bool is_partial_update() const;
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

// Do two of a run's places, counted from the disk's start, have blocks in common? Which of them would win is not
// settled by the format: such a run is neither read nor written.
[[nodiscard]] bool overlaps_itself(std::span<const DiskLocation> locations, std::uint32_t block_count);

// Printable ASCII, and not empty: what the manifest and the store header can hold.
[[nodiscard]] bool is_platform_id(std::string_view text);
// May these stand in a store header together? `ffu.platform-ids` for none, an empty one, one that cannot be shown, or
// more than the header's field holds.
[[nodiscard]] core::Status check_platform_ids(std::span<const std::string> ids);

// Does the device's platform id ("Manufacturer.Family.Product[.Version]") match one of the image's? Components may be
// '*'; an image id of three components matches any version. Compared as written, with case.
[[nodiscard]] bool platform_matches(std::span<const std::string> image_ids, std::string_view device_id);

// May a partial update be applied to this disk: does it hold what each of the store's validation entries says?
// `ffu.validation-failed` with the sector; good for a store without entries.
[[nodiscard]] core::Status check_validation(const Store& store, const core::BlockSource& disk,
                                            std::uint32_t sector_size);

}  // namespace imprint::ffu
