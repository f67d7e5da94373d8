// SPDX-License-Identifier: GPL-3.0-or-later
// Puts long names together and turns directory entries into names, sizes and first clusters.
#include "flash/disk/fat_directory.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "flash/core/text.hpp"
#include "flash/core/wire.hpp"
#include "flash/disk/errors.hpp"

namespace imprint::disk {
namespace {

constexpr std::size_t kEntryBytes = 32;
constexpr std::uint8_t kDeleted = 0xE5;
constexpr std::uint8_t kAttributeLabel = 0x08;
constexpr std::uint8_t kAttributeDirectory = 0x10;
constexpr std::uint8_t kAttributeLongName = 0x0F;
constexpr std::uint8_t kLastLongEntry = 0x40;
constexpr std::size_t kMaxLongEntries = 20;
constexpr std::size_t kUnitsPerEntry = 13;

struct ShortEntry {
  std::array<std::uint8_t, 11> name{};
  std::uint8_t attributes = 0;
  std::uint8_t case_flags = 0;  // 0x08: base in lower case, 0x10: extension in lower case
  std::array<std::uint8_t, 7> created{};
  std::uint16_t cluster_high = 0;
  std::array<std::uint8_t, 4> written{};
  std::uint16_t cluster_low = 0;
  std::uint32_t size = 0;
  static constexpr auto fields() {
    return std::make_tuple(&ShortEntry::name, &ShortEntry::attributes, &ShortEntry::case_flags, &ShortEntry::created,
                           &ShortEntry::cluster_high, &ShortEntry::written, &ShortEntry::cluster_low,
                           &ShortEntry::size);
  }
};

struct LongEntry {
  std::uint8_t order = 0;
  std::array<std::uint8_t, 10> first{};
  std::uint8_t attributes = 0;
  std::uint8_t type = 0;
  std::uint8_t checksum = 0;
  std::array<std::uint8_t, 12> second{};
  std::uint16_t cluster = 0;
  std::array<std::uint8_t, 4> third{};
  static constexpr auto fields() {
    return std::make_tuple(&LongEntry::order, &LongEntry::first, &LongEntry::attributes, &LongEntry::type,
                           &LongEntry::checksum, &LongEntry::second, &LongEntry::cluster, &LongEntry::third);
  }
};
static_assert(core::kWireSize<ShortEntry> == kEntryBytes && core::kWireSize<LongEntry> == kEntryBytes);

constexpr std::u16string_view kCodePage437 =
    u"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡"
    u"±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00A0";
static_assert(kCodePage437.size() == 128);

std::string from_code_page(core::ByteView bytes) {
  core::ByteWriter units;
  for (const std::uint8_t byte : bytes) {
    units.le(static_cast<std::uint16_t>(byte < 0x80 ? byte : kCodePage437[byte - 0x80U]));
  }
  return core::utf8_from_utf16le(units.buffer());
}

std::uint8_t checksum_of(const std::array<std::uint8_t, 11>& name) {
  std::uint8_t sum = 0;
  for (const std::uint8_t byte : name) sum = static_cast<std::uint8_t>(((sum & 1U) << 7U) + (sum >> 1U) + byte);
  return sum;
}

// A name with a separator or a control character in it could lead a path elsewhere, or drive a terminal.
bool is_allowed(std::string_view name) {
  return !name.empty() && std::ranges::none_of(name, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '/' || c == '\\';
  });
}

core::ByteView without_padding(core::ByteView bytes) {
  while (!bytes.empty() && bytes.back() == ' ') bytes = bytes.first(bytes.size() - 1);
  return bytes;
}

// Collects the entries of one long name, which come last part first.
class LongName {
 public:
  void add(const LongEntry& entry) {
    const std::size_t order = entry.order & 0x3FU;
    if ((entry.order & kLastLongEntry) != 0) {
      valid_ = order >= 1 && order <= kMaxLongEntries && entry.type == 0;
      next_ = order;
      checksum_ = entry.checksum;
      units_.assign(valid_ ? order * kUnitsPerEntry * 2 : 0, 0);
    }
    if (!valid_ || order != next_ || order == 0 || entry.checksum != checksum_) {
      valid_ = false;
      return;
    }
    --next_;
    auto out = units_.begin() + static_cast<std::ptrdiff_t>(next_ * kUnitsPerEntry * 2);
    out = std::ranges::copy(entry.first, out).out;
    out = std::ranges::copy(entry.second, out).out;
    std::ranges::copy(entry.third, out);
  }
  // The name that belongs to this short one, or an empty string. Starts anew.
  [[nodiscard]] std::string finish(const std::array<std::uint8_t, 11>& short_name) {
    const bool whole = valid_ && next_ == 0 && checksum_ == checksum_of(short_name);
    valid_ = false;
    if (!whole) return {};
    std::size_t length = 0;
    while (length < units_.size() && (units_[length] != 0 || units_[length + 1] != 0)) length += 2;
    std::string name = core::utf8_from_utf16le(core::ByteView(units_).first(length));
    return is_allowed(name) ? name : std::string{};
  }
  void drop() { valid_ = false; }

 private:
  bool valid_ = false;
  std::size_t next_ = 0;
  std::uint8_t checksum_ = 0;
  core::ByteBuffer units_;
};

std::string short_name_of(const ShortEntry& entry, std::uint8_t case_flags) {
  std::array<std::uint8_t, 11> raw = entry.name;
  if (raw[0] == 0x05) raw[0] = kDeleted;  // a name that really starts with this byte
  const auto lower = [](core::ByteSpan part) {
    for (std::uint8_t& c : part) c = c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c + 32) : c;
  };
  if ((case_flags & 0x08U) != 0) lower(core::ByteSpan(raw).first(8));
  if ((case_flags & 0x10U) != 0) lower(core::ByteSpan(raw).subspan(8));
  std::string out = from_code_page(without_padding(core::ByteView(raw).first(8)));
  const std::string extension = from_code_page(without_padding(core::ByteView(raw).subspan(8)));
  if (!extension.empty()) out += "." + extension;
  return out;
}

}  // namespace

core::Result<FatDirectory> parse_fat_directory(core::ByteView bytes, bool is_fat32, std::uint64_t offset) {
  FatDirectory out;
  LongName long_name;
  for (std::size_t at = 0; at + kEntryBytes <= bytes.size() && bytes[at] != 0; at += kEntryBytes) {
    core::ByteReader reader(bytes.subspan(at, kEntryBytes), offset + at);
    if (bytes[at] == kDeleted) {
      long_name.drop();
      continue;
    }
    if ((bytes[at + 11] & 0x3FU) == kAttributeLongName) {
      IMPRINT_TRY(const LongEntry part, core::read_struct<LongEntry>(reader));
      long_name.add(part);
      continue;
    }
    IMPRINT_TRY(const ShortEntry entry, core::read_struct<ShortEntry>(reader));
    if ((entry.attributes & kAttributeLabel) != 0) {
      long_name.drop();
      if (out.label.empty()) out.label = core::printable(from_code_page(without_padding(entry.name)));
      continue;
    }
    FatDirectoryEntry found;
    found.short_name = short_name_of(entry, 0);
    found.name = long_name.finish(entry.name);
    if (found.short_name == "." || found.short_name == "..") continue;
    if (!is_allowed(found.short_name)) {
      return fail("volume.damaged", "a directory entry's name cannot be").with("offset", offset + at);
    }
    if (found.name.empty()) found.name = short_name_of(entry, entry.case_flags);
    found.is_directory = (entry.attributes & kAttributeDirectory) != 0;
    // FAT12 and FAT16 keep other things in the high half.
    found.first_cluster = entry.cluster_low | (is_fat32 ? std::uint32_t{entry.cluster_high} << 16U : 0U);
    found.size = found.is_directory ? 0 : entry.size;
    out.entries.push_back(std::move(found));
  }
  return out;
}

}  // namespace imprint::disk
