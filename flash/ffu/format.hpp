// SPDX-License-Identifier: GPL-3.0-or-later
// The binary structures of an FFU, declared once. All integers are little-endian and packed.
// Source: Microsoft, "FFU image format"; the V2 extension as image tools of the field write it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <tuple>

namespace imprint::ffu::format {

inline constexpr std::string_view kSecuritySignature = "SignedImage ";
inline constexpr std::string_view kImageSignature = "ImageFlash  ";
inline constexpr std::uint32_t kSha256Algorithm = 0x800C;  // CALG_SHA_256
inline constexpr std::size_t kHashSize = 32;
inline constexpr std::size_t kPlatformIdBytes = 192;

// Limits of this reader: far above any real image, low enough that a lying field cannot exhaust memory.
inline constexpr std::uint32_t kMaxCatalogBytes = 16U << 20;
inline constexpr std::uint32_t kMaxManifestBytes = 1U << 20;
inline constexpr std::uint32_t kMaxTargets = 64;
inline constexpr std::uint32_t kMaxTargetText = 4096;  // bytes of one of a target's seven texts
inline constexpr std::uint32_t kMaxValidationBytes = 16U << 20;
inline constexpr std::uint32_t kMaxDescriptors = 8U << 20;  // a block of 4 KiB each: 32 GiB of payload
inline constexpr std::size_t kMaxLocations = 16U << 20;
inline constexpr std::uint32_t kMinChunkBytes = 4096;
inline constexpr std::uint32_t kMaxChunkBytes = 16U << 20;
inline constexpr std::uint32_t kMinBlockBytes = 4096;
inline constexpr std::uint32_t kMaxBlockBytes = 1U << 20;
inline constexpr std::uint16_t kMaxStores = 64;

struct SecurityHeader {
  std::uint32_t size = 32;
  std::array<char, 12> signature{};
  std::uint32_t chunk_size_kb = 128;
  std::uint32_t algorithm = kSha256Algorithm;
  std::uint32_t catalog_size = 0;
  std::uint32_t hash_table_size = 0;
  static constexpr auto fields() {
    using S = SecurityHeader;
    return std::tuple{&S::size, &S::signature, &S::chunk_size_kb, &S::algorithm, &S::catalog_size, &S::hash_table_size};
  }
};

struct ImageHeader {
  std::uint32_t size = 24;  // 28 with the count of device targets behind it
  std::array<char, 12> signature{};
  std::uint32_t manifest_length = 0;
  std::uint32_t chunk_size_kb = 128;
  static constexpr auto fields() {
    using S = ImageHeader;
    return std::tuple{&S::size, &S::signature, &S::manifest_length, &S::chunk_size_kb};
  }
};

struct StoreHeader {
  std::uint32_t update_type = 0;  // 0 full, 1 partial
  std::uint16_t major_version = 1;
  std::uint16_t minor_version = 0;
  std::uint16_t full_flash_major = 2;
  std::uint16_t full_flash_minor = 0;
  std::array<char, kPlatformIdBytes> platform_ids{};
  std::uint32_t block_size = 131072;
  std::uint32_t write_descriptor_count = 0;
  std::uint32_t write_descriptor_length = 0;
  std::uint32_t validate_descriptor_count = 0;
  std::uint32_t validate_descriptor_length = 0;
  std::uint32_t initial_index = 0;
  std::uint32_t initial_count = 0;
  std::uint32_t flash_only_index = 0;
  std::uint32_t flash_only_count = 0;
  std::uint32_t final_index = 0;
  std::uint32_t final_count = 0;
  static constexpr auto fields() {
    using S = StoreHeader;
    return std::tuple{&S::update_type,
                      &S::major_version,
                      &S::minor_version,
                      &S::full_flash_major,
                      &S::full_flash_minor,
                      &S::platform_ids,
                      &S::block_size,
                      &S::write_descriptor_count,
                      &S::write_descriptor_length,
                      &S::validate_descriptor_count,
                      &S::validate_descriptor_length,
                      &S::initial_index,
                      &S::initial_count,
                      &S::flash_only_index,
                      &S::flash_only_count,
                      &S::final_index,
                      &S::final_count};
  }
};

// Follows the store header in version 2, before the device path (UTF-16, no terminator).
struct StoreExtension {
  std::uint16_t store_count = 1;
  std::uint16_t store_index = 1;  // from 1
  std::uint64_t payload_size = 0;
  std::uint16_t device_path_length = 0;  // UTF-16 units
  static constexpr auto fields() {
    using S = StoreExtension;
    return std::tuple{&S::store_count, &S::store_index, &S::payload_size, &S::device_path_length};
  }
};

// Follows the store header of a compressed image.
struct CompressionExtension {
  std::uint32_t algorithm = 0;  // 0 none, 1 default, 2 LZNT1, 3 XPRESS, 4 XPRESS Huffman: tools do not agree on 3 and 4
  static constexpr auto fields() { return std::tuple{&CompressionExtension::algorithm}; }
};

// Lengths in bytes of the seven texts that follow, in this order.
struct DeviceTargetLengths {
  std::uint32_t manufacturer = 0;
  std::uint32_t family = 0;
  std::uint32_t product_name = 0;
  std::uint32_t product_version = 0;
  std::uint32_t sku_number = 0;
  std::uint32_t baseboard_manufacturer = 0;
  std::uint32_t baseboard_product = 0;
  static constexpr auto fields() {
    using S = DeviceTargetLengths;
    return std::tuple{&S::manufacturer,     &S::family,     &S::product_name,
                      &S::product_version,  &S::sku_number, &S::baseboard_manufacturer,
                      &S::baseboard_product};
  }
};

struct ValidationEntry {
  std::uint32_t sector_index = 0;
  std::uint32_t sector_offset = 0;
  std::uint32_t byte_count = 0;  // bytes that follow
  static constexpr auto fields() {
    using S = ValidationEntry;
    return std::tuple{&S::sector_index, &S::sector_offset, &S::byte_count};
  }
};

struct BlockDataEntry {
  std::uint32_t location_count = 0;
  std::uint32_t block_count = 0;
  static constexpr auto fields() { return std::tuple{&BlockDataEntry::location_count, &BlockDataEntry::block_count}; }
};

// The same in a compressed image.
struct CompressedBlockDataEntry {
  std::uint32_t location_count = 0;
  std::uint32_t block_count = 0;
  std::uint32_t data_size = 0;  // bytes of the payload
  static constexpr auto fields() {
    using S = CompressedBlockDataEntry;
    return std::tuple{&S::location_count, &S::block_count, &S::data_size};
  }
};

struct Location {
  std::uint32_t access_method = 0;
  std::uint32_t block_index = 0;
  static constexpr auto fields() { return std::tuple{&Location::access_method, &Location::block_index}; }
};

}  // namespace imprint::ffu::format
