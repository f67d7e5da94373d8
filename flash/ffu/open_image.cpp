// SPDX-License-Identifier: GPL-3.0-or-later
// Reads the header area of a file so that nothing unchecked is ever parsed.
#include <algorithm>

#include "flash/core/digest.hpp"
#include "flash/core/wire.hpp"
#include "flash/ffu/errors.hpp"
#include "flash/ffu/format.hpp"
#include "flash/ffu/hashed_unit.hpp"
#include "flash/ffu/header_parser.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {
namespace {

using core::ByteReader;
using core::ByteView;

// Reads the header area, each byte once. Whole chunks are hashed against the table as they come in, before anything
// parses them: a changed byte is named as what it is, and no field of an unchecked chunk is believed.
class HeaderAreaReader {
 public:
  explicit HeaderAreaReader(const core::BlockSource& file) : file_(file) {}

  [[nodiscard]] const core::ByteBuffer& bytes() const { return bytes_; }
  [[nodiscard]] core::ByteBuffer take() { return std::move(bytes_); }

  // At least that much of the file, or as much as it has. False when there is no more.
  core::Result<bool> extend(const HeaderExtent& extent) {
    std::uint64_t wanted = extent.most;
    if (chunk_size_ != 0 && wanted > hashed_offset_) {
      wanted = hashed_offset_ + core::round_up(wanted - hashed_offset_, chunk_size_);
    }
    wanted = std::min(wanted, file_.size());
    const std::size_t have = bytes_.size();
    if (wanted <= have) return false;
    bytes_.resize(wanted);
    IMPRINT_CHECK(file_.read_at(have, core::ByteSpan(bytes_).subspan(have)));
    if (chunk_size_ == 0) IMPRINT_CHECK(note_security_header());
    IMPRINT_CHECK(check_new_chunks(extent.hashed_by_chunk));
    return true;
  }

  // The chunks of the headers that were not checked yet: those that only one rule of padding counts to them in a
  // compressed image, and the last one where the file ends inside it, which is hashed with zeros behind it.
  core::Status check_other_chunks(const Image& image) {
    for (;; ++checked_) {
      const std::uint64_t offset = hashed_offset_ + checked_ * chunk_size_;
      if (offset >= image.payload_offset || offset >= bytes_.size()) return {};
      const auto rest = ByteView(bytes_).subspan(offset);
      IMPRINT_CHECK(check_unit(image, checked_, rest.first(std::min<std::size_t>(rest.size(), chunk_size_))));
    }
  }

 private:
  // header_bytes() checks the fields before any of them is believed.
  core::Status note_security_header() {
    if (bytes_.size() < core::kWireSize<format::SecurityHeader>) return {};
    IMPRINT_TRY(const auto needed, header_bytes(bytes_));
    ByteReader reader(bytes_);
    IMPRINT_TRY(const auto header, core::read_struct<format::SecurityHeader>(reader));
    chunk_size_ = header.chunk_size_kb * 1024;
    hashed_offset_ = needed;
    table_ = core::Extent{std::uint64_t{header.size} + header.catalog_size, header.hash_table_size};
    return {};
  }

  core::Status check_new_chunks(std::uint64_t hashed_by_chunk) {
    while (bytes_.size() >= table_.end() &&
           bytes_.size() >= hashed_offset_ + (checked_ + 1) * std::uint64_t{chunk_size_}) {
      if (chunk_size_ == 0 || hashed_offset_ + checked_ * std::uint64_t{chunk_size_} >= hashed_by_chunk) return {};
      if (checked_ * format::kHashSize >= table_.length) {
        return fail("ffu.hash-count", "the headers are longer than the table covers").with("offset", 28);
      }
      const std::uint64_t offset = hashed_offset_ + checked_ * chunk_size_;
      const auto digest = core::sha256(ByteView(bytes_).subspan(offset, chunk_size_));
      const auto expected = ByteView(bytes_).subspan(table_.offset + checked_ * format::kHashSize, format::kHashSize);
      if (!std::ranges::equal(digest, expected)) return mismatch(offset);
      ++checked_;
    }
    return {};
  }

  // Writers that round up an end of the hash table on a chunk's boundary, or just below it, put the image header a
  // chunk too late. Then no hash is right, and this is what to say.
  [[nodiscard]] core::Failure mismatch(std::uint64_t offset) const {
    const std::uint64_t late = hashed_offset_ + chunk_size_;
    const auto signature = file_.read(late + 4, format::kImageSignature.size());
    if (checked_ == 0 && signature && core::as_text(*signature) == format::kImageSignature) {
      return fail("ffu.image-header", "it does not follow the hash table at the next multiple of the chunk size")
          .with("offset", late)
          .with("expected", hashed_offset_);
    }
    return hash_mismatch("chunk", checked_, offset);
  }

  const core::BlockSource& file_;
  core::ByteBuffer bytes_;
  std::uint32_t chunk_size_ = 0;
  std::uint64_t hashed_offset_ = 0;
  core::Extent table_;
  std::uint64_t checked_ = 0;  // chunks
};

}  // namespace

core::Result<OpenedImage> open_image(const core::BlockSource& file) {
  HeaderAreaReader reader(file);
  HeaderExtent wanted{.most = core::kWireSize<format::SecurityHeader>};
  while (wanted.most > reader.bytes().size()) {
    IMPRINT_TRY(const bool grew, reader.extend(wanted));
    if (!grew) break;  // the file ends here: the parser below says what is missing
    IMPRINT_TRY(wanted, header_extent(reader.bytes()));
  }
  OpenedImage opened;
  const auto tail_is_zero = [&](std::uint64_t from) -> core::Result<bool> {
    IMPRINT_TRY(const auto tail, file.read(from, file.size() - from));  // shorter than a chunk
    return core::is_zero(tail);
  };
  IMPRINT_TRY(opened.image, parse_file(reader.bytes(), file.size(), tail_is_zero));
  IMPRINT_CHECK(reader.check_other_chunks(opened.image));
  opened.header_area = reader.take();
  opened.header_area.resize(opened.image.payload_offset);
  return opened;
}

}  // namespace imprint::ffu
