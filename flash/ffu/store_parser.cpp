// SPDX-License-Identifier: GPL-3.0-or-later
// The back of the header area: store headers with their extensions, validation entries and write descriptors, and where
// the payloads lie that follow.
#include <algorithm>
#include <bit>

#include "flash/core/text.hpp"
#include "flash/core/wire.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/header_parser.hpp"

namespace imprint::ffu {

using core::ByteReader;
using core::round_up;

namespace {

constexpr std::uint32_t kLastCompressionAlgorithm = 4;

core::Result<std::vector<std::string>> parse_platform_ids(const std::array<char, format::kPlatformIdBytes>& raw,
                                                          std::uint64_t offset) {
  std::vector<std::string> ids;
  const std::string_view text(raw.data(), raw.size());
  for (std::size_t start = 0;;) {
    const auto end = text.find('\0', start);
    if (end == std::string_view::npos) return fail("ffu.platform-ids", "the list is not ended").with("offset", offset);
    if (end == start) break;
    ids.emplace_back(text.substr(start, end - start));
    if (!is_platform_id(ids.back()))
      return fail("ffu.platform-ids", "an id holds characters that cannot be shown").with("offset", offset + start);
    start = end + 1;
    if (start >= text.size()) return fail("ffu.platform-ids", "the list is not ended").with("offset", offset);
  }
  if (ids.empty()) return fail("ffu.platform-ids", "the list is empty").with("offset", offset);
  return ids;
}

std::optional<Form> form_of(const format::StoreHeader& header) {
  if (header.major_version == 1 && header.full_flash_major == 2) return Form::v1;
  if (header.major_version == 1 && header.full_flash_major == 3) return Form::v1_compressed;
  if (header.major_version == 2 && header.full_flash_major == 2) return Form::v2;
  return std::nullopt;
}

}  // namespace

std::uint64_t HeaderParser::padded(std::uint64_t offset, std::uint32_t block_size) {
  const std::uint64_t to_chunk = round_up(offset, image_.chunk_size);
  const std::uint64_t to_block = round_up(offset, block_size);
  const std::uint64_t from_image_header = image_.hashed_offset + round_up(offset - image_.hashed_offset, block_size);
  rule_mattered_ = rule_mattered_ || to_chunk != to_block || to_chunk != from_image_header;
  switch (rule_) {
    case PaddingRule::to_chunk:
      return to_chunk;
    case PaddingRule::to_block:
      return to_block;
    case PaddingRule::to_block_from_image_header:
      return from_image_header;
  }
  return to_chunk;
}

HeaderParser::Step HeaderParser::parse_stores() {
  for (std::uint16_t index = 0; index < store_count_; ++index) {
    Store store;
    IMPRINT_NEED(parse_store(store, index));
    position_ = padded(position_, store.block_size);
    image_.stores.push_back(std::move(store));
  }
  return need(position_);
}

core::Status HeaderParser::check_store_header(const format::StoreHeader& header, std::uint16_t index) {
  const auto form = form_of(header);
  if (!form || (index > 0 && *form != image_.form)) {
    return fail("ffu.version-unsupported", form ? "the stores have different versions" : "")
        .with("offset", position_ + 4)
        .with("actual", std::to_string(header.major_version) + "," + std::to_string(header.full_flash_major));
  }
  image_.form = *form;
  if (header.update_type > 1) {
    return fail("ffu.update-type").with("offset", position_).with("actual", header.update_type);
  }
  if (header.block_size < format::kMinBlockBytes || header.block_size > format::kMaxBlockBytes ||
      !std::has_single_bit(header.block_size)) {
    return fail("ffu.block-size").with("offset", position_ + 204).with("actual", header.block_size);
  }
  if (header.validate_descriptor_length > format::kMaxValidationBytes) {
    return fail("ffu.validation-entries", "they claim to be too long")
        .with("offset", position_ + 220)
        .with("actual", header.validate_descriptor_length);
  }
  return {};
}

HeaderParser::Step HeaderParser::parse_store(Store& store, std::uint16_t index) {
  IMPRINT_NEED(need(position_ + core::kWireSize<format::StoreHeader>));
  ByteReader reader(bytes_.subspan(position_), position_);
  IMPRINT_TRY(const auto header, core::read_struct<format::StoreHeader>(reader));
  IMPRINT_CHECK(check_store_header(header, index));
  store.update_type = header.update_type == 1 ? UpdateType::partial : UpdateType::full;
  store.major_version = header.major_version;
  store.minor_version = header.minor_version;
  store.full_flash_major = header.full_flash_major;
  store.full_flash_minor = header.full_flash_minor;
  store.block_size = header.block_size;
  store.phases = {header.initial_index,    header.initial_count, header.flash_only_index,
                  header.flash_only_count, header.final_index,   header.final_count};
  IMPRINT_TRY(store.platform_ids, parse_platform_ids(header.platform_ids, position_ + 12));
  position_ += core::kWireSize<format::StoreHeader>;
  claimed_payloads_.emplace_back();
  if (image_.form == Form::v2) IMPRINT_NEED(parse_extension(store, index));
  if (image_.form == Form::v1_compressed) IMPRINT_NEED(parse_compression(store));
  IMPRINT_NEED(need(position_ + header.validate_descriptor_length + std::uint64_t{header.write_descriptor_length}));
  if (depth_ == ParseDepth::sizes) {
    position_ += header.validate_descriptor_length + std::uint64_t{header.write_descriptor_length};
    return std::optional<Needed>{};
  }
  IMPRINT_CHECK(parse_validation(store, header));
  IMPRINT_CHECK(parse_descriptors(store, header));
  return std::optional<Needed>{};
}

HeaderParser::Step HeaderParser::parse_extension(Store& store, std::uint16_t index) {
  IMPRINT_NEED(need(position_ + core::kWireSize<format::StoreExtension>));
  ByteReader reader(bytes_.subspan(position_), position_);
  IMPRINT_TRY(const auto extension, core::read_struct<format::StoreExtension>(reader));
  if (index == 0) store_count_ = extension.store_count;
  if (extension.store_count == 0 || extension.store_count > format::kMaxStores ||
      extension.store_count != store_count_) {
    return fail("ffu.store-count").with("offset", position_).with("actual", extension.store_count);
  }
  if (extension.store_index != index + 1) {
    return fail("ffu.store-count", "stores are out of order")
        .with("offset", position_ + 2)
        .with("expected", index + 1)
        .with("actual", extension.store_index);
  }
  store.extension_offset = position_;
  position_ += core::kWireSize<format::StoreExtension>;
  const std::uint64_t path_bytes = std::uint64_t{extension.device_path_length} * 2;
  IMPRINT_NEED(need(position_ + path_bytes));
  store.device_path = core::utf8_from_utf16le(bytes_.subspan(position_, path_bytes));
  // Also true of what is no UTF-16: a device path is written back as it was read, or not read.
  const auto same = core::utf16le_from_utf8(store.device_path);
  if (core::printable(store.device_path) != store.device_path || !same ||
      !std::ranges::equal(core::as_bytes(*same), bytes_.subspan(position_, path_bytes))) {
    return fail("ffu.device-path").with("offset", position_);
  }
  position_ += path_bytes;
  claimed_payloads_.back() = extension.payload_size;
  return std::optional<Needed>{};
}

HeaderParser::Step HeaderParser::parse_compression(Store& store) {
  IMPRINT_NEED(need(position_ + core::kWireSize<format::CompressionExtension>));
  ByteReader reader(bytes_.subspan(position_), position_);
  IMPRINT_TRY(const auto extension, core::read_struct<format::CompressionExtension>(reader));
  if (extension.algorithm > kLastCompressionAlgorithm) {
    return fail("ffu.compression-algorithm").with("offset", position_).with("actual", extension.algorithm);
  }
  store.compression_algorithm = extension.algorithm;
  position_ += core::kWireSize<format::CompressionExtension>;
  return std::optional<Needed>{};
}

core::Status HeaderParser::parse_validation(Store& store, const format::StoreHeader& header) {
  ByteReader reader(bytes_.subspan(position_, header.validate_descriptor_length), position_);
  validation_bytes_ += header.validate_descriptor_length;
  if (validation_bytes_ > format::kMaxValidationBytes) {
    return fail("ffu.validation-entries", "those of all stores together are too long")
        .with("offset", position_)
        .with("actual", validation_bytes_);
  }
  for (std::uint32_t i = 0; i < header.validate_descriptor_count; ++i) {
    const std::uint64_t offset = reader.offset();
    const auto entry = core::read_struct<format::ValidationEntry>(reader);
    const auto data = entry ? reader.take(entry->byte_count) : core::Result<core::ByteView>{};
    if (!entry || !data) {
      return fail("ffu.validation-entries", "the entries are longer than their table")
          .with("offset", offset)
          .with("entry", i);
    }
    store.validation.push_back({entry->sector_index, entry->sector_offset,
                                static_cast<std::uint32_t>(store.validation_data.size()), entry->byte_count});
    store.validation_data.insert(store.validation_data.end(), data->begin(), data->end());
  }
  if (reader.remaining() != 0) {
    return fail("ffu.validation-entries", "the entries are shorter than their table").with("offset", reader.offset());
  }
  position_ += header.validate_descriptor_length;
  return {};
}

core::Result<WriteDescriptor> HeaderParser::parse_entry(ByteReader& reader, std::uint32_t index,
                                                        const Store& store) const {
  const std::uint64_t offset = reader.offset();
  const auto past_the_table = [&] {
    return fail("ffu.write-descriptors", "a descriptor reaches past the table")
        .with("offset", offset)
        .with("descriptor", index);
  };
  const auto entry = core::read_struct<format::BlockDataEntry>(reader);
  if (!entry) return past_the_table();
  WriteDescriptor descriptor{.block_count = entry->block_count, .location_count = entry->location_count};
  if (image_.is_compressed()) {
    const auto size = reader.le<std::uint32_t>();
    if (!size) return past_the_table();
    if (entry->block_count != 1) {
      return fail("ffu.compressed-run")
          .with("offset", offset + 4)
          .with("descriptor", index)
          .with("actual", entry->block_count);
    }
    const bool is_stored = store.compression_algorithm == 0;
    if (*size == 0 || *size > store.block_size || (is_stored && *size != store.block_size)) {
      return fail("ffu.data-size").with("offset", offset + 8).with("descriptor", index).with("actual", *size);
    }
    descriptor.compressed_size = *size;
  }
  if (entry->location_count > reader.remaining() / core::kWireSize<format::Location>) return past_the_table();
  return descriptor;
}

core::Status HeaderParser::parse_locations(ByteReader& reader, const WriteDescriptor& descriptor, std::uint32_t index,
                                           Store& store) const {
  if (store.locations.size() + locations_ + descriptor.location_count > format::kMaxLocations) {
    return fail("ffu.write-descriptors", "more places than any real image has")
        .with("offset", reader.offset())
        .with("descriptor", index);
  }
  for (std::uint32_t k = 0; k < descriptor.location_count; ++k) {
    IMPRINT_TRY(const auto location, core::read_struct<format::Location>(reader));
    const std::uint64_t offset = reader.offset() - core::kWireSize<format::Location>;
    if (location.access_method != 0 && location.access_method != 2) {
      return fail("ffu.access-method")
          .with("offset", offset)
          .with("descriptor", index)
          .with("actual", location.access_method);
    }
    if (location.access_method == 2 && descriptor.block_count > 1) {
      return fail("ffu.end-run-ambiguous").with("offset", offset).with("descriptor", index);
    }
    // Block numbers have 32 bits: a run that is taken apart into its blocks could not name these.
    if (descriptor.block_count > 0 && std::uint64_t{location.block_index} + descriptor.block_count - 1 > UINT32_MAX) {
      return fail("ffu.write-descriptors", "a run reaches past the last block that can be named")
          .with("offset", offset)
          .with("descriptor", index);
    }
    store.locations.push_back({static_cast<AccessMethod>(location.access_method), location.block_index});
  }
  if (overlaps_itself(store.locations_of(descriptor), descriptor.block_count))
    return fail("ffu.run-overlap")
        .with("offset", reader.offset() - descriptor.location_count * core::kWireSize<format::Location>)
        .with("descriptor", index);
  return {};
}

core::Status HeaderParser::parse_descriptors(Store& store, const format::StoreHeader& header) {
  ByteReader reader(bytes_.subspan(position_, header.write_descriptor_length), position_);
  descriptors_ += header.write_descriptor_count;
  if (descriptors_ > format::kMaxDescriptors) {
    return fail("ffu.write-descriptors", "more descriptors than any real image has")
        .with("offset", position_)
        .with("actual", header.write_descriptor_count);
  }
  store.table_offset = position_;
  store.entry_size = image_.is_compressed() ? core::kWireSize<format::CompressedBlockDataEntry>
                                            : core::kWireSize<format::BlockDataEntry>;
  store.descriptors.reserve(
      std::min<std::size_t>(header.write_descriptor_count, reader.remaining() / store.entry_size));
  for (std::uint32_t i = 0; i < header.write_descriptor_count; ++i) {
    const std::uint64_t offset = reader.offset();
    IMPRINT_TRY(auto descriptor, parse_entry(reader, i, store));
    descriptor.first_location = static_cast<std::uint32_t>(store.locations.size());
    IMPRINT_CHECK(parse_locations(reader, descriptor, i, store));
    // Below 2^52 for one descriptor; the sum is held below 2^56 so that no later offset can overflow.
    store.stored_size +=
        image_.is_compressed() ? descriptor.compressed_size : std::uint64_t{descriptor.block_count} * store.block_size;
    if (store.stored_size > (1ULL << 56)) {
      return fail("ffu.write-descriptors", "the payload is larger than any file")
          .with("offset", offset)
          .with("descriptor", i);
    }
    store.descriptors.push_back(descriptor);
  }
  if (reader.remaining() != 0) {
    return fail("ffu.write-descriptors", "the table is longer than its descriptors").with("offset", reader.offset());
  }
  locations_ += store.locations.size();
  position_ += header.write_descriptor_length;
  return {};
}

core::Status HeaderParser::place_payloads() {
  std::uint64_t stored = position_;
  std::uint64_t plain = position_;
  for (std::size_t i = 0; i < image_.stores.size(); ++i) {
    Store& store = image_.stores[i];
    if (claimed_payloads_[i] && *claimed_payloads_[i] != store.stored_size) {
      return fail("ffu.payload-size", "the store header and its descriptors disagree")
          .with("offset", store.extension_offset + 4)
          .with("store", i)
          .with("expected", store.stored_size)
          .with("actual", *claimed_payloads_[i]);
    }
    store.stored_offset = stored;
    for (WriteDescriptor& descriptor : store.descriptors) {
      descriptor.stored_offset = stored;
      descriptor.plain_offset = plain;
      const std::uint64_t plain_size = std::uint64_t{descriptor.block_count} * store.block_size;
      plain += plain_size;
      stored += image_.is_compressed() ? descriptor.compressed_size : plain_size;
    }
  }
  image_.file_size = stored;
  image_.payload_end = stored;
  image_.plain_size = plain;
  return {};
}

// The manifest's stores in the order of the store headers, where all of both name their device, each another one.
void HeaderParser::match_manifest_stores() {
  std::vector<ManifestStore> ordered;
  for (const Store& store : image_.stores) {
    const auto named = [&](const auto& one) {
      return !one.device_path.empty() && one.device_path == store.device_path;
    };
    if (std::ranges::count_if(image_.stores, named) != 1 || std::ranges::count_if(image_.manifest.stores, named) != 1)
      return;
    ordered.push_back(*std::ranges::find_if(image_.manifest.stores, named));
  }
  if (ordered.size() == image_.manifest.stores.size()) image_.manifest.stores = std::move(ordered);
}

}  // namespace imprint::ffu
