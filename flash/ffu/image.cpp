// SPDX-License-Identifier: GPL-3.0-or-later
// Parses the header area of an FFU. Every size is checked against a limit before it is used for anything.
#include "flash/ffu/image.hpp"

#include <algorithm>
#include <bit>

#include "flash/core/text.hpp"
#include "flash/core/wire.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"
#include "flash/ffu/manifest.hpp"

namespace imprint::ffu {
namespace {

using core::ByteReader;
using core::ByteView;
using core::checked_add;
using core::checked_mul;
using core::round_up;

// How writers pad the store headers. With blocks smaller or larger than a chunk, tools differ; the file's size settles
// it.
enum class PaddingRule { to_chunk, to_block, to_block_from_image_header };
constexpr PaddingRule kPaddingRules[] = {PaddingRule::to_chunk, PaddingRule::to_block,
                                         PaddingRule::to_block_from_image_header};

// Stops the parse where more of the file is needed, which is not an error while it is being streamed in.
struct Needed {
  std::uint64_t bytes;
};

class HeaderParser {
 public:
  HeaderParser(ByteView bytes, PaddingRule rule) : bytes_(bytes), rule_(rule) {}

  // Fills image_, or says how many bytes it needs first.
  core::Result<std::optional<Needed>> parse();
  [[nodiscard]] Image take() { return std::move(image_); }

 private:
  [[nodiscard]] bool has(std::uint64_t bytes) const { return bytes <= bytes_.size(); }
  core::Result<std::optional<Needed>> parse_security_header();
  core::Result<std::optional<Needed>> parse_image_header();
  core::Result<std::optional<Needed>> skip_targets(std::uint32_t count);
  core::Result<std::optional<Needed>> parse_stores();
  core::Result<std::optional<Needed>> parse_store(Store& store, std::uint16_t index);
  core::Result<std::optional<Needed>> parse_extension(Store& store, std::uint16_t index,
                                                      std::uint64_t& claimed_payload);
  core::Status parse_validation(const format::StoreHeader& header);
  core::Status parse_descriptors(Store& store, const format::StoreHeader& header);
  core::Status place_payloads();
  [[nodiscard]] std::uint64_t padded(std::uint64_t offset, std::uint32_t block_size) const;
  core::Result<std::optional<Needed>> need(std::uint64_t bytes) const {
    if (bytes > kMaxHeaderBytes) return fail("ffu.header-too-large").with("offset", position_).with("expected", bytes);
    if (has(bytes)) return std::optional<Needed>{};
    return std::optional<Needed>{Needed{bytes}};
  }

  ByteView bytes_;
  PaddingRule rule_;
  Image image_;
  std::uint64_t position_ = 0;  // bytes of the file that are parsed
  std::uint16_t store_count_ = 1;
  std::vector<std::uint64_t> claimed_payloads_;
};

#define IMPRINT_NEED(expression) \
  if (auto needed = (expression); !needed || *needed) return needed

core::Result<std::optional<Needed>> HeaderParser::parse() {
  IMPRINT_NEED(parse_security_header());
  IMPRINT_NEED(parse_image_header());
  IMPRINT_NEED(parse_stores());
  IMPRINT_CHECK(place_payloads());
  return std::optional<Needed>{};
}

core::Result<std::optional<Needed>> HeaderParser::parse_security_header() {
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
  IMPRINT_TRY(const auto catalog, reader.take(header.catalog_size));
  IMPRINT_TRY(const auto table, reader.take(header.hash_table_size));
  image_.catalog.assign(catalog.begin(), catalog.end());
  image_.hash_table.assign(table.begin(), table.end());
  position_ = image_.hashed_offset;
  return std::optional<Needed>{};
}

core::Result<std::optional<Needed>> HeaderParser::parse_image_header() {
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
  const std::uint64_t manifest_offset = position_ + header.size;
  IMPRINT_NEED(need(manifest_offset + header.manifest_length));
  image_.manifest_text = core::as_text(bytes_.subspan(manifest_offset, header.manifest_length));
  auto manifest = parse_manifest(image_.manifest_text);
  if (!manifest) {
    auto error = std::move(manifest).error();
    error.add_context("offset", std::to_string(manifest_offset));
    return std::unexpected(std::move(error));
  }
  image_.manifest = std::move(*manifest);
  position_ = manifest_offset + header.manifest_length;
  IMPRINT_NEED(skip_targets(targets));
  position_ = round_up(position_, image_.chunk_size);
  return std::optional<Needed>{};
}

core::Result<std::optional<Needed>> HeaderParser::skip_targets(std::uint32_t count) {
  constexpr std::uint32_t kMaxText = 4096;
  for (std::uint32_t i = 0; i < count; ++i) {
    IMPRINT_NEED(need(position_ + 28));
    ByteReader reader(bytes_.subspan(position_), position_);
    std::uint64_t text = 0;
    for (int part = 0; part < 7; ++part) {
      IMPRINT_TRY(const auto length, reader.le<std::uint32_t>());
      if (length > kMaxText)
        return fail("ffu.device-targeting", "a text is too long").with("offset", reader.offset() - 4);
      text += length;
    }
    IMPRINT_NEED(need(position_ + 28 + text));
    position_ += 28 + text;
  }
  return std::optional<Needed>{};
}

std::uint64_t HeaderParser::padded(std::uint64_t offset, std::uint32_t block_size) const {
  switch (rule_) {
    case PaddingRule::to_chunk:
      return round_up(offset, image_.chunk_size);
    case PaddingRule::to_block:
      return round_up(offset, block_size);
    case PaddingRule::to_block_from_image_header:
      return image_.hashed_offset + round_up(offset - image_.hashed_offset, block_size);
  }
  return offset;
}

core::Result<std::optional<Needed>> HeaderParser::parse_stores() {
  for (std::uint16_t index = 0; index < store_count_; ++index) {
    Store store;
    IMPRINT_NEED(parse_store(store, index));
    position_ = padded(position_, store.block_size);
    image_.stores.push_back(std::move(store));
  }
  return need(position_);
}

core::Result<std::vector<std::string>> parse_platform_ids(const std::array<char, format::kPlatformIdBytes>& raw,
                                                          std::uint64_t offset) {
  std::vector<std::string> ids;
  const std::string_view text(raw.data(), raw.size());
  for (std::size_t start = 0;;) {
    const auto end = text.find('\0', start);
    if (end == std::string_view::npos) return fail("ffu.platform-ids", "the list is not ended").with("offset", offset);
    if (end == start) break;
    ids.push_back(core::printable(text.substr(start, end - start)));
    start = end + 1;
    if (start >= text.size()) break;
  }
  if (ids.empty()) return fail("ffu.platform-ids", "the list is empty").with("offset", offset);
  return ids;
}

core::Result<std::optional<Needed>> HeaderParser::parse_store(Store& store, std::uint16_t index) {
  const std::uint64_t start = position_;
  IMPRINT_NEED(need(start + core::kWireSize<format::StoreHeader>));
  ByteReader reader(bytes_.subspan(start), start);
  IMPRINT_TRY(const auto header, core::read_struct<format::StoreHeader>(reader));
  const bool v1 = header.major_version == 1 && header.full_flash_major == 2;
  const bool v2 = header.major_version == 2 && header.full_flash_major == 2;
  if (header.major_version == 1 && header.full_flash_major == 3) {
    return fail("ffu.compression-unsupported").with("offset", start + 8);
  }
  if (!v1 && !v2) {
    return fail("ffu.version-unsupported")
        .with("offset", start + 4)
        .with("actual", std::to_string(header.major_version) + "," + std::to_string(header.full_flash_major));
  }
  if (header.update_type != 0) return fail("ffu.update-type").with("offset", start).with("actual", header.update_type);
  if (header.block_size < format::kMinBlockBytes || header.block_size > format::kMaxBlockBytes ||
      !std::has_single_bit(header.block_size)) {
    return fail("ffu.block-size").with("offset", start + 204).with("actual", header.block_size);
  }
  store.major_version = header.major_version;
  store.minor_version = header.minor_version;
  store.full_flash_major = header.full_flash_major;
  store.full_flash_minor = header.full_flash_minor;
  store.block_size = header.block_size;
  IMPRINT_TRY(store.platform_ids, parse_platform_ids(header.platform_ids, start + 12));
  position_ = start + core::kWireSize<format::StoreHeader>;
  std::uint64_t claimed_payload = UINT64_MAX;
  if (v2) IMPRINT_NEED(parse_extension(store, index, claimed_payload));
  const std::uint64_t tables = std::uint64_t{header.validate_descriptor_length} + header.write_descriptor_length;
  IMPRINT_NEED(need(position_ + tables));
  IMPRINT_CHECK(parse_validation(header));
  IMPRINT_CHECK(parse_descriptors(store, header));
  claimed_payloads_.push_back(claimed_payload);
  return std::optional<Needed>{};
}

core::Result<std::optional<Needed>> HeaderParser::parse_extension(Store& store, std::uint16_t index,
                                                                  std::uint64_t& claimed_payload) {
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
  position_ += core::kWireSize<format::StoreExtension>;
  const std::uint64_t path_bytes = std::uint64_t{extension.device_path_length} * 2;
  IMPRINT_NEED(need(position_ + path_bytes));
  store.device_path = core::printable(core::utf8_from_utf16le(bytes_.subspan(position_, path_bytes)));
  position_ += path_bytes;
  claimed_payload = extension.payload_size;
  return std::optional<Needed>{};
}

core::Status HeaderParser::parse_validation(const format::StoreHeader& header) {
  ByteReader reader(bytes_.subspan(position_, header.validate_descriptor_length), position_);
  for (std::uint32_t i = 0; i < header.validate_descriptor_count; ++i) {
    const auto entry = core::read_struct<format::ValidationEntry>(reader);
    if (!entry || !reader.take(entry->byte_count)) {
      return fail("ffu.validation-entries", "the entries are longer than their table").with("offset", reader.offset());
    }
  }
  if (reader.remaining() != 0) {
    return fail("ffu.validation-entries", "the entries are shorter than their table").with("offset", reader.offset());
  }
  position_ += header.validate_descriptor_length;
  return {};
}

core::Status HeaderParser::parse_descriptors(Store& store, const format::StoreHeader& header) {
  ByteReader reader(bytes_.subspan(position_, header.write_descriptor_length), position_);
  if (header.write_descriptor_count > format::kMaxDescriptors) {
    return fail("ffu.write-descriptors", "more descriptors than any real image has")
        .with("offset", position_)
        .with("actual", header.write_descriptor_count);
  }
  store.descriptors.reserve(std::min<std::size_t>(header.write_descriptor_count, reader.remaining() / 8));
  for (std::uint32_t i = 0; i < header.write_descriptor_count; ++i) {
    const std::uint64_t offset = reader.offset();
    const auto entry = core::read_struct<format::BlockDataEntry>(reader);
    if (!entry || entry->location_count > reader.remaining() / core::kWireSize<format::Location>) {
      return fail("ffu.write-descriptors", "a descriptor reaches past the table")
          .with("offset", offset)
          .with("descriptor", i);
    }
    WriteDescriptor descriptor{entry->block_count, entry->location_count, store.locations.size(), 0};
    for (std::uint32_t k = 0; k < entry->location_count; ++k) {
      IMPRINT_TRY(const auto location, core::read_struct<format::Location>(reader));
      if (location.access_method != 0 && location.access_method != 2) {
        return fail("ffu.access-method")
            .with("offset", reader.offset() - 8)
            .with("descriptor", i)
            .with("actual", location.access_method);
      }
      if (location.access_method == 2 && entry->block_count > 1) {
        return fail("ffu.end-run-ambiguous").with("offset", reader.offset() - 8).with("descriptor", i);
      }
      if (store.locations.size() >= format::kMaxLocations) {
        return fail("ffu.write-descriptors", "more places than any real image has").with("offset", reader.offset());
      }
      store.locations.push_back({static_cast<AccessMethod>(location.access_method), location.block_index});
    }
    // Below 2^52 for one descriptor; the sum is held below 2^56 so that no later offset can overflow.
    store.payload_size += std::uint64_t{entry->block_count} * store.block_size;
    if (store.payload_size > (1ULL << 56)) {
      return fail("ffu.write-descriptors", "the payload is larger than any file")
          .with("offset", offset)
          .with("descriptor", i);
    }
    store.descriptors.push_back(descriptor);
  }
  if (reader.remaining() != 0) {
    return fail("ffu.write-descriptors", "the table is longer than its descriptors").with("offset", reader.offset());
  }
  position_ += header.write_descriptor_length;
  return {};
}

core::Status HeaderParser::place_payloads() {
  image_.payload_offset = position_;
  std::uint64_t offset = position_;
  for (std::size_t i = 0; i < image_.stores.size(); ++i) {
    Store& store = image_.stores[i];
    if (claimed_payloads_[i] != UINT64_MAX && claimed_payloads_[i] != store.payload_size) {
      return fail("ffu.payload-size", "the store header and its descriptors disagree")
          .with("store", i)
          .with("expected", store.payload_size)
          .with("actual", claimed_payloads_[i]);
    }
    store.payload_offset = offset;
    for (WriteDescriptor& descriptor : store.descriptors) {
      descriptor.payload_offset = offset;
      offset += std::uint64_t{descriptor.block_count} * store.block_size;
    }
  }
  image_.file_size = offset;
  image_.payload_end = offset;
  return {};
}

// The payload has to end where the file does; only zero-extension of the last chunk may lie between.
core::Status check_file_size(Image& image, std::uint64_t file_size) {
  const std::uint64_t end = image.file_size;
  if (file_size < end) {
    return core::fail("format.truncated").with("offset", file_size).with("expected", end).with("actual", file_size);
  }
  if (file_size - end >= image.chunk_size ||
      (file_size != end && (file_size - image.hashed_offset) % image.chunk_size != 0)) {
    return fail("ffu.trailing-bytes").with("offset", end).with("actual", file_size);
  }
  image.file_size = file_size;
  return {};
}

core::Status check_hash_count(const Image& image) {
  const std::uint64_t chunks =
      core::round_up(image.file_size - image.hashed_offset, image.chunk_size) / image.chunk_size;
  if (chunks != image.chunk_count()) {
    return fail("ffu.hash-count").with("offset", 28).with("expected", chunks).with("actual", image.chunk_count());
  }
  return {};
}

core::Result<Image> parse_with_rule(ByteView start, std::optional<std::uint64_t> file_size, PaddingRule rule) {
  HeaderParser parser(start, rule);
  IMPRINT_TRY(const auto needed, parser.parse());
  if (needed) {
    return core::fail("format.truncated")
        .with("offset", start.size())
        .with("expected", needed->bytes)
        .with("actual", start.size());
  }
  Image image = parser.take();
  if (file_size) IMPRINT_CHECK(check_file_size(image, *file_size));
  IMPRINT_CHECK(check_hash_count(image));
  return image;
}

// More than one padding rule may fit the file's size. Padding is zeros, behind the headers and behind the payload: a
// reading that takes other bytes for padding is out.
core::Result<Image> choose_reading(ByteView start, std::vector<Image> readings, const ZeroTail& tail_is_zero) {
  if (readings.size() == 1) return std::move(readings.front());
  const auto smallest = std::ranges::min_element(readings, {}, &Image::payload_offset)->payload_offset;
  std::vector<Image> left;
  for (Image& image : readings) {
    const auto padding =
        start.subspan(smallest, std::min<std::uint64_t>(image.payload_offset, start.size()) - smallest);
    if (std::ranges::any_of(padding, [](std::uint8_t byte) { return byte != 0; })) continue;
    IMPRINT_TRY(const bool zero, tail_is_zero(image.payload_end));
    if (zero) left.push_back(std::move(image));
  }
  if (left.size() == 1) return std::move(left.front());
  return fail("ffu.padding-ambiguous").with("offset", smallest);
}

}  // namespace

core::Result<std::uint64_t> header_bytes(ByteView start) {
  // The most that any padding rule asks for, so that each of them can be tried on what was read.
  std::uint64_t most = 0;
  for (const PaddingRule rule : kPaddingRules) {
    HeaderParser parser(start, rule);
    const auto needed = parser.parse();
    if (!needed && rule == kPaddingRules[0]) return std::unexpected(needed.error());
    if (needed) most = std::max(most, *needed ? (*needed)->bytes : parser.take().payload_offset);
  }
  return most;
}

core::Result<Image> parse_image(ByteView start, std::optional<std::uint64_t> file_size) {
  if (!file_size) return parse_with_rule(start, file_size, kPaddingRules[0]);  // a stream: its end would tell
  return parse_file(start, *file_size, [&](std::uint64_t from) -> core::Result<bool> {
    const auto tail = start.subspan(std::min<std::uint64_t>(from, start.size()));
    return std::ranges::all_of(tail, [](std::uint8_t byte) { return byte == 0; });
  });
}

core::Result<Image> parse_file(ByteView start, std::uint64_t file_size, const ZeroTail& tail_is_zero) {
  auto first = parse_with_rule(start, file_size, kPaddingRules[0]);
  std::vector<Image> readings;
  if (first) readings.push_back(*first);
  for (const PaddingRule rule : std::span(kPaddingRules).subspan(1)) {
    auto other = parse_with_rule(start, file_size, rule);
    const auto same = [&](const Image& image) { return image.payload_offset == other->payload_offset; };
    if (other && std::ranges::none_of(readings, same)) readings.push_back(std::move(*other));
  }
  if (readings.empty()) return first;
  return choose_reading(start, std::move(readings), tail_is_zero);
}

core::Result<std::uint64_t> disk_offset(const DiskLocation& location, std::uint64_t block, std::uint32_t block_size,
                                        std::uint64_t disk_bytes) {
  const std::uint64_t index = location.block_index + block;
  std::uint64_t reach = 0;
  if (!checked_mul(index + 1, block_size, reach) || reach > disk_bytes) {
    return fail("ffu.location-out-of-disk")
        .with("block", index)
        .with("block_size", block_size)
        .with("disk_bytes", disk_bytes);
  }
  return location.method == AccessMethod::disk_begin ? reach - block_size : disk_bytes - reach;
}

}  // namespace imprint::ffu
