// SPDX-License-Identifier: GPL-3.0-or-later
// One pass over the header area of an FFU under one rule of padding. Private to this folder: image.cpp decides which
// rule a file was written by.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"
#include "flash/ffu/format.hpp"
#include "flash/ffu/image.hpp"

namespace imprint::ffu {

// How writers pad the store headers. With blocks smaller or larger than a chunk, tools differ; the file's size settles
// it.
enum class PaddingRule : std::uint8_t { to_chunk, to_block, to_block_from_image_header };

// Stops the parse where more of the file is needed, which is not an error while it is being streamed in.
struct Needed {
  std::uint64_t bytes;
};

// How deep a parse goes: for the sizes alone, entries and descriptors are passed over by the lengths of their tables,
// so that finding out how much of a file belongs to its headers costs the same for every read of some more of it.
enum class ParseDepth : std::uint8_t { sizes, whole };

// Every size is checked against a limit before it is used for anything; limits of counts are for the image as a whole.
class HeaderParser {
 public:
  HeaderParser(core::ByteView bytes, PaddingRule rule, ParseDepth depth) : bytes_(bytes), rule_(rule), depth_(depth) {}

  // Parses everything before the payload, or says how many bytes it needs first.
  core::Result<std::optional<Needed>> parse();
  // Whether another rule would have put anything elsewhere, as far as the parse came.
  [[nodiscard]] bool rule_mattered() const { return rule_mattered_; }
  [[nodiscard]] std::uint64_t payload_offset() const { return image_.payload_offset; }
  // Once the first store header was read.
  [[nodiscard]] bool is_compressed() const { return image_.is_compressed(); }
  // After a whole parse; the file is taken to end with the payload.
  [[nodiscard]] Image take();

 private:
  using Step = core::Result<std::optional<Needed>>;

  Step need(std::uint64_t bytes) const;
  Step parse_security_header();
  Step parse_image_header();
  Step parse_targets(std::uint32_t count);
  Step parse_stores();
  Step parse_store(Store& store, std::uint16_t index);
  core::Status check_store_header(const format::StoreHeader& header, std::uint16_t index);
  Step parse_extension(Store& store, std::uint16_t index);
  Step parse_compression(Store& store);
  core::Status parse_validation(Store& store, const format::StoreHeader& header);
  core::Status parse_descriptors(Store& store, const format::StoreHeader& header);
  core::Result<WriteDescriptor> parse_entry(core::ByteReader& reader, std::uint32_t index, const Store& store) const;
  core::Status parse_locations(core::ByteReader& reader, const WriteDescriptor& descriptor, std::uint32_t index,
                               Store& store) const;
  core::Status place_payloads();
  void match_manifest_stores();
  [[nodiscard]] std::uint64_t padded(std::uint64_t offset, std::uint32_t block_size);

  core::ByteView bytes_;
  PaddingRule rule_;
  ParseDepth depth_;
  bool rule_mattered_ = false;
  Image image_;
  core::ByteView catalog_;
  core::ByteView hash_table_;
  std::uint64_t position_ = 0;     // bytes of the file that are parsed
  std::uint64_t descriptors_ = 0;  // of all stores so far
  std::uint64_t locations_ = 0;
  std::uint64_t validation_bytes_ = 0;
  std::uint16_t store_count_ = 1;
  std::vector<std::optional<std::uint64_t>> claimed_payloads_;  // V2: bytes
};

// How much of the file belongs to the headers, as far as its start tells.
struct HeaderExtent {
  std::uint64_t most = 0;                      // bytes that some rule of padding asks for
  std::uint64_t hashed_by_chunk = UINT64_MAX;  // up to here chunks have hashes whichever rule holds
};
[[nodiscard]] core::Result<HeaderExtent> header_extent(core::ByteView start);

// Returns from a function that gives a Step where the step asks for more bytes or failed.
#define IMPRINT_NEED(expression) \
  if (auto needed = (expression); !needed || *needed) return needed

}  // namespace imprint::ffu
