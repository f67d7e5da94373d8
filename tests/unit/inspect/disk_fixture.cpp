// SPDX-License-Identifier: GPL-3.0-or-later
// Makes the disks of the inspection tests with the formatters of the system and the product's own writers.
#include "disk_fixture.hpp"

#include <wimlib.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <utility>

#include "flash/core/errors.hpp"
#include "flash/core/process.hpp"

namespace imprint::inspect::test {
namespace {

constexpr std::uint64_t kSector = 512;

core::Guid guid(std::string_view text) {
  const auto parsed = core::Guid::parse(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

disk::LayoutPartition layout_partition(std::string name, std::string type, disk::LayoutFileSystem kind) {
  disk::LayoutPartition out;
  out.name = std::move(name);
  out.type = std::move(type);
  out.file_system = kind;
  return out;
}

disk::Partition partition_of(std::uint32_t number, std::string name, std::string_view type, std::uint64_t first,
                             std::uint64_t count) {
  disk::Partition out;
  out.number = number;
  out.name = std::move(name);
  out.type = guid(type);
  out.id = core::Guid::from_name("partition " + std::to_string(number));
  out.attributes = 0x8000000000000000;
  out.first_sector = first;
  out.sector_count = count;
  return out;
}

constexpr std::string_view kEsp = "{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}";
constexpr std::string_view kBasic = "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}";

void format_fat(const PartitionFile& file, int bits) {
  run({"mkfs.fat", "-F", std::to_string(bits), "--invariant", file.path().string()});
}
void format_ntfs(const PartitionFile& file) { run({"mkntfs", "-F", "-Q", "-q", "-s", "512", file.path().string()}); }

void copy_bcd(const PartitionFile& esp, const TemporaryFolder& folder, core::ByteView bytes) {
  write_bytes(folder / "bcd-source", bytes);
  run({"mcopy", "-o", "-i", esp.path().string(), (folder / "bcd-source").string(), "::EFI/Microsoft/Boot/BCD"});
}

}  // namespace

void run(std::vector<std::string> arguments) {
  core::SystemProcessRunner runner;
  const auto output = runner.run({std::move(arguments), {{"MTOOLS_SKIP_CHECK", "1"}}});
  INFO((output ? *output : output.error().message()));
  REQUIRE(output.has_value());
}

void write_bytes(const std::filesystem::path& path, core::ByteView bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(core::as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(out.good());
}

core::ByteBuffer read_bytes(const std::filesystem::path& path) {
  const auto source = core::FileSource::open(path);
  REQUIRE(source.has_value());
  auto bytes = (*source)->read(0, (*source)->size());
  REQUIRE(bytes.has_value());
  return *std::move(bytes);
}

namespace {
using Wim = std::unique_ptr<WIMStruct, decltype(&wimlib_free)>;

Wim capture(const std::filesystem::path& content, int images) {
  REQUIRE(wimlib_global_init(0) == 0);
  WIMStruct* raw = nullptr;
  REQUIRE(wimlib_create_new_wim(WIMLIB_COMPRESSION_TYPE_XPRESS, &raw) == 0);
  Wim wim(raw, &wimlib_free);
  for (int i = 1; i <= images; ++i) {
    const std::string name = "image " + std::to_string(i);
    REQUIRE(wimlib_add_image(wim.get(), content.c_str(), name.c_str(), nullptr, 0) == 0);
  }
  return wim;
}

// The folder's contents into the NTFS volume in that file.
void apply_to_ntfs(const std::filesystem::path& content, const PartitionFile& file, const TemporaryFolder& folder) {
  const auto path = folder / "tree.wim";
  REQUIRE(wimlib_write(capture(content, 1).get(), path.c_str(), WIMLIB_ALL_IMAGES, 0, 1) == 0);
  WIMStruct* raw = nullptr;
  REQUIRE(wimlib_open_wim(path.c_str(), 0, &raw) == 0);
  const Wim wim(raw, &wimlib_free);
  REQUIRE(wimlib_extract_image(wim.get(), 1, file.path().c_str(), WIMLIB_EXTRACT_FLAG_NTFS) == 0);
}
}  // namespace

void make_wim(const TemporaryFolder& folder, const std::filesystem::path& path, int images, bool bootable) {
  const auto content = folder / "wim-content";
  std::filesystem::create_directories(content);
  core::ByteBuffer noise(65536);
  std::uint32_t state = 12345;
  for (auto& byte : noise) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  write_bytes(content / "noise.bin", noise);
  const Wim wim = capture(content, images);
  wimlib_wim_info info{};
  info.boot_index = bootable && images > 0 ? 1 : 0;
  REQUIRE(wimlib_set_wim_info(wim.get(), &info, WIMLIB_CHANGE_BOOT_INDEX) == 0);
  REQUIRE(wimlib_write(wim.get(), path.c_str(), WIMLIB_ALL_IMAGES, WIMLIB_WRITE_FLAG_CHECK_INTEGRITY, 1) == 0);
}

PartitionFile::PartitionFile(std::filesystem::path path, std::uint64_t bytes) : path_(std::move(path)) {
  std::ofstream(path_).close();
  std::filesystem::resize_file(path_, bytes);
}

void PartitionFile::patch(std::uint64_t offset, core::ByteView bytes) const {
  std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(core::as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(file.good());
}

core::Status FailingSource::read_at(std::uint64_t offset, core::ByteSpan out) const {
  ++reads;
  if (fail_at != 0 && (once ? reads == fail_at : reads >= fail_at)) {
    return core::fail("io.read-failed").with("offset", offset);
  }
  return parent_->read_at(offset, out);
}

std::shared_ptr<const core::BlockSource> assemble(const disk::PartitionTable& table, std::uint64_t sectors,
                                                  const std::vector<std::optional<PartitionFile>>& files,
                                                  const std::function<void(disk::GptBytes&)>& spoil) {
  auto gpt = disk::encode_gpt(table, sectors);
  REQUIRE(gpt.has_value());
  if (spoil) spoil(*gpt);
  auto out = std::make_shared<core::CompositeSource>(sectors * kSector);
  const auto add = [&](std::uint64_t offset, std::shared_ptr<const core::BlockSource> piece) {
    const auto added = out->add(offset, std::move(piece));
    REQUIRE(added.has_value());
  };
  const std::uint64_t tail = gpt->tail.size();
  add(0, std::make_shared<core::MemorySource>(std::move(gpt->head)));
  add(sectors * kSector - tail, std::make_shared<core::MemorySource>(std::move(gpt->tail)));
  for (std::size_t i = 0; i < files.size() && i < table.partitions.size(); ++i) {
    if (!files[i]) continue;
    auto file = core::FileSource::open(files[i]->path());
    REQUIRE(file.has_value());
    add(table.partitions[i].first_sector * kSector, std::move(*file));
  }
  return out;
}

bcd::Device ramdisk_on(const core::Guid& disk, const core::Guid& partition, std::string path) {
  bcd::Device parent;
  parent.kind = bcd::GptPartition{disk, partition};
  bcd::Device out;
  out.options = bcd::objects::ramdisk_options();
  out.kind = bcd::Ramdisk{std::make_shared<const bcd::Device>(parent), std::move(path)};
  return out;
}

IotDisk::IotDisk() {
  using Kind = disk::LayoutFileSystem;
  device_layout.chunk_size = 128 * 1024;
  device_layout.default_partition_byte_alignment = 0x200000;
  auto esp = layout_partition("EFIESP", std::string(kEsp), Kind::fat);
  esp.total_sectors = 65536;
  esp.bootable = true;
  auto main = layout_partition("MainOS", std::string(kBasic), Kind::ntfs);
  main.min_free_sectors = 8192;
  main.byte_alignment = 0x800000;
  auto mmos = layout_partition("MMOS", std::string(kBasic), Kind::fat32);
  mmos.total_sectors = 4096000;
  auto data = layout_partition("Data", std::string(kBasic), Kind::ntfs);
  data.use_all_space = true;
  data.byte_alignment = 0x800000;
  device_layout.partitions = {esp, main, mmos, data};

  sectors = 4325376;  // 2,112 MiB
  platform.emplace();
  platform->min_sector_count = sectors;
  table.disk_id = guid("ae420040-13dd-41f2-ae7f-0dc35854c8d7");
  table.first_usable_sector = 34;
  table.last_usable_sector = sectors - 34;
  const std::uint64_t data_first = 4227072;  // MMOS ends before it; 8 MiB aligned
  table.partitions = {partition_of(1, "EFIESP", kEsp, 16384, 65536), partition_of(2, "MainOS", kBasic, 81920, 32768),
                      partition_of(3, "MMOS", kBasic, 114688, 4096000),
                      partition_of(4, "Data", kBasic, data_first, disk::all_space_end(table) - data_first)};
  for (const auto& entry : table.partitions) {
    files.emplace(entry.name, PartitionFile(folder / entry.name, entry.sector_count * kSector));
  }
  format_fat(files.at("EFIESP"), 16);
  format_ntfs(files.at("MainOS"));
  format_fat(files.at("MMOS"), 32);
  format_ntfs(files.at("Data"));

  const core::Guid default_id = bcd::objects::mobile_startup();
  store.object(bcd::objects::boot_manager(), 0x10100002).set(0x23000003, default_id);
  entry().set(0x14000008, std::vector<core::Guid>{bcd::objects::mmos()});
  entry().set(0x16000009, true);
  const bcd::Device device = ramdisk_on(table.disk_id, table.partitions[2].id, "\\winpe.wim");
  loader().set(0x11000001, device);
  loader().set(0x21000001, device);
  loader().set(0x12000002, std::string("\\windows\\system32\\boot\\winload.efi"));
  loader().set(0x22000002, std::string("\\windows"));
  loader().set(0x26000022, true);
  run({"mmd", "-i", files.at("EFIESP").path().string(), "::EFI", "::EFI/Microsoft", "::EFI/Microsoft/Boot"});
  write_store();

  make_wim(folder, folder / "good.wim");
  for (const std::string_view name : {"winpe.wim", "efiesp.wim", "mainos.wim", "data.wim"}) {
    copy_to("MMOS", folder / "good.wim", name);
  }
  write_bytes(folder / "version", core::as_bytes("10.0.1.0\r\n"));
  copy_to("MMOS", folder / "version", "RecoveryImageVersion.txt");
  copy_to("MMOS", folder / "version", "startrecovery.cmd");
}

Disk IotDisk::disk() const {
  std::vector<std::optional<PartitionFile>> parts;
  for (const auto& entry : table.partitions) {
    const auto file = files.find(entry.name);
    parts.push_back(file != files.end() ? std::optional(file->second) : std::nullopt);
  }
  return {"test disk", assemble(table, sectors, parts, spoil_gpt), kSector};
}

Report IotDisk::recovery() const {
  const auto scratch = folder / "scratch";
  std::filesystem::create_directories(scratch);
  Report report = inspect_recovery(disk(), RecoveryProfile::iot_mmos, scratch);
  CHECK(std::filesystem::is_empty(scratch));
  return report;
}

disk::Partition& IotDisk::partition(std::string_view name) {
  const auto found = std::find_if(table.partitions.begin(), table.partitions.end(),
                                  [&](const disk::Partition& p) { return p.name == name; });
  REQUIRE(found != table.partitions.end());
  return *found;
}

void IotDisk::write_store() const {
  const auto hive = store.to_hive();
  REQUIRE(hive.has_value());
  write_store_bytes(*hive);
}

void IotDisk::write_store_bytes(core::ByteView bytes) const { copy_bcd(files.at("EFIESP"), folder, bytes); }

void IotDisk::copy_to(std::string_view partition, const std::filesystem::path& file, std::string_view name) const {
  run({"mcopy", "-o", "-i", files.at(std::string(partition)).path().string(), file.string(), "::" + std::string(name)});
}

void IotDisk::remove_from(std::string_view partition, std::string_view name) const {
  run({"mdel", "-i", files.at(std::string(partition)).path().string(), "::" + std::string(name)});
}

WindowsDisk::WindowsDisk() {
  sectors = 229376;  // 112 MiB
  table.disk_id = core::Guid::from_name("windows disk");
  table.first_usable_sector = 34;
  table.last_usable_sector = sectors - 34;
  table.partitions = {partition_of(1, "EFI system partition", kEsp, 2048, 32768),
                      partition_of(2, "Basic data partition", kBasic, 34816, 32768),
                      partition_of(3, "", "de94bba4-06d1-4d40-a16a-bfd50179d6ac", 67584, 65536)};
  table.partitions[2].attributes = 0x8000000000000001;
  for (const auto& entry : table.partitions) {
    files.emplace_back(folder / ("part" + std::to_string(entry.number)), entry.sector_count * kSector);
  }
  format_fat(files[0], 16);
  format_ntfs(files[1]);
  format_ntfs(files[2]);
  const auto tree = folder / "tree";
  std::filesystem::create_directories(tree / "Recovery" / "WindowsRE");
  make_wim(folder, tree / "Recovery" / "WindowsRE" / "Winre.wim");
  apply_to_ntfs(tree, files[2], folder);

  store.object(bcd::objects::boot_manager(), 0x10100002).set(0x23000003, entry_id);
  bcd::Device windows;
  windows.kind = bcd::GptPartition{table.disk_id, table.partitions[1].id};
  bcd::Object& entry = store.object(entry_id, 0x10200003);
  entry.set(0x21000001, windows);
  entry.set(0x14000008, std::vector<core::Guid>{loader_id});
  entry.set(0x16000009, true);
  const bcd::Device device = ramdisk_on(table.disk_id, table.partitions[2].id, "\\Recovery\\WindowsRE\\Winre.wim");
  bcd::Object& loader = store.object(loader_id, 0x10200003);
  loader.set(0x11000001, device);
  loader.set(0x21000001, device);
  loader.set(0x12000002, std::string("\\windows\\system32\\winload.efi"));
  loader.set(0x22000002, std::string("\\windows"));
  loader.set(0x26000022, true);
  run({"mmd", "-i", files[0].path().string(), "::EFI", "::EFI/Microsoft", "::EFI/Microsoft/Boot"});
  write_store();
}

Disk WindowsDisk::disk() const {
  return {"windows disk", assemble(table, sectors, {files.begin(), files.end()}), kSector};
}

Report WindowsDisk::recovery() const {
  const auto scratch = folder / "scratch";
  std::filesystem::create_directories(scratch);
  Report report = inspect_recovery(disk(), RecoveryProfile::winre, scratch);
  CHECK(std::filesystem::is_empty(scratch));
  return report;
}

void WindowsDisk::write_store() const {
  const auto hive = store.to_hive();
  REQUIRE(hive.has_value());
  copy_bcd(files[0], folder, *hive);
}

const Finding& finding(const Report& report, std::string_view check) {
  const auto found =
      std::find_if(report.findings.begin(), report.findings.end(), [&](const Finding& f) { return f.check == check; });
  INFO(check);
  REQUIRE(found != report.findings.end());
  return *found;
}

std::vector<std::string> checks_with(const Report& report, FindingVerdict verdict) {
  std::vector<std::string> out;
  for (const Finding& f : report.findings) {
    if (f.verdict == verdict) out.push_back(f.check);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> all_checks(const Report& report) {
  std::vector<std::string> out;
  for (const Finding& f : report.findings) out.push_back(f.check);
  std::sort(out.begin(), out.end());
  return out;
}

std::string troubles(const Report& report) {
  std::string out;
  for (const Finding& f : report.findings) {
    if (f.verdict == FindingVerdict::pass) continue;
    out += f.check + " [" + std::string(to_string(f.verdict)) + "] expected: " + f.expected + " | actual: " + f.actual +
           " | " + f.message + "\n";
  }
  return out;
}

void expect(const Report& report, const Checks& failed, const Checks& not_checked) {
  INFO(troubles(report));
  CHECK(checks_with(report, FindingVerdict::fail) == failed);
  CHECK(checks_with(report, FindingVerdict::not_checked) == not_checked);
}

}  // namespace imprint::inspect::test
