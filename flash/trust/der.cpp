// SPDX-License-Identifier: GPL-3.0-or-later
// Lengths of DER, read with every bound checked, and written.
#include "flash/trust/der.hpp"

#include <string>

#include "flash/trust/errors.hpp"

namespace imprint::trust::der {
namespace {

constexpr std::size_t kMaxLengthBytes = 4;

core::Failure malformed(std::string detail, std::uint64_t offset) {
  return fail("catalog.malformed", std::move(detail)).with("offset", offset);
}

}  // namespace

core::Result<std::uint64_t> Reader::length(std::size_t& at) const {
  if (at == bytes_.size()) return malformed("the data ends before an element's length", base_ + at);
  const std::uint8_t first = bytes_[at++];
  if (first < 0x80) return first;
  const std::size_t count = first & 0x7FU;
  if (count == 0) return malformed("an element has no definite length", base_ + at - 1);
  if (count > kMaxLengthBytes) return malformed("an element's length has too many bytes", base_ + at - 1);
  if (count > bytes_.size() - at) return malformed("the data ends within an element's length", base_ + at - 1);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes_[at++];
  const bool shortest = value >= 0x80 && (count == 1 || value >> (8 * (count - 1)) != 0);
  if (!shortest) return malformed("an element's length is not in its shortest form", base_ + at - count - 1);
  return value;
}

core::Result<Element> Reader::next() {
  if (at_end()) return malformed("the data ends where an element is expected", offset());
  std::size_t at = position_;
  const std::uint8_t tag = bytes_[at++];
  if ((tag & 0x1FU) == 0x1FU) return malformed("an element's tag has several bytes", offset());
  IMPRINT_TRY(const std::uint64_t size, length(at));
  if (size > bytes_.size() - at) {
    return malformed("an element is longer than what holds it", offset())
        .with("expected", size)
        .with("actual", bytes_.size() - at);
  }
  const std::size_t end = at + static_cast<std::size_t>(size);
  const Element out{tag, offset(), bytes_.subspan(position_, end - position_), bytes_.subspan(at, end - at)};
  position_ = end;
  return out;
}

core::Result<Element> Reader::next(std::uint8_t tag, std::string_view what) {
  if (at_end()) return malformed(std::string(what) + " is not there", offset());
  if (bytes_[position_] != tag) {
    return malformed(std::string(what) + " has another tag", offset())
        .with("expected", static_cast<unsigned>(tag))
        .with("actual", static_cast<unsigned>(bytes_[position_]));
  }
  return next();
}

core::Status Reader::finish(std::string_view what) const {
  if (!at_end()) return malformed("something follows " + std::string(what), offset());
  return {};
}

core::ByteBuffer copy(core::ByteView bytes) { return {bytes.begin(), bytes.end()}; }

core::ByteBuffer element(std::uint8_t tag, core::ByteView content) {
  core::ByteBuffer out{tag};
  const std::uint64_t size = content.size();
  if (size < 0x80) {
    out.push_back(static_cast<std::uint8_t>(size));
  } else {
    std::uint8_t count = 1;
    while (size >> (8U * count) != 0) ++count;
    out.push_back(static_cast<std::uint8_t>(0x80U | count));
    while (count-- > 0) out.push_back(static_cast<std::uint8_t>(size >> (8U * count)));
  }
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

core::ByteBuffer element(std::uint8_t tag, std::initializer_list<core::ByteBuffer> parts) {
  core::ByteBuffer content;
  for (const auto& part : parts) content.insert(content.end(), part.begin(), part.end());
  return element(tag, content);
}

}  // namespace imprint::trust::der
