// SPDX-License-Identifier: GPL-3.0-or-later
// A small reader and writer of DER: the catalog's own structure is walked with it, so that what is hashed and compared
// are the very bytes of the image and not something that a library decoded and encoded again.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::trust::der {

inline constexpr std::uint8_t kInteger = 0x02;
inline constexpr std::uint8_t kOctetString = 0x04;
inline constexpr std::uint8_t kNull = 0x05;
inline constexpr std::uint8_t kObjectId = 0x06;
inline constexpr std::uint8_t kUtcTime = 0x17;
inline constexpr std::uint8_t kGeneralizedTime = 0x18;
inline constexpr std::uint8_t kBmpString = 0x1E;
inline constexpr std::uint8_t kSequence = 0x30;
inline constexpr std::uint8_t kSet = 0x31;
inline constexpr std::uint8_t kContext0 = 0xA0;  // [0], constructed
inline constexpr std::uint8_t kContext1 = 0xA1;
inline constexpr std::uint8_t kContext2 = 0xA2;

// One element. The views point into the bytes that were given to the reader.
struct Element {
  std::uint8_t tag = 0;
  std::uint64_t offset = 0;  // of the tag, from the start of the catalog
  core::ByteView whole;      // tag, length and content
  core::ByteView content;
  [[nodiscard]] std::uint64_t content_offset() const { return offset + (whole.size() - content.size()); }
};

// The elements of one level, one after the other. Every error is `catalog.malformed` with the offset. Only one-byte
// tags and definite lengths in their shortest form are taken, as DER demands.
class Reader {
 public:
  Reader(core::ByteView bytes, std::uint64_t base) : bytes_(bytes), base_(base) {}
  explicit Reader(const Element& parent) : Reader(parent.content, parent.content_offset()) {}

  [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }
  [[nodiscard]] bool next_is(std::uint8_t tag) const { return !at_end() && bytes_[position_] == tag; }
  [[nodiscard]] std::uint64_t offset() const { return base_ + position_; }
  [[nodiscard]] core::ByteView rest() const { return bytes_.subspan(position_); }

  [[nodiscard]] core::Result<Element> next();
  // The next element, which has to have this tag; `what` names it in the error.
  [[nodiscard]] core::Result<Element> next(std::uint8_t tag, std::string_view what);
  // Nothing may follow.
  [[nodiscard]] core::Status finish(std::string_view what) const;

 private:
  [[nodiscard]] core::Result<std::uint64_t> length(std::size_t& at) const;

  core::ByteView bytes_;
  std::uint64_t base_;
  std::size_t position_ = 0;
};

// The bytes of a view, to be put together with others.
[[nodiscard]] core::ByteBuffer copy(core::ByteView bytes);
// Tag, shortest length, content.
[[nodiscard]] core::ByteBuffer element(std::uint8_t tag, core::ByteView content);
// The same around several parts.
[[nodiscard]] core::ByteBuffer element(std::uint8_t tag, std::initializer_list<core::ByteBuffer> parts);

}  // namespace imprint::trust::der
