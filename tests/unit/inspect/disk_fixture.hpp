// SPDX-License-Identifier: GPL-3.0-or-later
// A small disk that is as it should be, made by the test itself, and the places where a test can spoil it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/bcd/store.hpp"
#include "flash/core/block_io.hpp"
#include "flash/disk/device_layout.hpp"
#include "flash/disk/partition_table.hpp"
#include "flash/inspect/rules.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::inspect::test {

using TemporaryFolder = fixture::ScratchFolder;

void run(std::vector<std::string> arguments);
void write_bytes(const std::filesystem::path& path, core::ByteView bytes);
[[nodiscard]] core::ByteBuffer read_bytes(const std::filesystem::path& path);
// A WIM with `images` images of a folder with one file of 64 KiB that does not compress, with an integrity table. Its
// first image is the one to boot, unless `bootable` says otherwise.
void make_wim(const TemporaryFolder& folder, const std::filesystem::path& path, int images = 1, bool bootable = true);

// A partition as a file that can be spoilt.
class PartitionFile {
 public:
  PartitionFile(std::filesystem::path path, std::uint64_t bytes);
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void patch(std::uint64_t offset, core::ByteView bytes) const;

 private:
  std::filesystem::path path_;
};

// Reads fail from the nth on (1-based), or for one read only; counts them.
class FailingSource final : public core::BlockSource {
 public:
  explicit FailingSource(std::shared_ptr<const core::BlockSource> parent) : parent_(std::move(parent)) {}
  [[nodiscard]] std::uint64_t size() const override { return parent_->size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override;
  mutable std::uint64_t reads = 0;
  std::uint64_t fail_at = 0;  // 0: never
  bool once = false;

 private:
  std::shared_ptr<const core::BlockSource> parent_;
};

// GPT8GB-R in small: EFIESP (FAT16), MainOS (NTFS), MMOS (FAT32, 2,000 MiB and sparse), Data (NTFS), with a BCD that
// leads to MMOS and everything on MMOS that recovery needs.
class IotDisk {
 public:
  IotDisk();
  [[nodiscard]] Disk disk() const;
  [[nodiscard]] Report layout() const { return inspect_layout(disk(), device_layout, platform); }
  [[nodiscard]] Report bcd() const { return inspect_bcd(disk()); }
  [[nodiscard]] Report recovery() const;

  [[nodiscard]] disk::Partition& partition(std::string_view name);
  [[nodiscard]] bcd::Object& loader() { return store.object(bcd::objects::mmos(), 0x10200003); }
  [[nodiscard]] bcd::Object& entry() { return store.object(bcd::objects::mobile_startup(), 0x1020000A); }
  void write_store() const;  // after a change of `store`
  void write_store_bytes(core::ByteView bytes) const;
  void copy_to(std::string_view partition, const std::filesystem::path& file, std::string_view name) const;
  void remove_from(std::string_view partition, std::string_view name) const;

  TemporaryFolder folder;
  disk::DeviceLayout device_layout;
  std::optional<disk::DevicePlatform> platform;
  disk::PartitionTable table;
  std::uint64_t sectors = 0;
  bcd::Store store;
  std::map<std::string, PartitionFile> files;      // by partition name
  std::function<void(disk::GptBytes&)> spoil_gpt;  // on the encoded table
};

// A Windows PC's disk: System (FAT), Windows (NTFS), recovery (NTFS) with Winre.wim.
class WindowsDisk {
 public:
  WindowsDisk();
  [[nodiscard]] Disk disk() const;
  [[nodiscard]] Report recovery() const;
  void write_store() const;

  TemporaryFolder folder;
  disk::PartitionTable table;
  std::uint64_t sectors = 0;
  core::Guid entry_id = core::Guid::from_name("windows");
  core::Guid loader_id = core::Guid::from_name("winre");
  bcd::Store store;
  std::vector<PartitionFile> files;  // as in the table
};

// The RAM disk device on a partition of this table.
[[nodiscard]] bcd::Device ramdisk_on(const core::Guid& disk, const core::Guid& partition, std::string path);
// A disk of this table, its partitions' contents from files in the order of the entries; zeros where there is no file.
[[nodiscard]] std::shared_ptr<const core::BlockSource> assemble(const disk::PartitionTable& table,
                                                                std::uint64_t sectors,
                                                                const std::vector<std::optional<PartitionFile>>& files,
                                                                const std::function<void(disk::GptBytes&)>& spoil = {});

[[nodiscard]] const Finding& finding(const Report& report, std::string_view check);
// The checks with this verdict, sorted.
[[nodiscard]] std::vector<std::string> checks_with(const Report& report, FindingVerdict verdict);
[[nodiscard]] std::vector<std::string> all_checks(const Report& report);
// Every failed and unchecked finding in words, for a failing test.
[[nodiscard]] std::string troubles(const Report& report);

using Checks = std::vector<std::string>;
// Exactly these checks failed and exactly these were not checked.
void expect(const Report& report, const Checks& failed, const Checks& not_checked = {});

}  // namespace imprint::inspect::test
