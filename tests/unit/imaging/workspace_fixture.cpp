// SPDX-License-Identifier: GPL-3.0-or-later
// Builds the workspaces of the tests and calls the judges.
#include "tests/unit/imaging/workspace_fixture.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace imprint::imaging::test {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view kBasicData = "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}";
constexpr std::string_view kDisk = "{ae420040-13dd-41f2-ae7f-0dc35854c8d7}";

std::string element(std::string_view type, std::string_view value) {
  return fmt::format("<Element><DataType>{}</DataType><ValueType>{}</ValueType></Element>", type, value);
}
std::string raw(std::string_view element_class, std::string_view subclass) {
  return fmt::format("<RawType><Class>{}</Class><SubClass>{}</SubClass></RawType>", element_class, subclass);
}
std::string gpt_device(std::string_view partition) {
  return fmt::format("<GPTDevice><DiskId>{}</DiskId><Partition><Name>{}</Name></Partition></GPTDevice>", kDisk,
                     partition);
}

std::string boot_configuration() {
  const std::string mobile = "{01de5a27-8705-40db-bad6-96fa5187d4a6}";
  const std::string mmos = "{a5935ff2-32ba-4617-bf36-5ac314b3f9bf}";
  return "<BootConfigurationDatabase xmlns=\"http://schemas.microsoft.com/phone/2011/10/BootConfiguration\"><Objects>"
         "<Object><Id>{9dea862c-5cdd-4e70-acc1-f32b344d4795}</Id><RawType>0x10100002</RawType><Elements>" +
         element(raw("Application", "0x000003"), "<ObjectValue>" + mobile + "</ObjectValue>") +
         "</Elements></Object><Object><Id>" + mobile + "</Id><RawType>0x1020000A</RawType><Elements>" +
         element(raw("Library", "0x000001"), "<DeviceValue>" + gpt_device("MainOS") + "</DeviceValue>") +
         element(raw("Library", "0x000008"), "<ObjectListValue><StringValues><StringValue>" + mmos +
                                                 "</StringValue></StringValues></ObjectListValue>") +
         element(raw("Library", "0x000009"), "<BooleanValue>true</BooleanValue>") + "</Elements></Object><Object><Id>" +
         mmos + "</Id><RawType>0x10200003</RawType><Elements>" +
         element(raw("Library", "0x000001"), "<DeviceValue><RamdiskDevice><ParentDevice>" + gpt_device("MMOS") +
                                                 "</ParentDevice><FilePath>\\winpe.wim</FilePath><RamdiskOptions>true"
                                                 "</RamdiskOptions></RamdiskDevice></DeviceValue>") +
         "</Elements></Object></Objects></BootConfigurationDatabase>";
}
}  // namespace

void put_file(const fs::path& path, std::string_view content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string get_file(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

std::string layout_xml(std::string_view partitions) {
  return fmt::format(
      "<DeviceLayout "
      "xmlns=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate\">\n<SectorSize>512</SectorSize>\n"
      "<ChunkSize>128</ChunkSize>\n<DefaultPartitionByteAlignment>0x100000</DefaultPartitionByteAlignment>\n"
      "<Partitions>\n{}</Partitions>\n</DeviceLayout>\n",
      partitions);
}

std::string partition_xml(std::string_view name, std::string_view file_system, std::string_view size_elements) {
  const std::string kind = file_system.empty() ? "" : fmt::format("<FileSystem>{}</FileSystem>", file_system);
  const std::string_view type = name == "EFIESP" ? "{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}" : kBasicData;
  return fmt::format("<Partition><Name>{}</Name><Type>{}</Type>{}{}</Partition>\n", name, type, kind, size_elements);
}

std::string platform_xml(std::uint64_t min_sector_count) {
  return fmt::format(
      "<OEMDevicePlatform xmlns=\"http://schemas.microsoft.com/embedded/2004/10/ImageUpdate\">\n"
      "<MinSectorCount>{}</MinSectorCount>\n<DevicePlatformIDs><ID>Acorn.Test.Board.1</ID></DevicePlatformIDs>\n"
      "</OEMDevicePlatform>\n",
      min_sector_count);
}

std::string package_xml(std::string_view name, std::string_view partition, std::string_view elements) {
  return fmt::format(
      "<identity xmlns=\"urn:Microsoft.CompPlat/ManifestSchema.v1.00\" name=\"{}\" namespace=\"Test\" "
      "owner=\"Acorn\">\n"
      "<onecorePackageInfo targetPartition=\"{}\" />\n{}\n</identity>\n",
      name, partition, elements);
}

void make_small_workspace(const fs::path& folder) {
  put_file(
      folder / "DeviceLayout.xml",
      layout_xml(partition_xml("EFIESP", "FAT", "<TotalSectors>32768</TotalSectors>") +
                 partition_xml("MainOS", "NTFS", "<MinFreeSectors>8192</MinFreeSectors>") +
                 partition_xml("MMOS", "FAT32", "<TotalSectors>81920</TotalSectors>") +
                 partition_xml("Data", "NTFS", "<UseAllSpace>true</UseAllSpace><ClusterSize>0x4000</ClusterSize>")));
  put_file(folder / "OEMDevicePlatform.xml", platform_xml(262144));
  put_file(
      folder / "Packages/Boot/Boot.wm.xml",
      package_xml("Boot", "EFIESP",
                  "<files><file source=\"bootmgr.efi\" destinationDir=\"$(runtime.bootDrive)\\EFI\\Boot\" /></files>"
                  "<bcdStore source=\".\\Boot.BCD.xml\" />"));
  put_file(folder / "Packages/Boot/bootmgr.efi", "boot");
  put_file(folder / "Packages/Boot/Boot.BCD.xml", boot_configuration());
  put_file(folder / "Packages/System/System.wm.xml",
           package_xml("System", "MainOS",
                       "<files><file source=\"zeros.bin\" destinationDir=\"$(runtime.windows)\" name=\"Zeros.bin\" />"
                       "<file source=\"small.txt\" /></files>"));
  put_file(folder / "Packages/System/zeros.bin", std::string(300000, '\0'));
  put_file(folder / "Packages/System/small.txt", "small");
  put_file(folder / "Recovery/WinPE/Windows/System32/startnet.cmd", "wpeinit\r\n");
  put_file(folder / "Recovery/startrecovery.cmd", "rem start\r\n");
  put_file(folder / "Recovery/RecoveryImageVersion.txt", "1.2.3.4\r\n");
}

bool run_tool(std::vector<std::string> arguments, std::string* output) {
  core::SystemProcessRunner runner;
  const core::ProcessRequest request{.arguments = std::move(arguments), .environment = {{"LC_ALL", "C"}}};
  const auto result = runner.run(request);
  INFO((result ? *result : result.error().message()));
  CHECK(result.has_value());
  if (output != nullptr && result) *output = *result;
  return result.has_value();
}

bool has_tool(const std::string& name) {
  core::SystemProcessRunner runner;
  const auto result = runner.run({.arguments = {name, "--version"}, .environment = {}});
  return result || result.error().id() != "process.not-found";
}

}  // namespace imprint::imaging::test
