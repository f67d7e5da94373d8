// SPDX-License-Identifier: GPL-3.0-or-later
// The GUID partition table: both copies read on their own and written byte for byte the same for the same table.
#include "flash/disk/gpt_table.hpp"

#include <algorithm>
#include <bit>

#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/errors.hpp"

namespace imprint::disk {
namespace {

constexpr std::uint64_t kSignature = 0x5452415020494645;  // "EFI PART"
constexpr std::uint32_t kRevision = 0x00010000;
constexpr std::size_t kHeaderCrcOffset = 16;
constexpr std::uint32_t kMaxEntries = 1024;
constexpr std::uint32_t kMaxEntrySize = 4096;
constexpr std::uint32_t kWrittenEntries = 128;
constexpr std::size_t kNameBytes = 72;  // 36 units of UTF-16

struct GptHeader {
  std::uint64_t signature = kSignature;
  std::uint32_t revision = kRevision;
  std::uint32_t header_size = 92;
  std::uint32_t header_crc = 0;
  std::uint32_t reserved = 0;
  std::uint64_t my_sector = 0;
  std::uint64_t other_sector = 0;
  std::uint64_t first_usable = 0;
  std::uint64_t last_usable = 0;
  core::Guid disk_id;
  std::uint64_t entries_sector = 0;
  std::uint32_t entry_count = kWrittenEntries;
  std::uint32_t entry_size = 128;
  std::uint32_t entries_crc = 0;
  static constexpr auto fields() {
    return std::make_tuple(&GptHeader::signature, &GptHeader::revision, &GptHeader::header_size, &GptHeader::header_crc,
                           &GptHeader::reserved, &GptHeader::my_sector, &GptHeader::other_sector,
                           &GptHeader::first_usable, &GptHeader::last_usable, &GptHeader::disk_id,
                           &GptHeader::entries_sector, &GptHeader::entry_count, &GptHeader::entry_size,
                           &GptHeader::entries_crc);
  }
};

struct GptEntry {
  core::Guid type;
  core::Guid id;
  std::uint64_t first_sector = 0;
  std::uint64_t last_sector = 0;
  std::uint64_t attributes = 0;
  std::array<std::uint8_t, kNameBytes> name{};
  static constexpr auto fields() {
    return std::make_tuple(&GptEntry::type, &GptEntry::id, &GptEntry::first_sector, &GptEntry::last_sector,
                           &GptEntry::attributes, &GptEntry::name);
  }
};
static_assert(core::kWireSize<GptHeader> == 92 && core::kWireSize<GptEntry> == 128);

core::Failure damaged(std::string detail, std::uint64_t offset) {
  return fail("layout.gpt-damaged", std::move(detail)).with("offset", offset);
}

// One copy, at `sector`. The disk's geometry comes along so that every field is checked against it.
class GptCopyReader {
 public:
  GptCopyReader(const core::BlockSource& disk, std::uint32_t sector_size, std::uint64_t sector)
      : disk_(disk), sector_size_(sector_size), disk_sectors_(disk.size() / sector_size), sector_(sector) {}

  [[nodiscard]] core::Result<PartitionTable> read() {
    IMPRINT_CHECK(read_header());
    IMPRINT_CHECK(check_header());
    return read_entries();
  }
  // Set once the header was read and carries the signature; its CRC may still be wrong.
  [[nodiscard]] bool has_signature() const { return has_signature_; }
  // What the header says about the other copy, when the header itself is sound.
  [[nodiscard]] std::optional<std::uint64_t> other_sector() const {
    return sound_ ? std::optional(header_.other_sector) : std::nullopt;
  }

 private:
  [[nodiscard]] std::uint64_t offset() const { return sector_ * sector_size_; }

  [[nodiscard]] core::Status read_header() {
    if (sector_ >= disk_sectors_)
      return damaged("the header's place is behind the end of the disk", 0).with("sector", sector_);
    IMPRINT_TRY(const core::ByteBuffer bytes, disk_.read(offset(), sector_size_));
    core::ByteReader reader(bytes, offset());
    IMPRINT_TRY(header_, core::read_struct<GptHeader>(reader));
    has_signature_ = header_.signature == kSignature;
    if (!has_signature_) return damaged("no EFI PART signature", offset());
    if (header_.header_size < core::kWireSize<GptHeader> || header_.header_size > sector_size_) {
      return damaged("bad header size", offset() + 12).with("actual", header_.header_size);
    }
    core::ByteBuffer sealed(bytes.begin(), bytes.begin() + header_.header_size);
    core::store_le(sealed.data() + kHeaderCrcOffset, std::uint32_t{0});
    if (core::crc32(sealed) != header_.header_crc)
      return damaged("the header's CRC is wrong", offset() + kHeaderCrcOffset);
    sound_ = true;
    return {};
  }

  [[nodiscard]] core::Status check_header() {
    if (header_.my_sector != sector_) {
      return damaged("the header says that it lies elsewhere", offset() + 24).with("actual", header_.my_sector);
    }
    if (header_.other_sector == sector_ || (sector_ != 1 && header_.other_sector != 1)) {
      return damaged("the header points to a wrong other copy", offset() + 32).with("actual", header_.other_sector);
    }
    if (header_.first_usable > header_.last_usable || header_.last_usable >= disk_sectors_ ||
        header_.first_usable < 2) {
      return damaged("the usable range is not on the disk", offset() + 40)
          .with("first_usable", header_.first_usable)
          .with("last_usable", header_.last_usable)
          .with("disk_sectors", disk_sectors_);
    }
    if (sector_ >= header_.first_usable && sector_ <= header_.last_usable) {
      return damaged("the header lies in the usable range", offset() + 40);
    }
    if (header_.entry_size < 128 || header_.entry_size > kMaxEntrySize || !std::has_single_bit(header_.entry_size) ||
        header_.entry_count == 0 || header_.entry_count > kMaxEntries) {
      return damaged("bad number or size of entries", offset() + 80)
          .with("count", header_.entry_count)
          .with("size", header_.entry_size);
    }
    return check_entry_place();
  }

  [[nodiscard]] core::Status check_entry_place() const {
    const std::uint64_t bytes = std::uint64_t{header_.entry_count} * header_.entry_size;
    const std::uint64_t sectors = core::round_up(bytes, sector_size_) / sector_size_;
    const std::uint64_t first = header_.entries_sector;
    std::uint64_t end = 0;
    const bool on_disk = core::checked_add(first, sectors, end) && end <= disk_sectors_ && first >= 2;
    if (!on_disk || (first <= header_.last_usable && end > header_.first_usable) ||
        (first <= sector_ && end > sector_)) {
      return damaged("the entries lie where they cannot be", offset() + 72).with("actual", first);
    }
    return {};
  }

  [[nodiscard]] core::Result<PartitionTable> read_entries() const {
    const std::uint64_t place = header_.entries_sector * sector_size_;
    IMPRINT_TRY(const core::ByteBuffer bytes,
                disk_.read(place, std::uint64_t{header_.entry_count} * header_.entry_size));
    if (core::crc32(bytes) != header_.entries_crc) return damaged("the entries' CRC is wrong", offset() + 88);
    PartitionTable table;
    table.style = TableStyle::gpt;
    table.sector_size = sector_size_;
    table.disk_id = header_.disk_id;
    table.first_usable_sector = header_.first_usable;
    table.last_usable_sector = header_.last_usable;
    table.backup_sector = sector_ == 1 ? header_.other_sector : sector_;
    for (std::uint32_t i = 0; i < header_.entry_count; ++i) {
      const std::size_t at = std::size_t{i} * header_.entry_size;
      core::ByteReader reader(core::ByteView(bytes).subspan(at, header_.entry_size), place + at);
      IMPRINT_TRY(const GptEntry entry, core::read_struct<GptEntry>(reader));
      if (entry.type.is_zero()) continue;
      if (entry.last_sector < entry.first_sector || entry.last_sector == UINT64_MAX) {
        return damaged("a partition ends before it starts", place + at).with("partition", i + 1);
      }
      table.partitions.push_back(to_partition(entry, i + 1));
    }
    if (auto checked = check_partitions(table.partitions, header_.first_usable, header_.last_usable); !checked) {
      return damaged("its partitions cannot be", place).caused_by(std::move(checked).error());
    }
    return table;
  }

  [[nodiscard]] static Partition to_partition(const GptEntry& entry, std::uint32_t number) {
    Partition out;
    out.number = number;
    out.type = entry.type;
    out.id = entry.id;
    out.attributes = entry.attributes;
    out.first_sector = entry.first_sector;
    out.sector_count = entry.last_sector - entry.first_sector + 1;
    std::size_t length = 0;
    while (length < kNameBytes && (entry.name[length] != 0 || entry.name[length + 1] != 0)) length += 2;
    out.name = core::utf8_from_utf16le(core::ByteView(entry.name).first(length));
    return out;
  }

  const core::BlockSource& disk_;
  std::uint32_t sector_size_;
  std::uint64_t disk_sectors_;
  std::uint64_t sector_;
  GptHeader header_;
  bool has_signature_ = false;
  bool sound_ = false;
};

bool same_disk(const PartitionTable& a, const PartitionTable& b) {
  return a.disk_id == b.disk_id && a.first_usable_sector == b.first_usable_sector &&
         a.last_usable_sector == b.last_usable_sector && a.partitions == b.partitions;
}

// Only damage belongs to a copy; a medium that cannot be read is the caller's affair.
bool is_damage(const core::Result<PartitionTable>& copy) { return copy || copy.error().id() == "layout.gpt-damaged"; }

core::Status put_entry(std::vector<GptEntry>& entries, const Partition& partition, std::uint32_t number) {
  const auto name = core::utf16le_from_utf8(partition.name);
  const auto invalid = [&](std::string detail) {
    return fail("layout.partition-invalid", std::move(detail))
        .with("partition", number)
        .with("name", core::printable(partition.name));
  };
  if (number == 0 || number > kWrittenEntries) return invalid("a GPT has entries 1 to 128");
  if (partition.type.is_zero()) return invalid("its type is zero, which marks an entry as not used");
  if (!name || name->size() > kNameBytes) return invalid("its name is not valid or longer than 36 characters");
  GptEntry& entry = entries[number - 1];
  if (!entry.type.is_zero()) return invalid("its number is taken");
  entry.type = partition.type;
  entry.id = partition.id;
  entry.first_sector = partition.first_sector;
  entry.last_sector = partition.first_sector + partition.sector_count - 1;
  entry.attributes = partition.attributes;
  std::ranges::copy(core::as_bytes(*name), entry.name.begin());
  return {};
}

core::ByteBuffer header_sector(GptHeader header, std::uint32_t sector_size) {
  core::ByteWriter writer;
  core::write_struct(writer, header);
  header.header_crc = core::crc32(writer.buffer());
  core::ByteWriter sealed;
  core::write_struct(sealed, header);
  core::ByteBuffer out(sector_size);
  std::ranges::copy(sealed.buffer(), out.begin());
  return out;
}

core::ByteBuffer protective_mbr(std::uint32_t sector_size, std::uint64_t disk_sectors) {
  MbrEntry entry;
  entry.first_chs = {0x00, 0x02, 0x00};
  entry.type = kMbrTypeProtective;
  entry.last_chs = {0xFF, 0xFF, 0xFF};
  entry.first_sector = 1;
  entry.sector_count = static_cast<std::uint32_t>(std::min<std::uint64_t>(disk_sectors - 1, 0xFFFFFFFF));
  core::ByteWriter writer;
  core::write_struct(writer, entry);
  core::ByteBuffer out(sector_size);
  std::ranges::copy(writer.buffer(), out.begin() + kMbrEntriesOffset);
  out[510] = 0x55;
  out[511] = 0xAA;
  return out;
}

}  // namespace

core::Result<GptCopies> read_gpt_copies(const core::BlockSource& disk, std::uint32_t sector_size) {
  if (!is_sector_size(sector_size) || disk.size() / sector_size < 3) {
    return fail("layout.no-partition-table", "too small for a GPT of that sector size")
        .with("sector_size", sector_size)
        .with("size", disk.size());
  }
  IMPRINT_TRY(const core::ByteBuffer record, disk.read(0, kMbrBytes));
  const auto entries = decode_mbr_entries(record);
  GptCopyReader primary_reader(disk, sector_size, 1);
  auto primary = primary_reader.read();
  if (!is_damage(primary)) return std::unexpected(std::move(primary).error());
  GptCopyReader backup_reader(disk, sector_size, primary_reader.other_sector().value_or(disk.size() / sector_size - 1));
  auto backup = backup_reader.read();
  if (!is_damage(backup)) return std::unexpected(std::move(backup).error());

  GptCopies out{std::move(primary), std::move(backup)};
  out.protective_mbr = entries && is_protective(*entries);
  if (!out.protective_mbr && !primary_reader.has_signature() && !backup_reader.has_signature()) {
    return fail("layout.no-partition-table", "no GPT signature and no protective MBR");
  }
  if (out.primary) out.backup_sector = out.primary->backup_sector;
  out.agree = out.primary && out.backup && same_disk(*out.primary, *out.backup);
  return out;
}

core::Result<GptBytes> encode_gpt(const PartitionTable& table, std::uint64_t disk_sectors) {
  constexpr std::uint32_t kEntryBytes = kWrittenEntries * 128;
  const std::uint32_t sector_size = table.sector_size;
  const std::uint64_t entry_sectors = is_sector_size(sector_size) ? kEntryBytes / sector_size : 0;
  if (entry_sectors == 0 || disk_sectors < 2 * entry_sectors + 4) {
    return fail("layout.partition-out-of-bounds", "the disk cannot hold a GPT")
        .with("sector_size", sector_size)
        .with("disk_sectors", disk_sectors);
  }
  GptHeader primary;
  primary.my_sector = 1;
  primary.other_sector = disk_sectors - 1;
  primary.disk_id = table.disk_id;
  primary.entries_sector = 2;
  primary.first_usable = table.first_usable_sector != 0 ? table.first_usable_sector : 2 + entry_sectors;
  primary.last_usable = table.last_usable_sector != 0 ? table.last_usable_sector : disk_sectors - entry_sectors - 2;
  if (primary.first_usable < 2 + entry_sectors || primary.last_usable > disk_sectors - entry_sectors - 2 ||
      primary.first_usable > primary.last_usable) {
    return fail("layout.partition-out-of-bounds", "the usable range leaves no room for the table")
        .with("first_usable", primary.first_usable)
        .with("last_usable", primary.last_usable)
        .with("disk_sectors", disk_sectors);
  }
  IMPRINT_CHECK(check_partitions(table.partitions, primary.first_usable, primary.last_usable));
  std::vector<GptEntry> entry_list(kWrittenEntries);
  std::uint32_t last_number = 0;
  for (const Partition& partition : table.partitions) {
    const std::uint32_t number = partition.number != 0 ? partition.number : last_number + 1;
    IMPRINT_CHECK(put_entry(entry_list, partition, number));
    last_number = number;
  }
  core::ByteWriter entry_writer;
  for (const GptEntry& entry : entry_list) core::write_struct(entry_writer, entry);
  const core::ByteBuffer entries = entry_writer.release();
  primary.entries_crc = core::crc32(entries);
  GptHeader backup = primary;
  std::swap(backup.my_sector, backup.other_sector);
  backup.entries_sector = disk_sectors - 1 - entry_sectors;

  core::ByteWriter head;
  head.bytes(protective_mbr(sector_size, disk_sectors));
  head.bytes(header_sector(primary, sector_size));
  head.bytes(entries);
  core::ByteWriter tail;
  tail.bytes(entries);
  tail.bytes(header_sector(backup, sector_size));
  return GptBytes{head.release(), tail.release()};
}

}  // namespace imprint::disk
