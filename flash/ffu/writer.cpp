// SPDX-License-Identifier: GPL-3.0-or-later
// Lays out headers and payload, hashes them on the way to the file, and puts the catalog in front.
#include "flash/ffu/writer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "flash/core/text.hpp"
#include "flash/core/wire.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/ffu/payload_writer.hpp"
#include "flash/ffu/unit_reader.hpp"

namespace imprint::ffu {
namespace {

std::array<const std::string*, 7> texts_of(const DeviceTarget& target) {
  return {&target.manufacturer,     &target.family,     &target.product_name,
          &target.product_version,  &target.sku_number, &target.baseboard_manufacturer,
          &target.baseboard_product};
}

// What a reader of this format refuses, this writer does not write.
core::Status check_targets(const WriteRequest& request) {
  if ((request.image_header_size != 24 && request.image_header_size != 28) ||
      (request.image_header_size == 24 && !request.targets.empty()) || request.targets.size() > format::kMaxTargets) {
    return fail("ffu.unwritable", "device targets, at most 64, need an image header of 28 bytes");
  }
  for (const DeviceTarget& target : request.targets) {
    for (const std::string* text : texts_of(target)) {
      if (text->size() > format::kMaxTargetText) return fail("ffu.unwritable", "a device target's text is too long");
      if (core::printable(*text) != *text)
        return fail("ffu.unwritable", "a device target's text holds characters that cannot be shown");
    }
  }
  return {};
}

core::Status check_store(const WriteRequest& request, const StoreToWrite& wanted) {
  const Store& store = wanted.store;
  if (!std::has_single_bit(store.block_size) || store.block_size < format::kMinBlockBytes ||
      store.block_size > format::kMaxBlockBytes) {
    return fail("ffu.block-size").with("actual", store.block_size);
  }
  IMPRINT_CHECK(check_platform_ids(store.platform_ids));
  std::uint64_t validation = 0;
  for (const ValidationEntry& entry : store.validation)
    validation += core::kWireSize<format::ValidationEntry> + std::uint64_t{entry.data_size};
  if (validation > format::kMaxValidationBytes)
    return fail("ffu.unwritable", "its validation entries are longer than any reader takes");
  if (store.descriptors.size() > format::kMaxDescriptors || store.locations.size() > format::kMaxLocations)
    return fail("ffu.unwritable", "it has more writes than any reader takes").with("actual", store.descriptors.size());
  if (request.form != Form::v2 && !store.device_path.empty())
    return fail("ffu.unwritable", "only V2 images name the device path of a store");
  for (const WriteDescriptor& descriptor : store.descriptors) {
    if (request.form == Form::v1_compressed && descriptor.block_count != 1)
      return fail("ffu.unwritable", "a write of a compressed image is one block");
    if (overlaps_itself(store.locations_of(descriptor), descriptor.block_count))
      return fail("ffu.unwritable", "a run of several blocks cannot be written over itself");
    const auto from_end = [](const DiskLocation& location) { return location.method == AccessMethod::disk_end; };
    if (descriptor.block_count > 1 && std::ranges::any_of(store.locations_of(descriptor), from_end))
      return fail("ffu.unwritable", "a run of several blocks cannot be counted from the disk's end");
  }
  return {};
}

core::Status check_request(const WriteRequest& request) {
  if (!std::has_single_bit(request.chunk_size) || request.chunk_size < format::kMinChunkBytes ||
      request.chunk_size > format::kMaxChunkBytes) {
    return fail("ffu.chunk-size").with("actual", request.chunk_size);
  }
  if (request.stores.empty() || request.stores.size() > format::kMaxStores ||
      (request.stores.size() > 1 && request.form != Form::v2)) {
    return fail("ffu.unwritable", "several stores need a V2 image, which has at most 64")
        .with("stores", request.stores.size());
  }
  if (request.manifest.size() > format::kMaxManifestBytes) return fail("ffu.unwritable", "the manifest is too long");
  IMPRINT_CHECK(check_targets(request));
  for (const StoreToWrite& store : request.stores) IMPRINT_CHECK(check_store(request, store));
  return {};
}

std::uint32_t algorithm_number(Compression compression) {
  switch (compression) {
    case Compression::none:
      return 0;
    case Compression::lznt1:
      return 2;
    case Compression::xpress:
      return 3;
    case Compression::xpress_huffman:
      return 4;
  }
  return 0;
}

void write_target(core::ByteWriter& out, const DeviceTarget& target) {
  const auto texts = texts_of(target);
  for (const std::string* text : texts) out.le(static_cast<std::uint32_t>(text->size()));
  for (const std::string* text : texts) out.bytes(core::as_bytes(*text));
}

// The write descriptors of a store; stored_sizes are those of a compressed image's blocks.
core::ByteBuffer make_table(const WriteRequest& request, const Store& store,
                            const std::vector<std::uint32_t>& stored_sizes) {
  core::ByteWriter table;
  for (std::size_t i = 0; i < store.descriptors.size(); ++i) {
    const WriteDescriptor& descriptor = store.descriptors[i];
    if (request.form == Form::v1_compressed) {
      core::write_struct(table, format::CompressedBlockDataEntry{descriptor.location_count, descriptor.block_count,
                                                                 i < stored_sizes.size() ? stored_sizes[i] : 0});
    } else {
      core::write_struct(table, format::BlockDataEntry{descriptor.location_count, descriptor.block_count});
    }
    for (const DiskLocation& location : store.locations_of(descriptor)) {
      core::write_struct(table, format::Location{static_cast<std::uint32_t>(location.method), location.block_index});
    }
  }
  return table.release();
}

core::ByteBuffer make_validation(const Store& store) {
  core::ByteWriter out;
  for (const ValidationEntry& entry : store.validation) {
    core::write_struct(out, format::ValidationEntry{entry.sector_index, entry.sector_offset, entry.data_size});
    out.bytes(store.data_of(entry));
  }
  return out.release();
}

std::uint64_t payload_bytes(const Store& store) {
  std::uint64_t sum = 0;
  for (const WriteDescriptor& descriptor : store.descriptors)
    sum += std::uint64_t{descriptor.block_count} * store.block_size;
  return sum;
}

core::Status write_store_header(core::ByteWriter& out, const WriteRequest& request, std::size_t index,
                                const std::vector<std::uint32_t>& stored_sizes) {
  const Store& store = request.stores[index].store;
  const core::ByteBuffer table = make_table(request, store, stored_sizes);
  const core::ByteBuffer validation = make_validation(store);
  format::StoreHeader header;
  header.update_type = store.update_type == UpdateType::partial ? 1 : 0;
  header.major_version = request.form == Form::v2 ? 2 : 1;
  header.minor_version = store.minor_version;
  header.full_flash_major = request.form == Form::v1_compressed ? 3 : 2;
  header.full_flash_minor = store.full_flash_minor;
  std::size_t at = 0;
  for (const std::string& id : store.platform_ids) {
    std::ranges::copy(id, header.platform_ids.begin() + static_cast<std::ptrdiff_t>(at));
    at += id.size() + 1;
  }
  header.block_size = store.block_size;
  header.write_descriptor_count = static_cast<std::uint32_t>(store.descriptors.size());
  header.write_descriptor_length = static_cast<std::uint32_t>(table.size());
  header.validate_descriptor_count = static_cast<std::uint32_t>(store.validation.size());
  header.validate_descriptor_length = static_cast<std::uint32_t>(validation.size());
  header.initial_index = store.phases.initial_index;
  header.initial_count = store.phases.initial_count;
  header.flash_only_index = store.phases.flash_only_index;
  header.flash_only_count = store.phases.flash_only_count;
  header.final_index = store.phases.final_index;
  header.final_count = store.phases.final_count;
  core::write_struct(out, header);
  if (request.form == Form::v2) {
    const auto path = core::utf16le_from_utf8(store.device_path);
    if (!path || path->size() / 2 > UINT16_MAX) return fail("ffu.unwritable", "a device path cannot be written");
    core::write_struct(out, format::StoreExtension{static_cast<std::uint16_t>(request.stores.size()),
                                                   static_cast<std::uint16_t>(index + 1), payload_bytes(store),
                                                   static_cast<std::uint16_t>(path->size() / 2)});
    out.bytes(core::as_bytes(*path));
  }
  if (request.form == Form::v1_compressed)
    core::write_struct(out, format::CompressionExtension{algorithm_number(request.compression)});
  out.bytes(validation);
  out.bytes(table);
  out.align(request.chunk_size);
  return {};
}

// From the image header up to the payload. Its size does not depend on the stored sizes.
core::Result<core::ByteBuffer> make_headers(const WriteRequest& request,
                                            const std::vector<std::uint32_t>& stored_sizes) {
  core::ByteWriter out;
  format::ImageHeader image;
  image.size = request.image_header_size;
  std::ranges::copy(format::kImageSignature, image.signature.begin());
  image.manifest_length = static_cast<std::uint32_t>(request.manifest.size());
  image.chunk_size_kb = request.chunk_size / 1024;
  core::write_struct(out, image);
  if (request.image_header_size == 28) out.le(static_cast<std::uint32_t>(request.targets.size()));
  out.bytes(core::as_bytes(request.manifest));
  for (const DeviceTarget& target : request.targets) write_target(out, target);
  out.align(request.chunk_size);
  for (std::size_t i = 0; i < request.stores.size(); ++i)
    IMPRINT_CHECK(write_store_header(out, request, i, stored_sizes));
  return out.release();
}

core::ByteBuffer make_security_area(std::uint32_t chunk_size, core::ByteView catalog, core::ByteView hash_table) {
  core::ByteWriter out;
  format::SecurityHeader header;
  std::ranges::copy(format::kSecuritySignature, header.signature.begin());
  header.chunk_size_kb = chunk_size / 1024;
  header.catalog_size = static_cast<std::uint32_t>(catalog.size());
  header.hash_table_size = static_cast<std::uint32_t>(hash_table.size());
  core::write_struct(out, header);
  out.bytes(catalog);
  out.bytes(hash_table);
  out.align(chunk_size);
  return out.release();
}

// Hands out the plain bytes of a store in the order of its descriptors, as few and long reads as they allow.
class PlainBytes {
 public:
  explicit PlainBytes(const StoreToWrite& store) : store_(store) {}

  // Fills the front of `out`; how many bytes, 0 at the end.
  core::Result<std::uint64_t> next(core::ByteSpan out) {
    if (left_ == 0) gather();
    const std::uint64_t count = std::min<std::uint64_t>(left_, out.size());
    if (count == 0) return count;
    const core::ByteSpan part = out.first(count);
    if (offset_ == kZeros) {
      std::ranges::fill(part, std::uint8_t{0});
    } else {
      IMPRINT_CHECK(store_.source->read_at(offset_, part));
      offset_ += count;
    }
    left_ -= count;
    return count;
  }

 private:
  void gather() {
    const auto& all = store_.store.descriptors;
    while (descriptor_ < all.size()) {
      const WriteDescriptor& next = all[descriptor_];
      const std::uint64_t size = std::uint64_t{next.block_count} * store_.store.block_size;
      const bool goes_on = left_ != 0 && offset_ != kZeros && next.plain_offset == offset_ + left_;
      if (left_ != 0 && !goes_on) return;
      if (left_ == 0) offset_ = next.plain_offset;
      left_ += size;
      ++descriptor_;
    }
  }
  const StoreToWrite& store_;
  std::size_t descriptor_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t left_ = 0;  // bytes from offset_ on that are not handed out yet
};

class Counter {
 public:
  explicit Counter(const WriteRequest& request) : request_(request) {
    for (const StoreToWrite& store : request.stores) total_ += payload_bytes(store.store);
  }
  core::Status add(std::uint64_t bytes) {
    done_ += bytes;
    if (request_.progress) request_.progress(done_, total_);
    if (request_.stop.stop_requested()) return core::fail("job.cancelled");
    return {};
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  const WriteRequest& request_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

// What lies in the file behind the security area.
struct HashedPart {
  core::ByteBuffer headers;
  core::ByteBuffer hash_table;
  std::uint64_t end = 0;        // of the file
  std::uint64_t zero_tail = 0;  // bytes of zeros before it
};

core::Result<HashedPart> write_chunks(const WriteRequest& request, core::ByteBuffer headers, std::uint64_t offset,
                                      core::BlockSink& out) {
  ChunkWriter writer(out, offset, request.chunk_size);
  Counter counter(request);
  IMPRINT_CHECK(writer.append(headers));
  for (const StoreToWrite& store : request.stores) {
    PlainBytes bytes(store);
    for (;;) {
      IMPRINT_TRY(const auto count, bytes.next(writer.space()));
      if (count == 0) break;
      IMPRINT_CHECK(writer.advance(count));
      IMPRINT_CHECK(counter.add(count));
    }
  }
  IMPRINT_CHECK(writer.finish());
  return HashedPart{std::move(headers), writer.hash_table(), writer.offset(), writer.zero_tail()};
}

// The payload first, since the headers hold its blocks' sizes.
core::Result<HashedPart> write_compressed(const WriteRequest& request, std::uint64_t header_size, std::uint64_t offset,
                                          core::BlockSink& out) {
  BlockWriter blocks(out, offset + header_size, request.stores[0].store.block_size, request.compression);
  Counter counter(request);
  PlainBytes bytes(request.stores[0]);
  core::ByteBuffer buffer(blocks.batch_bytes());
  for (std::uint64_t filled = 0, more = 1; more != 0;) {
    IMPRINT_TRY(more, bytes.next(core::ByteSpan(buffer).subspan(filled)));
    filled += more;
    if (filled == 0 || (filled < buffer.size() && more != 0)) continue;
    IMPRINT_CHECK(blocks.append(core::ByteView(buffer).first(filled)));
    IMPRINT_CHECK(counter.add(filled));
    filled = 0;
  }
  IMPRINT_TRY(auto headers, make_headers(request, blocks.stored_sizes()));
  ChunkWriter writer(out, offset, request.chunk_size);
  IMPRINT_CHECK(writer.append(headers));
  IMPRINT_CHECK(writer.finish());
  HashedPart part{std::move(headers), writer.hash_table(), blocks.offset()};
  part.hash_table.insert(part.hash_table.end(), blocks.hash_table().begin(), blocks.hash_table().end());
  return part;
}

// What was written has to be read in one way only: blocks smaller than a chunk and zeros at the payload's end can leave
// open where the payload begins.
core::Status check_written(core::ByteView security, const HashedPart& part) {
  core::ByteBuffer start(security.begin(), security.end());
  start.insert(start.end(), part.headers.begin(), part.headers.end());
  const auto tail_is_zero = [&](std::uint64_t from) -> core::Result<bool> { return part.end - from <= part.zero_tail; };
  IMPRINT_TRY(const auto image, parse_file(start, part.end, tail_is_zero));
  if (image.payload_offset != start.size()) return fail("ffu.padding-ambiguous").with("offset", image.payload_offset);
  return {};
}

}  // namespace

core::Result<std::uint64_t> write_image(const WriteRequest& request, core::BlockSink& out) {
  IMPRINT_CHECK(check_request(request));
  IMPRINT_TRY(auto headers, make_headers(request, {}));
  const bool compressed = request.form == Form::v1_compressed;
  const std::uint64_t chunked = headers.size() + (compressed ? 0 : Counter(request).total());
  const std::uint64_t hashes = core::round_up(chunked, request.chunk_size) / request.chunk_size +
                               (compressed ? request.stores[0].store.descriptors.size() : 0);
  const std::uint64_t largest_start =
      hashes * format::kHashSize + format::kMaxCatalogBytes + 2 * format::kMaxChunkBytes;
  if (hashes * format::kHashSize > UINT32_MAX || headers.size() + largest_start > kMaxHeaderBytes)
    return fail("ffu.unwritable", "the image needs larger tables than the format or any reader takes");
  // The catalog for a table of zeros has the size of the real one, but for a few bytes with some signature algorithms.
  IMPRINT_TRY(const auto trial, request.make_catalog(core::ByteBuffer(hashes * format::kHashSize)));
  if (trial.empty() || trial.size() > format::kMaxCatalogBytes)
    return fail("ffu.catalog-size").with("actual", trial.size());
  const std::uint64_t hashed_offset = core::round_up(
      core::kWireSize<format::SecurityHeader> + trial.size() + hashes * format::kHashSize, request.chunk_size);
  IMPRINT_TRY(const auto part, compressed ? write_compressed(request, headers.size(), hashed_offset, out)
                                          : write_chunks(request, std::move(headers), hashed_offset, out));
  for (int attempt = 0; attempt < 16; ++attempt) {
    IMPRINT_TRY(const auto catalog, request.make_catalog(part.hash_table));
    const core::ByteBuffer security = make_security_area(request.chunk_size, catalog, part.hash_table);
    if (security.size() != hashed_offset) continue;  // a varying signature crossed a chunk's boundary: sign once more
    IMPRINT_CHECK(check_written(security, part));
    IMPRINT_CHECK(out.write_at(0, security));
    return part.end;
  }
  return fail("ffu.catalog-unstable");
}

namespace {

// Would a reader still find the payload where it is? Not if the file was padded to blocks larger than a chunk, counted
// from its start, and moves by less than a block.
core::Status check_moved(const OpenedImage& opened, const core::BlockSource& file, core::ByteView security) {
  const Image& image = opened.image;
  core::ByteBuffer start(security.begin(), security.end());
  start.insert(start.end(), opened.header_area.begin() + static_cast<std::ptrdiff_t>(image.hashed_offset),
               opened.header_area.end());
  const std::uint64_t file_size = security.size() + image.file_size - image.hashed_offset;
  const auto tail_is_zero = [&](std::uint64_t from) -> core::Result<bool> {
    IMPRINT_TRY(const auto tail, file.read(image.hashed_offset + (from - security.size()), file_size - from));
    return core::is_zero(tail);
  };
  const auto moved = parse_file(start, file_size, tail_is_zero);
  if (!moved && moved.error().row().fault == core::FaultClass::station) return std::unexpected(moved.error());
  if (!moved || moved->payload_offset != start.size())
    return fail("ffu.unwritable", "a catalog of this size moves the payload off the boundary that its blocks need");
  return {};
}

// The file from the image header on, each unit as it is in the file and only after its hash was found right.
core::Status copy_units(const OpenedImage& opened, const core::BlockSource& file, std::uint64_t to,
                        core::BlockSink& out, const Progress& progress, const std::stop_token& stop) {
  const Image& image = opened.image;
  const UnitReader reader(opened, file);
  const std::uint64_t length = image.file_size - image.hashed_offset;
  core::ByteBuffer buffer;
  for (std::uint64_t first = 0; first < hashed_units(image);) {
    if (stop.stop_requested()) return core::fail("job.cancelled");
    const HashedUnit unit = hashed_unit(image, first);
    if (unit.is_compressed) {
      IMPRINT_TRY(auto loaded, reader.load(first));
      buffer = std::move(loaded.stored);
      ++first;
    } else {
      const std::uint64_t count = std::min(reader.batch_size(), chunk_units(image) - first);
      buffer.resize(hashed_unit(image, first + count - 1).stored.end() - unit.stored.offset);
      IMPRINT_CHECK(reader.load_plain(first, count, buffer));
      first += count;
    }
    const std::uint64_t at = unit.stored.offset - image.hashed_offset;
    IMPRINT_CHECK(out.write_at(to + at, buffer));
    if (progress) progress(at + buffer.size(), length);
  }
  // Behind the blocks of a compressed image, where no hash reaches, there are only zeros.
  if (image.is_compressed() && image.file_size != image.payload_end)
    return out.write_at(to + image.payload_end - image.hashed_offset,
                        core::ByteBuffer(image.file_size - image.payload_end));
  return {};
}

}  // namespace

core::Result<std::uint64_t> replace_catalog(const OpenedImage& opened, const core::BlockSource& file,
                                            core::ByteView catalog, core::BlockSink& out, const Progress& progress,
                                            const std::stop_token& stop) {
  if (catalog.empty() || catalog.size() > format::kMaxCatalogBytes)
    return fail("ffu.catalog-size").with("actual", catalog.size());
  const Image& image = opened.image;
  const core::ByteBuffer security = make_security_area(image.chunk_size, catalog, image.hash_table);
  IMPRINT_CHECK(check_moved(opened, file, security));
  IMPRINT_CHECK(out.write_at(0, security));
  IMPRINT_CHECK(copy_units(opened, file, security.size(), out, progress, stop));
  return security.size() + image.file_size - image.hashed_offset;
}

}  // namespace imprint::ffu
