// SPDX-License-Identifier: GPL-3.0-or-later
// Writes a registry hive from nothing: base block, bins of 4 KiB pages, and the cells of keys, values, lists and one
// security descriptor. Everything that Windows would fill with time or chance is 0, so that the same tree gives the
// same bytes.
#include <algorithm>
#include <array>
#include <string_view>

#include "flash/bcd/hive.hpp"
#include "flash/core/wire.hpp"

namespace imprint::bcd {
namespace {

constexpr std::uint32_t kNone = 0xFFFFFFFF;
constexpr std::size_t kBaseBlockSize = 4096;
constexpr std::size_t kPageSize = 4096;
constexpr std::size_t kChecksumOffset = 0x1FC;
constexpr std::uint16_t kFlagHiveRoot = 0x0C;      // root of a hive, not to be deleted
constexpr std::uint16_t kFlagAsciiName = 0x20;     // the name is one byte a character
constexpr std::uint32_t kInlineData = 0x80000000;  // data of up to 4 bytes lies in the offset field
// More subkeys than this go into several leaves under an index, as Windows splits them to fit a page.
constexpr std::size_t kMaxLeafEntries = 500;

struct BaseBlock {
  std::array<char, 4> signature{'r', 'e', 'g', 'f'};
  std::uint32_t sequence1 = 1;  // equal numbers: nothing is left in a log
  std::uint32_t sequence2 = 1;
  std::uint64_t written = 0;
  std::uint32_t major = 1;
  std::uint32_t minor = 3;
  std::uint32_t type = 0;
  std::uint32_t format = 1;
  std::uint32_t root = 0;
  std::uint32_t data_size = 0;
  std::uint32_t clustering = 1;
  static constexpr auto fields() {
    return std::tuple(&BaseBlock::signature, &BaseBlock::sequence1, &BaseBlock::sequence2, &BaseBlock::written,
                      &BaseBlock::major, &BaseBlock::minor, &BaseBlock::type, &BaseBlock::format, &BaseBlock::root,
                      &BaseBlock::data_size, &BaseBlock::clustering);
  }
};

struct BinHeader {
  std::array<char, 4> signature{'h', 'b', 'i', 'n'};
  std::uint32_t offset = 0;  // from the end of the base block
  std::uint32_t size = 0;
  std::uint64_t reserved = 0;
  std::uint64_t written = 0;
  std::uint32_t spare = 0;
  static constexpr auto fields() {
    return std::tuple(&BinHeader::signature, &BinHeader::offset, &BinHeader::size, &BinHeader::reserved,
                      &BinHeader::written, &BinHeader::spare);
  }
};

struct KeyCell {
  std::array<char, 2> signature{'n', 'k'};
  std::uint16_t flags = kFlagAsciiName;
  std::uint64_t written = 0;
  std::uint32_t access = 0;
  std::uint32_t parent = 0;
  std::uint32_t subkey_count = 0;
  std::uint32_t volatile_count = 0;
  std::uint32_t subkeys = kNone;
  std::uint32_t volatile_subkeys = kNone;
  std::uint32_t value_count = 0;
  std::uint32_t values = kNone;
  std::uint32_t security = 0;
  std::uint32_t class_name = kNone;
  std::uint32_t max_subkey_name = 0;  // bytes of UTF-16
  std::uint32_t max_subkey_class = 0;
  std::uint32_t max_value_name = 0;
  std::uint32_t max_value_data = 0;
  std::uint32_t work = 0;
  std::uint16_t name_length = 0;
  std::uint16_t class_length = 0;
  static constexpr auto fields() {
    return std::tuple(&KeyCell::signature, &KeyCell::flags, &KeyCell::written, &KeyCell::access, &KeyCell::parent,
                      &KeyCell::subkey_count, &KeyCell::volatile_count, &KeyCell::subkeys, &KeyCell::volatile_subkeys,
                      &KeyCell::value_count, &KeyCell::values, &KeyCell::security, &KeyCell::class_name,
                      &KeyCell::max_subkey_name, &KeyCell::max_subkey_class, &KeyCell::max_value_name,
                      &KeyCell::max_value_data, &KeyCell::work, &KeyCell::name_length, &KeyCell::class_length);
  }
};

struct ValueCell {
  std::array<char, 2> signature{'v', 'k'};
  std::uint16_t name_length = 0;
  std::uint32_t data_length = 0;
  std::uint32_t data = 0;
  std::uint32_t type = 0;
  std::uint16_t flags = 1;  // the name is one byte a character
  std::uint16_t spare = 0;
  static constexpr auto fields() {
    return std::tuple(&ValueCell::signature, &ValueCell::name_length, &ValueCell::data_length, &ValueCell::data,
                      &ValueCell::type, &ValueCell::flags, &ValueCell::spare);
  }
};

// Self-relative: owner Administrators, group SYSTEM, full control for both, inherited by keys below.
core::ByteBuffer security_descriptor() {
  constexpr std::array<std::uint8_t, 16> kAdministrators = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0};
  constexpr std::array<std::uint8_t, 12> kSystem = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
  constexpr std::uint32_t kAllAccess = 0x000F003F;
  constexpr std::uint16_t kAceFixed = 8;
  constexpr std::uint16_t kAclSize = 8 + 2 * kAceFixed + 16 + 12;
  core::ByteWriter out;
  out.le<std::uint16_t>(1);       // revision
  out.le<std::uint16_t>(0x8004);  // self-relative, with a DACL
  out.le<std::uint32_t>(20 + kAclSize);
  out.le<std::uint32_t>(20 + kAclSize + 16);
  out.le<std::uint32_t>(0);
  out.le<std::uint32_t>(20);
  out.le<std::uint16_t>(2);  // ACL revision
  out.le<std::uint16_t>(kAclSize);
  out.le<std::uint32_t>(2);  // entries
  const auto allow = [&](core::ByteView sid) {
    out.le<std::uint16_t>(0x0200);  // access allowed, containers inherit
    out.le(static_cast<std::uint16_t>(kAceFixed + sid.size()));
    out.le(kAllAccess);
    out.bytes(sid);
  };
  allow(kAdministrators);
  allow(kSystem);
  out.bytes(kAdministrators);
  out.bytes(kSystem);
  return out.release();
}

// The bins. A cell lies within one bin; one that does not fit the rest of the bin opens the next, and the rest becomes
// a free cell. Offsets are those of the format: from the end of the base block to the cell's size field.
class Bins {
 public:
  std::uint32_t allocate(std::size_t payload) {
    const std::size_t size = static_cast<std::size_t>(core::round_up(payload + 4, 8));
    if (size > bin_end_ - next_) open_bin(size);
    const std::size_t offset = next_;
    put_size(offset, -static_cast<std::int64_t>(size));
    next_ += size;
    return static_cast<std::uint32_t>(offset);
  }
  void fill(std::uint32_t cell, core::ByteView payload) {
    std::ranges::copy(payload, bytes_.begin() + static_cast<std::ptrdiff_t>(cell) + 4);
  }
  std::uint32_t add(core::ByteView payload) {
    const std::uint32_t cell = allocate(payload.size());
    fill(cell, payload);
    return cell;
  }
  core::ByteBuffer release() {
    close_bin();
    return std::move(bytes_);
  }

 private:
  void put_size(std::size_t offset, std::int64_t size) {
    core::store_le(bytes_.data() + offset, static_cast<std::uint32_t>(static_cast<std::int32_t>(size)));
  }
  void close_bin() {
    if (next_ < bin_end_) put_size(next_, static_cast<std::int64_t>(bin_end_ - next_));
    next_ = bin_end_;
  }
  void open_bin(std::size_t cell) {
    close_bin();
    BinHeader header;
    header.offset = static_cast<std::uint32_t>(bin_end_);
    header.size = static_cast<std::uint32_t>(core::round_up(core::kWireSize<BinHeader> + cell, kPageSize));
    core::ByteWriter out;
    core::write_struct(out, header);
    bytes_.insert(bytes_.end(), out.buffer().begin(), out.buffer().end());
    next_ = bytes_.size();
    bin_end_ += header.size;
    bytes_.resize(bin_end_);
  }

  core::ByteBuffer bytes_;
  std::size_t next_ = 0;
  std::size_t bin_end_ = 0;
};

std::uint32_t count_keys(const HiveKey& key) {
  std::uint32_t count = 1;
  for (const HiveKey& subkey : key.subkeys) count += count_keys(subkey);
  return count;
}

class HiveBuilder {
 public:
  core::ByteBuffer build(const HiveKey& root) {
    // The root key comes first, so its offset is the same in every hive; the security cell is named by all keys.
    const std::uint32_t root_cell = bins_.allocate(core::kWireSize<KeyCell> + root.name.size());
    security_ = add_security(count_keys(root));
    write_key(root, root_cell, 0, kFlagHiveRoot);
    const core::ByteBuffer data = bins_.release();
    BaseBlock base;
    base.root = root_cell;
    base.data_size = static_cast<std::uint32_t>(data.size());
    core::ByteWriter out;
    core::write_struct(out, base);
    out.zeros(kBaseBlockSize - out.buffer().size());
    out.bytes(data);
    core::ByteBuffer hive = out.release();
    std::uint32_t checksum = 0;
    for (std::size_t i = 0; i < kChecksumOffset; i += 4) checksum ^= core::load_le<std::uint32_t>(hive.data() + i);
    core::store_le(hive.data() + kChecksumOffset, checksum);
    return hive;
  }

 private:
  std::uint32_t add_security(std::uint32_t users) {
    const core::ByteBuffer descriptor = security_descriptor();
    const std::uint32_t cell = bins_.allocate(20 + descriptor.size());
    core::ByteWriter out;
    out.bytes(core::as_bytes("sk"));
    out.le<std::uint16_t>(0);
    out.le(cell);  // the ring of descriptors has this one only
    out.le(cell);
    out.le(users);
    out.le(static_cast<std::uint32_t>(descriptor.size()));
    out.bytes(descriptor);
    bins_.fill(cell, out.buffer());
    return cell;
  }

  void write_key(const HiveKey& key, std::uint32_t cell, std::uint32_t parent, std::uint16_t flags) {
    KeyCell fields;
    fields.flags = static_cast<std::uint16_t>(kFlagAsciiName | flags);
    fields.parent = parent;
    fields.security = security_;
    fields.name_length = static_cast<std::uint16_t>(key.name.size());
    fields.value_count = static_cast<std::uint32_t>(key.values.size());
    fields.subkey_count = static_cast<std::uint32_t>(key.subkeys.size());
    for (const HiveValue& value : key.values) {
      fields.max_value_name = std::max(fields.max_value_name, static_cast<std::uint32_t>(2 * value.name.size()));
      fields.max_value_data = std::max(fields.max_value_data, static_cast<std::uint32_t>(value.data.bytes.size()));
    }
    for (const HiveKey& subkey : key.subkeys) {
      fields.max_subkey_name = std::max(fields.max_subkey_name, static_cast<std::uint32_t>(2 * subkey.name.size()));
    }
    if (!key.values.empty()) fields.values = write_values(key.values);
    if (!key.subkeys.empty()) fields.subkeys = write_subkeys(key.subkeys, cell);
    core::ByteWriter out;
    core::write_struct(out, fields);
    out.bytes(core::as_bytes(key.name));
    bins_.fill(cell, out.buffer());
  }

  std::uint32_t write_values(const std::vector<HiveValue>& values) {
    core::ByteWriter list;
    for (const HiveValue& value : values) list.le(write_value(value));
    return bins_.add(list.buffer());
  }

  std::uint32_t write_value(const HiveValue& value) {
    const core::ByteBuffer& bytes = value.data.bytes;
    ValueCell fields;
    fields.name_length = static_cast<std::uint16_t>(value.name.size());
    fields.data_length = static_cast<std::uint32_t>(bytes.size());
    fields.type = value.data.type;
    if (bytes.size() <= 4) {
      fields.data_length |= kInlineData;
      std::array<std::uint8_t, 4> inline_bytes{};
      std::ranges::copy(bytes, inline_bytes.begin());
      fields.data = core::load_le<std::uint32_t>(inline_bytes.data());
    } else {
      fields.data = bins_.add(bytes);
    }
    core::ByteWriter out;
    core::write_struct(out, fields);
    out.bytes(core::as_bytes(value.name));
    return bins_.add(out.buffer());
  }

  // "lf" leaves: the cell of each subkey and the first four characters of its name, which version 1.3 searches by.
  std::uint32_t write_subkeys(const std::vector<HiveKey>& subkeys, std::uint32_t parent) {
    std::vector<std::uint32_t> leaves;
    for (std::size_t start = 0; start < subkeys.size(); start += kMaxLeafEntries) {
      const std::size_t count = std::min(kMaxLeafEntries, subkeys.size() - start);
      core::ByteWriter leaf;
      leaf.bytes(core::as_bytes("lf"));
      leaf.le(static_cast<std::uint16_t>(count));
      for (std::size_t i = start; i < start + count; ++i) {
        const HiveKey& subkey = subkeys[i];
        const std::uint32_t cell = bins_.allocate(core::kWireSize<KeyCell> + subkey.name.size());
        write_key(subkey, cell, parent, 0);
        leaf.le(cell);
        const std::string_view hint = std::string_view(subkey.name).substr(0, 4);
        leaf.bytes(core::as_bytes(hint));
        leaf.zeros(4 - hint.size());
      }
      leaves.push_back(bins_.add(leaf.buffer()));
    }
    if (leaves.size() == 1) return leaves.front();
    core::ByteWriter index;
    index.bytes(core::as_bytes("ri"));
    index.le(static_cast<std::uint16_t>(leaves.size()));
    for (const std::uint32_t leaf : leaves) index.le(leaf);
    return bins_.add(index.buffer());
  }

  Bins bins_;
  std::uint32_t security_ = 0;
};

}  // namespace

core::ByteBuffer write_hive(const HiveKey& root) { return HiveBuilder().build(root); }

}  // namespace imprint::bcd
