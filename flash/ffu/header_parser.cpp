// SPDX-License-Identifier: GPL-3.0-or-later
// The front of the header area: security header, catalog, hash table, image header, manifest and device targets.
#include "flash/ffu/header_parser.hpp"

#include <bit>

#include "flash/core/text.hpp"
#include "flash/core/wire.hpp"
#include "flash/ffu/errors.hpp"

namespace imprint::ffu {

using core::ByteReader;
using core::checked_mul;
using core::round_up;

HeaderParser::Step HeaderParser::need(std::uint64_t bytes) const {
  if (bytes > kMaxHeaderBytes) return fail("ffu.header-too-large").with("offset", position_).with("expected", bytes);
  if (bytes <= bytes_.size()) return std::optional<Needed>{};
  return std::optional<Needed>{Needed{bytes}};
}

HeaderParser::Step HeaderParser::parse() {
  IMPRINT_NEED(parse_security_header());
  IMPRINT_NEED(parse_image_header());
  IMPRINT_NEED(parse_stores());
  image_.payload_offset = position_;
  if (depth_ == ParseDepth::whole) {
    IMPRINT_CHECK(place_payloads());
    match_manifest_stores();
  }
  return std::optional<Needed>{};
}

Image HeaderParser::take() {
  image_.catalog.assign(catalog_.begin(), catalog_.end());
  image_.hash_table.assign(hash_table_.begin(), hash_table_.end());
  return std::move(image_);
}

HeaderParser::Step HeaderParser::parse_security_header() {
  IMPRINT_NEED(need(core::kWireSize<format::SecurityHeader>));
  ByteReader reader(bytes_);
  IMPRINT_TRY(const auto header, core::read_struct<format::SecurityHeader>(reader));
  if (std::string_view(header.signature.data(), header.signature.size()) != format::kSecuritySignature) {
    return fail("ffu.not-an-ffu", "no SignedImage signature").with("offset", 4);
  }
  if (header.size != core::kWireSize<format::SecurityHeader>) {
    return fail("ffu.security-header", "its size is not 32").with("offset", 0).with("actual", header.size);
  }
  std::uint64_t chunk = 0;
  if (!checked_mul(header.chunk_size_kb, 1024, chunk) || chunk < format::kMinChunkBytes ||
      chunk > format::kMaxChunkBytes || !std::has_single_bit(chunk)) {
    return fail("ffu.chunk-size").with("offset", 16).with("actual", std::to_string(header.chunk_size_kb) + " KiB");
  }
  if (header.algorithm != format::kSha256Algorithm) {
    return fail("ffu.hash-algorithm")
        .with("offset", 20)
        .with("expected", format::kSha256Algorithm)
        .with("actual", header.algorithm);
  }
  if (header.catalog_size == 0 || header.catalog_size > format::kMaxCatalogBytes) {
    return fail("ffu.catalog-size").with("offset", 24).with("actual", header.catalog_size);
  }
  if (header.hash_table_size == 0 || header.hash_table_size % format::kHashSize != 0) {
    return fail("ffu.hash-table-size", "not a positive multiple of 32")
        .with("offset", 28)
        .with("actual", header.hash_table_size);
  }
  image_.chunk_size = static_cast<std::uint32_t>(chunk);
  const std::uint64_t end = std::uint64_t{header.size} + header.catalog_size + header.hash_table_size;
  image_.hashed_offset = round_up(end, chunk);
  IMPRINT_NEED(need(image_.hashed_offset));
  IMPRINT_TRY(catalog_, reader.take(header.catalog_size));
  IMPRINT_TRY(hash_table_, reader.take(header.hash_table_size));
  // No hash and no signature covers these bytes, and devices are sent them.
  if (!core::is_zero(bytes_.subspan(end, image_.hashed_offset - end)))
    return fail("ffu.padding-not-zero").with("offset", end);
  position_ = image_.hashed_offset;
  return std::optional<Needed>{};
}

HeaderParser::Step HeaderParser::parse_image_header() {
  IMPRINT_NEED(need(position_ + core::kWireSize<format::ImageHeader> + 4));
  ByteReader reader(bytes_.subspan(position_), position_);
  IMPRINT_TRY(const auto header, core::read_struct<format::ImageHeader>(reader));
  if (std::string_view(header.signature.data(), header.signature.size()) != format::kImageSignature) {
    return fail("ffu.image-header", "no ImageFlash signature where the image header has to be")
        .with("offset", position_ + 4);
  }
  if (header.size != 24 && header.size != 28) {
    return fail("ffu.image-header", "its size is neither 24 nor 28")
        .with("offset", position_)
        .with("actual", header.size);
  }
  if (std::uint64_t{header.chunk_size_kb} * 1024 != image_.chunk_size) {
    return fail("ffu.chunk-size", "the image header names another chunk size than the security header")
        .with("offset", position_ + 20)
        .with("expected", image_.chunk_size / 1024)
        .with("actual", header.chunk_size_kb);
  }
  if (header.manifest_length > format::kMaxManifestBytes) {
    return fail("ffu.manifest", "it claims to be too long")
        .with("offset", position_ + 16)
        .with("actual", header.manifest_length);
  }
  std::uint32_t targets = 0;
  if (header.size == 28) {
    IMPRINT_TRY(targets, reader.le<std::uint32_t>());
    if (targets > format::kMaxTargets) {
      return fail("ffu.device-targeting", "too many entries").with("offset", position_ + 24).with("actual", targets);
    }
  }
  image_.image_header_size = header.size;
  const std::uint64_t manifest_offset = position_ + header.size;
  IMPRINT_NEED(need(manifest_offset + header.manifest_length));
  image_.manifest_text = core::as_text(bytes_.subspan(manifest_offset, header.manifest_length));
  auto manifest = parse_manifest(image_.manifest_text);
  if (!manifest) {
    auto error = std::move(manifest).error();
    const auto within = core::parse_number(error.context_value("text_offset")).value_or(0);
    error.add_context("offset", std::to_string(manifest_offset + within));
    return std::unexpected(std::move(error));
  }
  image_.manifest = std::move(*manifest);
  position_ = manifest_offset + header.manifest_length;
  IMPRINT_NEED(parse_targets(targets));
  position_ = round_up(position_, image_.chunk_size);
  return std::optional<Needed>{};
}

HeaderParser::Step HeaderParser::parse_targets(std::uint32_t count) {
  constexpr std::string DeviceTarget::* kTexts[] = {
      &DeviceTarget::manufacturer,     &DeviceTarget::family,     &DeviceTarget::product_name,
      &DeviceTarget::product_version,  &DeviceTarget::sku_number, &DeviceTarget::baseboard_manufacturer,
      &DeviceTarget::baseboard_product};
  for (std::uint32_t i = 0; i < count; ++i) {
    constexpr std::size_t kLengths = core::kWireSize<format::DeviceTargetLengths>;
    IMPRINT_NEED(need(position_ + kLengths));
    ByteReader reader(bytes_.subspan(position_), position_);
    std::array<std::uint32_t, std::size(kTexts)> lengths{};
    std::uint64_t text_bytes = 0;
    for (std::uint32_t& length : lengths) {
      IMPRINT_TRY(length, reader.le<std::uint32_t>());
      if (length > format::kMaxTargetText) {
        return fail("ffu.device-targeting", "a text is too long")
            .with("offset", reader.offset() - 4)
            .with("actual", length);
      }
      text_bytes += length;
    }
    IMPRINT_NEED(need(position_ + kLengths + text_bytes));
    DeviceTarget target;
    for (std::size_t text = 0; text < lengths.size(); ++text) {
      IMPRINT_TRY(const auto bytes, reader.take(lengths[text]));
      target.*kTexts[text] = core::as_text(bytes);
      if (core::printable(core::as_text(bytes)) != core::as_text(bytes)) {
        return fail("ffu.device-targeting", "a text holds characters that cannot be shown")
            .with("offset", reader.offset() - bytes.size());
      }
    }
    image_.targets.push_back(std::move(target));
    position_ += kLengths + text_bytes;
  }
  return std::optional<Needed>{};
}

}  // namespace imprint::ffu
