// SPDX-License-Identifier: GPL-3.0-or-later
// Lays out blocks, hashes them on the way to the file, and puts the catalog in front.
#include "flash/ffu/writer.hpp"

#include <algorithm>
#include <bit>
#include <optional>

#include "flash/core/atomic_file.hpp"
#include "flash/core/wire.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"

namespace imprint::ffu {
namespace {

// One block of the payload and where it goes. No source: a block of zeros.
struct PlannedBlock {
  std::optional<std::uint64_t> disk_offset;
  std::vector<DiskLocation> locations;
};

core::Status check_request(const WriteRequest& request) {
  if (!std::has_single_bit(request.block_size) || request.block_size < format::kMinBlockBytes ||
      request.block_size > format::kMaxBlockBytes) {
    return fail("ffu.block-size").with("actual", request.block_size);
  }
  if (!std::has_single_bit(request.chunk_size) || request.chunk_size < format::kMinChunkBytes ||
      request.chunk_size > format::kMaxChunkBytes) {
    return fail("ffu.chunk-size").with("actual", request.chunk_size);
  }
  if (request.disk->size() < request.block_size || request.disk->size() / request.block_size > UINT32_MAX) {
    return fail("ffu.unwritable", "the disk is smaller than one block or larger than 2^32 blocks")
        .with("size", request.disk->size());
  }
  std::size_t ids = 1;
  for (const std::string& id : request.platform_ids) ids += id.size() + 1;
  if (request.platform_ids.empty() || ids > format::kPlatformIdBytes) {
    return fail("ffu.platform-ids", "the list is empty or longer than 191 bytes").with("actual", ids);
  }
  return {};
}

// Every block that has to be written, in the order in which devices get them. Blocks are counted from the disk's start,
// the backup partition table's too: on a larger disk it then lies where its headers say that it does. Only a tail that
// is no whole block is counted from the end, as the block that ends where the disk does.
std::vector<PlannedBlock> plan_blocks(const WriteRequest& request) {
  const std::uint64_t size = request.disk->size();
  const std::uint64_t block = request.block_size;
  const DiskLocation last{AccessMethod::disk_end, 0};
  core::ExtentSet finals;
  for (const core::Extent& extent : request.final_extents) finals.add(extent);
  finals = finals.aligned(block);

  std::vector<PlannedBlock> plan;
  plan.push_back({std::nullopt, {{AccessMethod::disk_begin, 0}, last}});
  const auto add = [&](std::uint64_t offset) {
    if (offset + block > size) {
      plan.push_back({size - block, {last}});
    } else {
      plan.push_back({offset, {{AccessMethod::disk_begin, static_cast<std::uint32_t>(offset / block)}}});
    }
  };
  for (const core::Extent& extent : request.allocated.aligned(block).extents()) {
    for (std::uint64_t offset = extent.offset; offset < extent.end(); offset += block) {
      if (!finals.contains({offset, block})) add(offset);
    }
  }
  for (const core::Extent& extent : finals.extents()) {
    for (std::uint64_t offset = extent.offset; offset < extent.end(); offset += block) add(offset);
  }
  return plan;
}

core::ByteBuffer make_headers(const WriteRequest& request, const std::vector<PlannedBlock>& plan) {
  core::ByteWriter out;
  format::ImageHeader image;
  std::ranges::copy(format::kImageSignature, image.signature.begin());
  image.manifest_length = static_cast<std::uint32_t>(request.manifest.size());
  image.chunk_size_kb = request.chunk_size / 1024;
  core::write_struct(out, image);
  out.bytes(core::as_bytes(request.manifest));
  out.align(request.chunk_size);

  core::ByteWriter table;
  for (const PlannedBlock& block : plan) {
    core::write_struct(table, format::BlockDataEntry{static_cast<std::uint32_t>(block.locations.size()), 1});
    for (const DiskLocation& location : block.locations) {
      core::write_struct(table, format::Location{static_cast<std::uint32_t>(location.method), location.block_index});
    }
  }
  format::StoreHeader store;
  std::size_t at = 0;
  for (const std::string& id : request.platform_ids) {
    std::ranges::copy(id, store.platform_ids.begin() + static_cast<std::ptrdiff_t>(at));
    at += id.size() + 1;
  }
  store.block_size = request.block_size;
  store.write_descriptor_count = static_cast<std::uint32_t>(plan.size());
  store.write_descriptor_length = static_cast<std::uint32_t>(table.buffer().size());
  store.initial_count = 1;
  store.flash_only_index = 1;
  store.final_index = 1;
  store.final_count = static_cast<std::uint32_t>(plan.size() - 1);
  core::write_struct(out, store);
  out.bytes(table.buffer());
  out.align(std::max(request.chunk_size, request.block_size));
  return out.release();
}

// Writes the hashed part at a fixed offset and collects the hash table on the way.
class HashedPartWriter {
 public:
  HashedPartWriter(core::BlockSink& sink, std::uint64_t offset, std::uint32_t chunk_size)
      : sink_(sink), offset_(offset), chunk_size_(chunk_size) {}

  core::Status append(core::ByteView data) {
    while (!data.empty()) {
      const std::size_t take = std::min<std::size_t>(data.size(), chunk_size_ - pending_.size());
      pending_.insert(pending_.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(take));
      data = data.subspan(take);
      if (pending_.size() == chunk_size_) IMPRINT_CHECK(flush_chunk());
    }
    return {};
  }
  // Zeros up to the end of the last chunk, as Microsoft's writer does.
  core::Status finish() {
    if (pending_.empty()) return {};
    pending_.resize(chunk_size_);
    return flush_chunk();
  }
  [[nodiscard]] const core::ByteBuffer& hash_table() const { return hash_table_; }

 private:
  core::Status flush_chunk() {
    const auto digest = core::sha256(pending_);
    hash_table_.insert(hash_table_.end(), digest.begin(), digest.end());
    IMPRINT_CHECK(sink_.write_at(offset_, pending_));
    offset_ += pending_.size();
    pending_.clear();
    return {};
  }
  core::BlockSink& sink_;
  std::uint64_t offset_;
  std::uint32_t chunk_size_;
  core::ByteBuffer pending_;
  core::ByteBuffer hash_table_;
};

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

core::Status write_payload(const WriteRequest& request, const std::vector<PlannedBlock>& plan,
                           HashedPartWriter& writer) {
  core::ByteBuffer block(request.block_size);
  for (std::size_t i = 0; i < plan.size(); ++i) {
    if (plan[i].disk_offset) {
      IMPRINT_CHECK(request.disk->read_at(*plan[i].disk_offset, block));
    } else {
      std::ranges::fill(block, std::uint8_t{0});
    }
    IMPRINT_CHECK(writer.append(block));
    if (request.progress) request.progress((i + 1) * block.size(), plan.size() * block.size());
  }
  return writer.finish();
}

core::Status copy_range(const core::BlockSource& from, std::uint64_t from_offset, core::BlockSink& to,
                        std::uint64_t to_offset, std::uint64_t length) {
  core::ByteBuffer buffer(std::min<std::uint64_t>(length, 1U << 20));
  for (std::uint64_t done = 0; done < length;) {
    const auto piece = core::ByteSpan(buffer).first(std::min<std::uint64_t>(buffer.size(), length - done));
    IMPRINT_CHECK(from.read_at(from_offset + done, piece));
    IMPRINT_CHECK(to.write_at(to_offset + done, piece));
    done += piece.size();
  }
  return {};
}

}  // namespace

core::Status write_ffu(const WriteRequest& request, const std::filesystem::path& out) {
  IMPRINT_CHECK(check_request(request));
  const auto plan = plan_blocks(request);
  const core::ByteBuffer headers = make_headers(request, plan);
  const std::uint64_t hashed_bytes =
      core::round_up(headers.size() + plan.size() * std::uint64_t{request.block_size}, request.chunk_size);
  const std::uint64_t table_bytes = hashed_bytes / request.chunk_size * format::kHashSize;
  if (table_bytes > UINT32_MAX) return fail("ffu.unwritable", "the image needs a hash table of over 4 GiB");
  // The catalog for a table of zeros has the size of the real one, but for a few bytes with some signature algorithms.
  IMPRINT_TRY(const auto trial, request.make_catalog(core::ByteBuffer(table_bytes)));
  const std::uint64_t hashed_offset =
      core::round_up(core::kWireSize<format::SecurityHeader> + trial.size() + table_bytes, request.chunk_size);

  core::AtomicFile file(out);
  IMPRINT_CHECK(file.check_target());
  IMPRINT_TRY(auto sink, core::FileSink::create(file.temporary_path(), hashed_offset + hashed_bytes));
  HashedPartWriter writer(*sink, hashed_offset, request.chunk_size);
  IMPRINT_CHECK(writer.append(headers));
  IMPRINT_CHECK(write_payload(request, plan, writer));
  for (int attempt = 0; attempt < 16; ++attempt) {
    IMPRINT_TRY(const auto catalog, request.make_catalog(writer.hash_table()));
    const core::ByteBuffer security = make_security_area(request.chunk_size, catalog, writer.hash_table());
    if (security.size() != hashed_offset) continue;  // a varying signature crossed a chunk's boundary: sign once more
    IMPRINT_CHECK(sink->write_at(0, security));
    return file.commit();
  }
  return fail("ffu.catalog-unstable");
}

core::Status replace_catalog(const core::BlockSource& file, const Image& image, core::ByteView catalog,
                             const std::filesystem::path& out) {
  if (catalog.empty() || catalog.size() > format::kMaxCatalogBytes)
    return fail("ffu.catalog-size").with("actual", catalog.size());
  const core::ByteBuffer security = make_security_area(image.chunk_size, catalog, image.hash_table);
  const std::uint64_t hashed_bytes = image.file_size - image.hashed_offset;
  core::AtomicFile target(out);
  IMPRINT_CHECK(target.check_target());
  IMPRINT_TRY(auto sink, core::FileSink::create(target.temporary_path(), security.size() + hashed_bytes));
  IMPRINT_CHECK(sink->write_at(0, security));
  IMPRINT_CHECK(copy_range(file, image.hashed_offset, *sink, security.size(), hashed_bytes));
  return target.commit();
}

}  // namespace imprint::ffu
