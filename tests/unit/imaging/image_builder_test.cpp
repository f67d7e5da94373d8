// SPDX-License-Identifier: GPL-3.0-or-later
// Whole builds of a small workspace, judged by other programs and by a device that was not empty before.
#include "flash/imaging/image_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "flash/bcd/store.hpp"
#include "flash/core/errors.hpp"
#include "flash/disk/volume.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/extract.hpp"
#include "flash/imaging/image_proof.hpp"
#include "tests/unit/imaging/workspace_fixture.hpp"

using namespace imprint;
using imaging::test::get_file;
using imaging::test::make_small_workspace;
using imaging::test::put_file;
using imaging::test::run_tool;
using imaging::test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

core::Result<core::ByteBuffer> stand_in_catalog(core::ByteView) { return core::ByteBuffer(1000, 0xCA); }

struct Bench {
  TemporaryFolder folder;
  core::SystemProcessRunner runner;
  imaging::BuildRequest request;
  Bench() {
    make_small_workspace(folder.path() / "workspace");
    request.workspace = folder.path() / "workspace";
    request.output = folder.path() / "out/image.ffu";
    request.scratch = folder.path() / "scratch";
    request.make_catalog = stand_in_catalog;
    fs::create_directory(folder.path() / "out");
  }
  core::Result<imaging::BuildSummary> build() { return imaging::build_image(request, runner); }
  std::string refusal() {
    const auto built = build();
    CHECK_FALSE(fs::exists(folder.path() / "scratch"));
    CHECK(fs::is_empty(folder.path() / "out"));
    return built ? "" : std::string(built.error().id());
  }
};

std::shared_ptr<ffu::DescribedDisk> open_disk(const fs::path& image, std::uint64_t disk_bytes) {
  std::shared_ptr<const core::BlockSource> file = core::FileSource::open(image).value();
  const auto opened = ffu::open_image(*file);
  REQUIRE(opened);
  auto map = ffu::DiskMap::build(opened->image.stores.at(0), disk_bytes);
  REQUIRE(map);
  return std::make_shared<ffu::DescribedDisk>(std::move(*map), file);
}

// A device whose storage held something before, after every descriptor was applied in order.
core::ByteBuffer flashed_device(const fs::path& image, std::uint64_t disk_bytes) {
  core::ByteBuffer device(disk_bytes, 0xA5);
  const auto file = core::FileSource::open(image).value();
  const auto opened = ffu::open_image(*file);
  REQUIRE(opened);
  const ffu::Store& store = opened->image.stores.at(0);
  for (const ffu::WriteDescriptor& descriptor : store.descriptors) {
    for (std::uint64_t block = 0; block < descriptor.block_count; ++block) {
      const auto bytes = file->read(descriptor.plain_offset + block * store.block_size, store.block_size);
      REQUIRE(bytes);
      for (const ffu::DiskLocation& location : store.locations_of(descriptor)) {
        const auto offset = ffu::disk_offset(location, block, store.block_size, disk_bytes);
        REQUIRE(offset);
        std::copy(bytes->begin(), bytes->end(), device.begin() + static_cast<std::ptrdiff_t>(*offset));
      }
    }
  }
  return device;
}

std::shared_ptr<disk::Volume> volume_of(std::shared_ptr<const core::BlockSource> disk,
                                        const disk::PartitionTable& table, std::string_view name) {
  auto slice = disk::open_partition(std::move(disk), table, *table.find(name));
  REQUIRE(slice);
  auto volume = disk::open_volume(std::move(*slice));
  INFO((volume ? "" : volume.error().message()));
  REQUIRE(volume);
  return *volume;
}

void save_file(disk::Volume& volume, const std::string& path, const fs::path& out) {
  const auto file = volume.open_file(path);
  INFO((file ? "" : file.error().message()));
  REQUIRE(file);
  const auto bytes = (*file)->read(0, (*file)->size());
  REQUIRE(bytes);
  put_file(out, core::as_text(*bytes));
}

}  // namespace

TEST_CASE("a build gives an image that other programs find sound") {
  Bench bench;
  const auto built = bench.build();
  INFO((built ? "" : built.error().message()));
  REQUIRE(built);
  CHECK_FALSE(fs::exists(bench.folder.path() / "scratch"));
  CHECK(built->image_bytes == fs::file_size(bench.request.output));
  CHECK(built->image_bytes < 40U << 20);

  const fs::path work = bench.folder.path() / "work";
  fs::create_directory(work);
  const auto disk = open_disk(bench.request.output, built->disk_bytes);
  const auto file_of_image = core::FileSource::open(bench.request.output).value();
  const auto opened = ffu::open_image(*file_of_image).value();
  const auto raw_disk = core::FileSink::create(work / "disk.img", disk->size()).value();
  REQUIRE(ffu::extract_disk(opened, *file_of_image, disk->map(), *raw_disk, 0, {}));
  std::string judged;
  CHECK(run_tool({"sgdisk", "-v", (work / "disk.img").string()}, &judged));
  CHECK(judged.find("No problems found") != std::string::npos);

  for (const disk::Partition& partition : built->table.partitions) {
    CAPTURE(partition.name);
    const std::string file = (work / (partition.name + ".img")).string();
    REQUIRE(
        run_tool({"dd", "if=" + (work / "disk.img").string(), "of=" + file, "bs=512", "conv=sparse", "status=none",
                  fmt::format("skip={}", partition.first_sector), fmt::format("count={}", partition.sector_count)}));
    const bool fat = partition.name == "EFIESP" || partition.name == "MMOS";
    CHECK(run_tool(fat ? std::vector<std::string>{"fsck.vfat", "-n", file}
                       : std::vector<std::string>{"ntfsfix", "-n", file}));
  }

  const auto mmos = volume_of(disk, built->table, "MMOS");
  for (const char* wim : {"winpe.wim", "efiesp.wim", "mainos.wim", "data.wim"}) {
    CAPTURE(wim);
    save_file(*mmos, wim, work / wim);
    CHECK(run_tool({"wimverify", (work / wim).string()}));
  }
  std::string listing;
  CHECK(run_tool({"wimdir", (work / "efiesp.wim").string(), "1"}, &listing));
  CHECK(listing.find("/EFI/Microsoft/Boot/BCD") != std::string::npos);
  CHECK(run_tool({"wimdir", (work / "mainos.wim").string(), "1"}, &listing));
  CHECK(listing.find("/Windows/Zeros.bin") != std::string::npos);
  CHECK(mmos->find("startrecovery.cmd").has_value());
  CHECK(mmos->find("RecoveryImageVersion.txt").has_value());

  const auto efiesp = volume_of(disk, built->table, "EFIESP");
  save_file(*efiesp, "EFI/Microsoft/Boot/BCD", work / "BCD");
  put_file(work / "commands", "cd Objects\nls\n");
  CHECK(run_tool({"hivexsh", "-f", (work / "commands").string(), (work / "BCD").string()}, &judged));
  CHECK(judged.find("{a5935ff2-32ba-4617-bf36-5ac314b3f9bf}") != std::string::npos);
}

TEST_CASE("the boot store leads to the recovery partition by the ids that the disk really has") {
  Bench bench;
  const auto built = bench.build();
  REQUIRE(built);
  const auto disk = open_disk(bench.request.output, built->disk_bytes);
  const auto file = volume_of(disk, built->table, "EFIESP")->open_file("EFI/Microsoft/Boot/BCD");
  REQUIRE(file);
  const auto store = bcd::Store::read((*file)->read(0, (*file)->size()).value());
  REQUIRE(store);
  const bcd::Object* mmos = store->find(bcd::objects::mmos());
  REQUIRE(mmos != nullptr);
  const bcd::Element* element = mmos->find(0x11000001);
  REQUIRE(element != nullptr);
  const auto& ramdisk = std::get<bcd::Ramdisk>(std::get<bcd::Device>(element->value).kind);
  CHECK(ramdisk.path == "\\winpe.wim");
  const auto& parent = std::get<bcd::GptPartition>(ramdisk.parent->kind);
  CHECK(parent.disk == built->table.disk_id);
  CHECK(parent.partition == built->table.find("MMOS")->id);
}

TEST_CASE("a device that held something before equals the image in every allocated byte, zeros included") {
  Bench bench;
  const auto built = bench.build();
  REQUIRE(built);
  const auto described = open_disk(bench.request.output, built->disk_bytes);
  const auto allocated = disk::allocated_extents(described, built->table);
  REQUIRE(allocated);
  CHECK(allocated->total() == built->allocated_bytes);
  core::ByteBuffer device = flashed_device(bench.request.output, built->disk_bytes);
  std::uint64_t zero_blocks = 0;
  for (const core::Extent& extent : allocated->extents()) {
    const auto expected = described->read(extent.offset, extent.length);
    REQUIRE(expected);
    const auto actual = core::ByteView(device).subspan(extent.offset, extent.length);
    REQUIRE(std::equal(expected->begin(), expected->end(), actual.begin(), actual.end()));
    for (std::size_t at = 0; at + 4096 <= expected->size(); at += 4096) {
      if (std::all_of(expected->begin() + static_cast<std::ptrdiff_t>(at),
                      expected->begin() + static_cast<std::ptrdiff_t>(at + 4096),
                      [](std::uint8_t byte) { return byte == 0; })) {
        ++zero_blocks;
      }
    }
  }
  CHECK(zero_blocks > 70);  // Zeros.bin alone has 74 clusters
  const auto source = std::make_shared<core::MemorySource>(std::move(device));
  const auto file = volume_of(source, built->table, "MainOS")->open_file("Windows/Zeros.bin");
  REQUIRE(file);
  CHECK((*file)->read(0, (*file)->size()).value() == core::ByteBuffer(300000, 0));
}

TEST_CASE("the same workspace gives the same plan and the same boot partition at every build") {
  Bench bench;
  const auto first = bench.build();
  REQUIRE(first);
  const auto efiesp = [&] {
    const auto disk = open_disk(bench.request.output, first->disk_bytes);
    const disk::Partition& partition = *first->table.find("EFIESP");
    return disk->read(partition.first_sector * 512, partition.sector_count * 512).value();
  };
  const auto bytes = efiesp();
  const auto second = bench.build();
  REQUIRE(second);
  CHECK(efiesp() == bytes);
  CHECK(second->allocated_bytes == first->allocated_bytes);
}

TEST_CASE("progress is told stage by stage") {
  Bench bench;
  std::vector<std::string> stages;
  bench.request.progress = [&](std::string_view stage, std::uint64_t done, std::uint64_t total) {
    CHECK(done <= total);
    if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
  };
  REQUIRE(bench.build());
  CHECK(stages == std::vector<std::string>{"workspace", "partition EFIESP", "partition MainOS", "partition Data",
                                           "partition MMOS", "image", "proof"});
}

TEST_CASE("a build that fails leaves nothing behind") {
  Bench bench;
  SECTION("a missing file") {
    fs::remove(bench.folder.path() / "workspace/Packages/System/small.txt");
    CHECK(bench.refusal() == "workspace.file-missing");
  }
  SECTION("partitions that do not fit") {
    put_file(bench.folder.path() / "workspace/OEMDevicePlatform.xml", imaging::test::platform_xml(120000));
    CHECK(bench.refusal() == "layout.does-not-fit");
  }
  SECTION("a layout with an MBR") {
    put_file(bench.folder.path() / "workspace/DeviceLayout.xml",
             imaging::test::layout_xml(
                 "<Partition><Name>EFIESP</Name><Type>0x0c</Type><TotalSectors>32768</TotalSectors></Partition>"
                 "<Partition><Name>MainOS</Name><Type>0x07</Type><FileSystem>NTFS</FileSystem>"
                 "<UseAllSpace>true</UseAllSpace></Partition>"));
    fs::remove_all(bench.folder.path() / "workspace/Packages/Boot");
    CHECK(bench.refusal() == "layout.schema-unsupported");
  }
  SECTION("boot configuration that is not XML") {
    put_file(bench.folder.path() / "workspace/Packages/Boot/Boot.BCD.xml", "<oops");
    CHECK(bench.refusal() == "bcd.xml-malformed");
  }
  SECTION("content that does not fit") {
    put_file(bench.folder.path() / "workspace/Packages/Boot/bootmgr.efi", std::string(20 << 20, 'x'));
    CHECK(bench.refusal() == "image.partition-full");
  }
  SECTION("a package that brings the boot store itself") {
    put_file(
        bench.folder.path() / "workspace/Packages/Extra/Extra.wm.xml",
        imaging::test::package_xml("Extra", "EFIESP",
                                   "<files><file source=\"a\" destinationDir=\"$(runtime.root)\\efi\\microsoft\\boot\" "
                                   "name=\"bcd\"/></files>"));
    put_file(bench.folder.path() / "workspace/Packages/Extra/a", "a");
    CHECK(bench.refusal() == "workspace.destination-taken");
  }
  SECTION("a catalog that cannot be made") {
    bench.request.make_catalog = [](core::ByteView) -> core::Result<core::ByteBuffer> {
      return core::fail("io.permission");
    };
    CHECK(bench.refusal() == "io.permission");
  }
}

TEST_CASE("a build that fails keeps the image that was there before") {
  Bench bench;
  put_file(bench.request.output, "the last good image");
  bench.request.make_catalog = [](core::ByteView) -> core::Result<core::ByteBuffer> {
    return core::fail("io.disk-full");
  };
  CHECK(bench.build().error().id() == "io.disk-full");
  CHECK(get_file(bench.request.output) == "the last good image");
}

TEST_CASE("every program that a build calls may fail at any call, and the build says so and leaves nothing") {
  class FailingNth final : public core::ProcessRunner {
   public:
    explicit FailingNth(int nth) : nth_(nth) {}
    core::Result<std::string> run(const core::ProcessRequest& asked) override {
      if (++count_ == nth_) return core::fail("process.failed", "No space left on device");
      return system_.run(asked);
    }

   private:
    core::SystemProcessRunner system_;
    int nth_;
    int count_ = 0;
  };
  for (int nth = 1;; ++nth) {
    CAPTURE(nth);
    REQUIRE(nth < 40);
    Bench bench;
    FailingNth runner(nth);
    const auto built = imaging::build_image(bench.request, runner);
    CHECK_FALSE(fs::exists(bench.folder.path() / "scratch"));
    if (built) {
      CHECK(nth > 10);
      break;
    }
    CHECK(built.error().id() == "io.disk-full");
    CHECK(fs::is_empty(bench.folder.path() / "out"));
  }
}

TEST_CASE("an image that is not what was built does not prove right") {
  Bench bench;
  const auto built = bench.build();
  REQUIRE(built);
  const fs::path copy = bench.folder.path() / "copy.ffu";
  fs::copy_file(bench.request.output, copy);
  imaging::ProofRequest proof{.image = copy,
                              .disk = open_disk(bench.request.output, built->disk_bytes),
                              .allocated = {},
                              .table = built->table,
                              .has_boot_store = true};
  proof.allocated = disk::allocated_extents(proof.disk, built->table).value();
  const auto refusal = [&] {
    const auto proved = imaging::prove_image(proof);
    return proved ? std::string() : std::string(proved.error().id());
  };
  CHECK(refusal().empty());
  SECTION("a byte changed") {
    std::string bytes = get_file(copy);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    put_file(copy, bytes);
    CHECK(refusal() == "image.self-check-failed");
  }
  SECTION("allocated bytes left out") {
    proof.allocated.add({built->disk_bytes / 2, 8 << 20});
    CHECK(refusal() == "image.self-check-failed");
  }
  SECTION("another table was planned") {
    proof.table.partitions.pop_back();
    CHECK(refusal() == "image.self-check-failed");
  }
  SECTION("cut off") {
    fs::resize_file(copy, fs::file_size(copy) - 1);
    CHECK(refusal() == "image.self-check-failed");
  }
}

TEST_CASE("a file that a program stored wrong is found before the image gets its name") {
  // Copies another file of the same size in the place of the right one.
  class WrongCopy final : public core::ProcessRunner {
   public:
    explicit WrongCopy(fs::path other) : other_(std::move(other)) {}
    core::Result<std::string> run(const core::ProcessRequest& asked) override {
      core::ProcessRequest request = asked;
      if (request.arguments.back() == "::/EFI/Boot/bootmgr.efi") request.arguments[3] = other_.string();
      return system_.run(request);
    }

   private:
    fs::path other_;
    core::SystemProcessRunner system_;
  };
  Bench bench;
  put_file(bench.folder.path() / "other", "toob");
  WrongCopy runner(bench.folder.path() / "other");
  const auto built = imaging::build_image(bench.request, runner);
  REQUIRE_FALSE(built);
  CHECK(built.error().id() == "image.self-check-failed");
  CHECK(built.error().context_value("path") == "EFI/Boot/bootmgr.efi");
  CHECK(fs::is_empty(bench.folder.path() / "out"));
}

TEST_CASE("the proof compares every file of a partition by path, size and content") {
  Bench bench;
  const auto built = bench.build();
  REQUIRE(built);
  put_file(bench.folder.path() / "small", "small");
  put_file(bench.folder.path() / "other", "llams");
  put_file(bench.folder.path() / "longer", "small one");
  imaging::ProofRequest proof{.image = bench.request.output,
                              .disk = open_disk(bench.request.output, built->disk_bytes),
                              .allocated = {},
                              .table = built->table,
                              .volumes = {{.partition = "MainOS", .tree = {}}}};
  const auto prove = [&](std::string_view path, std::string_view source) {
    proof.volumes[0].tree = {};
    REQUIRE(proof.volumes[0].tree.add(path, bench.folder.path() / source));
    const auto proved = imaging::prove_image(proof);
    if (proved) return std::string();
    CHECK(proved.error().id() == "image.self-check-failed");
    CHECK(proved.error().context_value("path") == path);
    return std::string(proved.error().context_value("partition"));
  };
  CHECK(prove("Windows/System32/small.txt", "small").empty());
  CHECK(prove("Windows/System32/SMALL.txt", "small") == "MainOS");
  CHECK(prove("Windows/System32/none.txt", "small") == "MainOS");
  CHECK(prove("Windows/System32/small.txt", "other") == "MainOS");
  CHECK(prove("Windows/System32/small.txt", "longer") == "MainOS");
  proof.volumes[0].tree = {};
  REQUIRE(proof.volumes[0].tree.add_directory("Windows/missing"));
  const auto proved = imaging::prove_image(proof);
  REQUIRE_FALSE(proved);
  CHECK(proved.error().context_value("path") == "Windows/missing");
}

TEST_CASE("an image without the boot store that its workspace has does not prove right") {
  Bench bench;
  fs::remove_all(bench.folder.path() / "workspace/Packages/Boot");
  put_file(
      bench.folder.path() / "workspace/DeviceLayout.xml",
      imaging::test::layout_xml(imaging::test::partition_xml("EFIESP", "", "<TotalSectors>2048</TotalSectors>") +
                                imaging::test::partition_xml("MainOS", "NTFS", "<UseAllSpace>true</UseAllSpace>")));
  const auto built = bench.build();
  INFO((built ? "" : built.error().message()));
  REQUIRE(built);
  const imaging::ProofRequest proof{.image = bench.request.output,
                                    .disk = open_disk(bench.request.output, built->disk_bytes),
                                    .allocated = {},
                                    .table = built->table,
                                    .has_boot_store = true,
                                    .volumes = {}};
  const auto proved = imaging::prove_image(proof);
  REQUIRE_FALSE(proved);
  CHECK(proved.error().id() == "image.self-check-failed");
}

TEST_CASE("free space is guaranteed with the room for generated files in it") {
  Bench bench;
  const auto mmos = [](std::string_view overhead) {
    return imaging::test::layout_xml(
        imaging::test::partition_xml("EFIESP", "FAT", "<TotalSectors>32768</TotalSectors>") +
        imaging::test::partition_xml("MainOS", "NTFS", "<TotalSectors>65536</TotalSectors>") +
        imaging::test::partition_xml("MMOS", "FAT32",
                                     fmt::format("<MinFreeSectors>8192</MinFreeSectors><GeneratedFileOverheadSectors>{}"
                                                 "</GeneratedFileOverheadSectors>",
                                                 overhead)));
  };
  std::string platform = imaging::test::platform_xml(262144);
  platform.insert(platform.find("<DevicePlatformIDs>"),
                  "<MMOSPartitionTotalSectorsOverride>81920</MMOSPartitionTotalSectorsOverride>");
  put_file(bench.folder.path() / "workspace/OEMDevicePlatform.xml", platform);
  put_file(bench.folder.path() / "workspace/DeviceLayout.xml", mmos("81920"));
  CHECK(bench.refusal() == "image.partition-full");
  put_file(bench.folder.path() / "workspace/DeviceLayout.xml", mmos("8192"));
  const auto built = bench.build();
  INFO((built ? "" : built.error().message()));
  CHECK(built.has_value());
}
