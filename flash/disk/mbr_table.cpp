// SPDX-License-Identifier: GPL-3.0-or-later
// The MBR and its chain of extended boot records, read and written. A record's logical partition counts from the record
// itself, its link to the next record from the start of the extended partition.
#include <algorithm>
#include <cstdint>

#include "flash/core/bytes.hpp"
#include "flash/disk/errors.hpp"
#include "flash/disk/gpt_table.hpp"

namespace imprint::disk {
namespace {

constexpr std::size_t kSignatureOffset = 440;  // of the disk, 32 bits
constexpr std::size_t kMaxLogical = 256;
constexpr std::uint8_t kTypeExtendedLba = 0x0F;

bool is_extended(std::uint8_t type) { return type == 0x05 || type == kTypeExtendedLba || type == 0x85; }

core::Failure damaged(std::string detail, std::uint64_t sector) {
  return fail("layout.mbr-damaged", std::move(detail)).with("sector", sector);
}

Partition to_partition(const MbrEntry& entry, std::uint64_t base, std::uint32_t number) {
  Partition out;
  out.number = number;
  out.mbr_type = entry.type;
  out.bootable = entry.status == 0x80;
  out.first_sector = base + entry.first_sector;
  out.sector_count = entry.sector_count;
  return out;
}

// Follows the chain of records through one extended partition.
class ExtendedReader {
 public:
  ExtendedReader(const core::BlockSource& disk, PartitionTable& table, const MbrEntry& container)
      : disk_(disk), table_(table), start_(container.first_sector), end_(start_ + container.sector_count) {}

  [[nodiscard]] core::Status read() {
    std::uint64_t sector = start_;
    while (true) {
      // A chain that comes back to a record it has been to would never end.
      if (std::ranges::find(table_.extended_boot_sectors, sector) != table_.extended_boot_sectors.end()) {
        return damaged("the chain of extended boot records is a loop", sector);
      }
      if (table_.extended_boot_sectors.size() >= kMaxLogical) return damaged("too many extended boot records", sector);
      IMPRINT_TRY(const std::uint64_t next, read_record(sector));
      if (next == 0) return {};
      sector = next;
    }
  }

 private:
  // The next record's sector, or 0 at the end of the chain.
  [[nodiscard]] core::Result<std::uint64_t> read_record(std::uint64_t sector) {
    IMPRINT_TRY(const core::ByteBuffer bytes, disk_.read(sector * table_.sector_size, kMbrBytes));
    const auto entries = decode_mbr_entries(bytes);
    if (!entries) return damaged("an extended boot record has no signature", sector);
    table_.extended_boot_sectors.push_back(sector);
    const auto& [logical, link, third, fourth] = *entries;
    if (third.type != 0 || fourth.type != 0 || (logical.type != 0 && is_extended(logical.type))) {
      return damaged("an extended boot record holds more than one partition and a link", sector);
    }
    if (logical.type != 0) {
      const Partition partition = to_partition(logical, sector, next_number_);
      if (logical.first_sector == 0 || logical.sector_count == 0 || partition.first_sector < start_ ||
          partition.first_sector + partition.sector_count > end_) {
        return damaged("a logical partition lies outside of the extended one", sector).with("partition", next_number_);
      }
      table_.partitions.push_back(partition);
      ++next_number_;
    }
    if (link.type == 0) return 0;
    const std::uint64_t next = start_ + link.first_sector;
    if (!is_extended(link.type) || next >= end_) return damaged("a link leaves the extended partition", sector);
    return next;
  }

  const core::BlockSource& disk_;
  PartitionTable& table_;
  std::uint64_t start_;
  std::uint64_t end_;
  std::uint32_t next_number_ = 5;
};

// The partitions and, as ranges of their own, the records between them: none may lie on another.
core::Status check_layout(const PartitionTable& table, std::uint64_t disk_sectors) {
  std::vector<Partition> all = table.partitions;
  for (const std::uint64_t sector : table.extended_boot_sectors) {
    Partition record;
    record.first_sector = sector;
    record.sector_count = 1;
    all.push_back(record);
  }
  return check_partitions(all, 1, std::min<std::uint64_t>(disk_sectors - 1, 0xFFFFFFFF));
}

// Cylinder, head and sector that say "use the sector numbers", as Windows writes them for disks of today's sizes.
constexpr std::array<std::uint8_t, 3> kChsUnused = {0xFE, 0xFF, 0xFF};

void put_entry(core::ByteSpan record, std::size_t index, std::uint8_t type, bool bootable, std::uint64_t first,
               std::uint64_t count) {
  MbrEntry entry;
  entry.status = bootable ? 0x80 : 0;
  entry.first_chs = kChsUnused;
  entry.type = type;
  entry.last_chs = kChsUnused;
  entry.first_sector = static_cast<std::uint32_t>(first);
  entry.sector_count = static_cast<std::uint32_t>(count);
  core::ByteWriter writer;
  core::write_struct(writer, entry);
  std::ranges::copy(writer.buffer(), record.begin() + static_cast<std::ptrdiff_t>(kMbrEntriesOffset + 16 * index));
}

MbrSector blank_record(std::uint64_t sector, std::uint32_t sector_size) {
  MbrSector out{sector, core::ByteBuffer(sector_size)};
  out.bytes[510] = 0x55;
  out.bytes[511] = 0xAA;
  return out;
}

core::Failure invalid(std::string detail, std::uint32_t number) {
  return fail("layout.partition-invalid", std::move(detail)).with("partition", number);
}

// Writes the logical partitions' records behind the first sector, and the container that holds them into it.
core::Status add_logical(std::vector<MbrSector>& out, const std::vector<Partition>& logical,
                         const std::vector<std::uint64_t>& records, std::size_t container_index) {
  const std::uint64_t start = records.front();
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < logical.size(); ++i) {
    if (records[i] < start || records[i] >= logical[i].first_sector) {
      return invalid("its record does not lie before it in the extended partition", logical[i].number);
    }
    end = std::max(end, logical[i].first_sector + logical[i].sector_count);
  }
  put_entry(out.front().bytes, container_index, kTypeExtendedLba, false, start, end - start);
  const auto sector_size = static_cast<std::uint32_t>(out.front().bytes.size());
  for (std::size_t i = 0; i < logical.size(); ++i) {
    const Partition& partition = logical[i];
    MbrSector record = blank_record(records[i], sector_size);
    put_entry(record.bytes, 0, partition.mbr_type, partition.bootable, partition.first_sector - records[i],
              partition.sector_count);
    if (i + 1 < logical.size()) {
      const std::uint64_t next_end = logical[i + 1].first_sector + logical[i + 1].sector_count;
      if (records[i + 1] >= next_end) return invalid("its record does not lie before it", logical[i + 1].number);
      put_entry(record.bytes, 1, 0x05, false, records[i + 1] - start, next_end - records[i + 1]);
    }
    out.push_back(std::move(record));
  }
  return {};
}

}  // namespace

std::optional<MbrEntries> decode_mbr_entries(core::ByteView record) {
  if (record.size() < kMbrBytes || record[510] != 0x55 || record[511] != 0xAA) return std::nullopt;
  core::ByteReader reader(record.subspan(kMbrEntriesOffset, 4 * core::kWireSize<MbrEntry>));
  MbrEntries out;
  for (MbrEntry& entry : out) {
    auto read = core::read_struct<MbrEntry>(reader);
    if (!read) return std::nullopt;
    entry = *read;
  }
  return out;
}

bool is_protective(const MbrEntries& entries) {
  return std::ranges::any_of(entries,
                             [](const MbrEntry& e) { return e.type == kMbrTypeProtective && e.first_sector == 1; });
}

bool is_plain_mbr(const MbrEntries& entries) {
  const bool any = std::ranges::any_of(entries, [](const MbrEntry& e) { return e.type != 0; });
  const bool sane = std::ranges::all_of(entries, [](const MbrEntry& e) { return (e.status & 0x7F) == 0; });
  const bool announces = std::ranges::any_of(entries, [](const MbrEntry& e) { return e.type == kMbrTypeProtective; });
  return any && sane && !announces;
}

core::Result<PartitionTable> read_mbr(const core::BlockSource& disk, std::uint32_t sector_size) {
  IMPRINT_TRY(const core::ByteBuffer bytes, disk.read(0, kMbrBytes));
  const auto entries = decode_mbr_entries(bytes);
  if (!entries) return fail("layout.no-partition-table", "no signature at the end of the first sector");
  PartitionTable table;
  table.style = TableStyle::mbr;
  table.sector_size = sector_size;
  table.mbr_signature = core::load_le<std::uint32_t>(bytes.data() + kSignatureOffset);
  table.first_usable_sector = 1;
  const std::uint64_t disk_sectors = disk.size() / sector_size;
  table.last_usable_sector = std::min<std::uint64_t>(disk_sectors - 1, 0xFFFFFFFE);
  const MbrEntry* container = nullptr;
  for (std::uint32_t i = 0; i < entries->size(); ++i) {
    const MbrEntry& entry = (*entries)[i];
    if ((entry.status & 0x7F) != 0)
      return damaged("an entry's status is neither 0x00 nor 0x80", 0).with("entry", i + 1);
    if (entry.type == 0) continue;
    if (!is_extended(entry.type)) {
      table.partitions.push_back(to_partition(entry, 0, i + 1));
      continue;
    }
    if (container != nullptr) return damaged("there are two extended partitions", 0).with("entry", i + 1);
    if (entry.first_sector == 0 || entry.sector_count == 0 ||
        std::uint64_t{entry.first_sector} + entry.sector_count > disk_sectors) {
      return damaged("the extended partition is not on the disk", 0).with("entry", i + 1);
    }
    container = &entry;
  }
  const std::vector<Partition> primary = table.partitions;
  if (container != nullptr) {
    IMPRINT_CHECK(ExtendedReader(disk, table, *container).read());
    // Primary partitions must keep off the whole container, not only off what its chain names.
    std::vector<Partition> beside = primary;
    beside.push_back(to_partition(*container, 0, 0));
    if (auto checked = check_partitions(beside, 1, disk_sectors - 1); !checked) {
      return damaged("its partitions cannot be", 0).caused_by(std::move(checked).error());
    }
  }
  if (auto checked = check_layout(table, disk_sectors); !checked) {
    return damaged("its partitions cannot be", 0).caused_by(std::move(checked).error());
  }
  return table;
}

core::Result<std::vector<MbrSector>> encode_mbr(const PartitionTable& table, std::uint64_t disk_sectors) {
  if (!is_sector_size(table.sector_size) || disk_sectors < 2) {
    return fail("layout.partition-out-of-bounds", "the disk cannot hold an MBR").with("disk_sectors", disk_sectors);
  }
  std::vector<MbrSector> out;
  out.push_back(blank_record(0, table.sector_size));
  core::store_le(out.front().bytes.data() + kSignatureOffset, table.mbr_signature);
  std::vector<Partition> logical;
  std::array<bool, 4> used{};
  for (const Partition& partition : table.partitions) {
    if (partition.mbr_type == 0 || is_extended(partition.mbr_type))
      return invalid("its type is not one of a partition", partition.number);
    if (partition.number >= 5) {
      logical.push_back(partition);
      continue;
    }
    if (partition.number == 0 || used[partition.number - 1])
      return invalid("its number is 0 or taken", partition.number);
    used[partition.number - 1] = true;
    put_entry(out.front().bytes, partition.number - 1, partition.mbr_type, partition.bootable, partition.first_sector,
              partition.sector_count);
  }
  PartitionTable checked = table;
  if (logical.empty()) checked.extended_boot_sectors.clear();
  if (checked.extended_boot_sectors.empty()) {
    for (const Partition& p : logical) checked.extended_boot_sectors.push_back(p.first_sector - 1);
  }
  IMPRINT_CHECK(check_layout(checked, disk_sectors));
  if (logical.empty()) return out;
  const auto free_entry = std::ranges::find(used, false);
  if (free_entry == used.end() || checked.extended_boot_sectors.size() != logical.size() ||
      logical.size() > kMaxLogical) {
    return invalid("no entry, or not one record, is left for the logical partitions", logical.front().number);
  }
  IMPRINT_CHECK(
      add_logical(out, logical, checked.extended_boot_sectors, static_cast<std::size_t>(free_entry - used.begin())));
  return out;
}

}  // namespace imprint::disk
