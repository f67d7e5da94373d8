// SPDX-License-Identifier: GPL-3.0-or-later
// Checks a FAT boot sector before anything is computed from it.
#include "flash/disk/fat_boot_sector.hpp"

#include <bit>

#include "flash/core/text.hpp"
#include "flash/core/wire.hpp"
#include "flash/disk/errors.hpp"

namespace imprint::disk {
namespace {

struct BootSector {
  std::array<std::uint8_t, 3> jump{};
  std::array<std::uint8_t, 8> oem{};
  std::uint16_t sector_size = 0;
  std::uint8_t sectors_per_cluster = 0;
  std::uint16_t reserved_sectors = 0;
  std::uint8_t fat_count = 0;
  std::uint16_t root_entries = 0;
  std::uint16_t total_sectors_16 = 0;
  std::uint8_t media = 0;
  std::uint16_t fat_sectors_16 = 0;
  std::uint16_t sectors_per_track = 0;
  std::uint16_t heads = 0;
  std::uint32_t hidden_sectors = 0;
  std::uint32_t total_sectors_32 = 0;
  static constexpr auto fields() {
    return std::make_tuple(&BootSector::jump, &BootSector::oem, &BootSector::sector_size,
                           &BootSector::sectors_per_cluster, &BootSector::reserved_sectors, &BootSector::fat_count,
                           &BootSector::root_entries, &BootSector::total_sectors_16, &BootSector::media,
                           &BootSector::fat_sectors_16, &BootSector::sectors_per_track, &BootSector::heads,
                           &BootSector::hidden_sectors, &BootSector::total_sectors_32);
  }
};

// Follows the fields above in FAT32 only.
struct Fat32Fields {
  std::uint32_t fat_sectors_32 = 0;
  std::uint16_t flags = 0;  // bit 7: only the FAT of bits 0 to 3 is in force
  std::uint16_t version = 0;
  std::uint32_t root_cluster = 0;
  std::uint16_t info_sector = 0;
  std::uint16_t backup_boot_sector = 0;
  std::array<std::uint8_t, 12> reserved{};
  static constexpr auto fields() {
    return std::make_tuple(&Fat32Fields::fat_sectors_32, &Fat32Fields::flags, &Fat32Fields::version,
                           &Fat32Fields::root_cluster, &Fat32Fields::info_sector, &Fat32Fields::backup_boot_sector,
                           &Fat32Fields::reserved);
  }
};

// Ends the boot parameters of every kind; serial and label count only with signature 0x29.
struct Identity {
  std::uint8_t drive = 0;
  std::uint8_t reserved = 0;
  std::uint8_t signature = 0;
  std::uint32_t serial = 0;
  std::array<std::uint8_t, 11> label{};
  static constexpr auto fields() {
    return std::make_tuple(&Identity::drive, &Identity::reserved, &Identity::signature, &Identity::serial,
                           &Identity::label);
  }
};

core::Failure damaged(std::string detail, std::uint64_t offset) {
  return fail("volume.damaged", std::move(detail)).with("offset", offset);
}

core::Result<BootSector> decode(core::ByteView sector) {
  core::ByteReader reader(sector);
  return core::read_struct<BootSector>(reader);
}

// The numbers from which all places follow, in 64 bits so that no product of fields can wrap.
struct Sectors {
  std::uint64_t total = 0;
  std::uint64_t fat = 0;
  std::uint64_t root = 0;
  std::uint64_t data = 0;  // before the first cluster
  std::uint64_t clusters = 0;
  FileSystem kind = FileSystem::raw;
};

Sectors count_sectors(const BootSector& boot, std::uint32_t fat_sectors_32) {
  Sectors out;
  out.total = boot.total_sectors_16 != 0 ? boot.total_sectors_16 : boot.total_sectors_32;
  out.fat = boot.fat_sectors_16 != 0 ? boot.fat_sectors_16 : fat_sectors_32;
  out.root = core::round_up(std::uint64_t{boot.root_entries} * 32, boot.sector_size) / boot.sector_size;
  out.data = boot.reserved_sectors + boot.fat_count * out.fat + out.root;
  out.clusters = out.total > out.data ? (out.total - out.data) / boot.sectors_per_cluster : 0;
  // The specification goes by clusters alone, but only FAT32 leaves this field 0, and small FAT32 volumes are made.
  out.kind = boot.fat_sectors_16 == 0 ? FileSystem::fat32 : out.clusters < 4085 ? FileSystem::fat12 : FileSystem::fat16;
  return out;
}

core::Status check_sectors(const Sectors& sectors, const BootSector& boot, std::uint64_t partition_size) {
  if (sectors.total == 0 || sectors.total > partition_size / boot.sector_size) {
    return damaged("the volume is larger than its partition", 19)
        .with("expected", partition_size / boot.sector_size)
        .with("actual", sectors.total);
  }
  if (sectors.fat == 0) return damaged("the volume says that its FATs are empty", 22);
  if (sectors.clusters == 0) return damaged("no cluster fits behind the FATs", 22);
  const std::uint64_t limit = sectors.kind == FileSystem::fat32   ? 0x0FFFFFF5
                              : sectors.kind == FileSystem::fat16 ? 65525
                                                                  : 4085;
  if (sectors.clusters >= limit)
    return damaged("more clusters than its kind can count", 32).with("actual", sectors.clusters);
  const std::uint64_t bits = sectors.kind == FileSystem::fat32 ? 32 : sectors.kind == FileSystem::fat16 ? 16 : 12;
  if (((sectors.clusters + 2) * bits + 7) / 8 > sectors.fat * boot.sector_size) {
    return damaged("the FAT is too short for the clusters", 22).with("clusters", sectors.clusters);
  }
  if (sectors.kind != FileSystem::fat32 && sectors.root == 0) return damaged("no root directory", 17);
  return {};
}

core::Status apply_fat32(FatGeometry& out, const Fat32Fields& fields, const BootSector& boot) {
  if (fields.version != 0) return damaged("a FAT32 version that is not known", 42).with("actual", fields.version);
  if (boot.root_entries != 0) return damaged("FAT32 with a fixed root directory", 17);
  out.root_cluster = fields.root_cluster;
  if (!out.is_cluster(out.root_cluster)) {
    return damaged("the root directory is not in the volume", 44).with("actual", out.root_cluster);
  }
  if ((fields.flags & 0x80U) != 0) {
    const std::uint32_t active = fields.flags & 0x0FU;
    if (active >= boot.fat_count) return damaged("the FAT in force does not exist", 40).with("actual", active);
    out.fat_offset += active * out.fat_length;
  }
  return {};
}

}  // namespace

bool looks_like_fat(core::ByteView sector) {
  const auto boot = decode(sector);
  if (!boot || sector.size() < kFatBootBytes || sector[510] != 0x55 || sector[511] != 0xAA) return false;
  const bool jump = (boot->jump[0] == 0xEB && boot->jump[2] == 0x90) || boot->jump[0] == 0xE9;
  return jump && boot->sector_size >= 512 && boot->sector_size <= 4096 && std::has_single_bit(boot->sector_size) &&
         std::has_single_bit(boot->sectors_per_cluster) && boot->reserved_sectors != 0 && boot->fat_count >= 1 &&
         boot->fat_count <= 4 && (boot->media == 0xF0 || boot->media >= 0xF8);
}

FileSystem fat_kind(core::ByteView sector) {
  const auto boot = decode(sector);
  if (!boot || !looks_like_fat(sector)) return FileSystem::raw;
  const auto fat32_sectors = core::load_le<std::uint32_t>(sector.data() + core::kWireSize<BootSector>);
  return count_sectors(*boot, fat32_sectors).kind;
}

core::Result<FatGeometry> parse_fat_boot_sector(core::ByteView sector, std::uint64_t partition_size) {
  if (!looks_like_fat(sector)) return fail("volume.unknown-file-system", "not a FAT boot sector");
  core::ByteReader reader(sector);
  IMPRINT_TRY(const BootSector boot, core::read_struct<BootSector>(reader));
  Fat32Fields fat32;
  if (boot.fat_sectors_16 == 0) {
    IMPRINT_TRY(fat32, core::read_struct<Fat32Fields>(reader));
  }
  IMPRINT_TRY(const Identity identity, core::read_struct<Identity>(reader));
  const Sectors sectors = count_sectors(boot, fat32.fat_sectors_32);
  IMPRINT_CHECK(check_sectors(sectors, boot, partition_size));

  FatGeometry out;
  out.kind = sectors.kind;
  out.sector_size = boot.sector_size;
  out.cluster_size = std::uint32_t{boot.sector_size} * boot.sectors_per_cluster;
  out.size = sectors.total * boot.sector_size;
  out.fat_offset = std::uint64_t{boot.reserved_sectors} * boot.sector_size;
  out.fat_length = sectors.fat * boot.sector_size;
  out.root_length = sectors.root * boot.sector_size;
  out.data_offset = sectors.data * boot.sector_size;
  out.root_offset = out.data_offset - out.root_length;
  out.cluster_count = static_cast<std::uint32_t>(sectors.clusters);
  if (out.kind == FileSystem::fat32) IMPRINT_CHECK(apply_fat32(out, fat32, boot));
  if (identity.signature == 0x29 || identity.signature == 0x28) out.serial = identity.serial;
  if (identity.signature == 0x29) {
    const std::string label(core::trimmed(core::as_text(identity.label)));
    if (label != "NO NAME") out.boot_label = core::printable(label);
  }
  return out;
}

}  // namespace imprint::disk
