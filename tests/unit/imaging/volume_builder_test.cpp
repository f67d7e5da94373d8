// SPDX-License-Identifier: GPL-3.0-or-later
// Volumes and WIM files, checked by programs that know nothing of this code.
#include "flash/imaging/volume_builder.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "flash/core/errors.hpp"
#include "flash/disk/volume.hpp"
#include "flash/imaging/recovery_content.hpp"
#include "flash/imaging/wim.hpp"
#include "tests/unit/imaging/workspace_fixture.hpp"

using namespace imprint;
using imaging::FileTree;
using imaging::VolumeBuilder;
using imaging::VolumeRequest;
using imaging::test::get_file;
using imaging::test::put_file;
using imaging::test::run_tool;
using imaging::test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::int64_t kTime = 1767225600;

VolumeRequest request(disk::LayoutFileSystem kind, std::uint64_t size) {
  return {.name = "Test",
          .file_system = kind,
          .size = size,
          .cluster_size = 0,
          .first_sector = 2048,
          .partition_id = disk::default_partition_id("Test"),
          .min_free = 0};
}

// Fails every call of one program with this output.
class FailingRunner final : public core::ProcessRunner {
 public:
  FailingRunner(std::string program, std::string output) : program_(std::move(program)), output_(std::move(output)) {}
  core::Result<std::string> run(const core::ProcessRequest& asked) override {
    if (asked.arguments.front() == program_) return core::fail("process.failed", output_);
    return system_.run(asked);
  }

 private:
  std::string program_;
  std::string output_;
  core::SystemProcessRunner system_;
};

struct Bench {
  TemporaryFolder folder;
  core::SystemProcessRunner runner;
  FileTree tree;
  Bench() {
    fs::create_directory(folder.path() / "scratch");
    put_file(folder.path() / "in/a.txt", "alpha");
    put_file(folder.path() / "in/Some Folder/deep/longer name.bin", std::string(100000, 'z'));
    REQUIRE(tree.add_folder("", folder.path() / "in"));
  }
  core::Result<fs::path> build(const VolumeRequest& wanted) {
    return VolumeBuilder(runner, folder.path() / "scratch", kTime).build(wanted, tree);
  }
  std::string refusal(const VolumeRequest& wanted, core::ProcessRunner& with) {
    const auto volume = VolumeBuilder(with, folder.path() / "scratch", kTime).build(wanted, tree);
    return volume ? "" : std::string(volume.error().id());
  }
};

std::string read_all(const fs::path& volume, const std::string& path) {
  auto source = core::FileSource::open(volume);
  REQUIRE(source);
  const auto opened = disk::open_volume(std::move(*source));
  REQUIRE(opened);
  const auto file = (*opened)->open_file(path);
  REQUIRE(file);
  const auto bytes = (*file)->read(0, (*file)->size());
  REQUIRE(bytes);
  return std::string(core::as_text(*bytes));
}

}  // namespace

TEST_CASE("a FAT volume holds its files, passes fsck and is the same at every build") {
  const auto kind = GENERATE(disk::LayoutFileSystem::fat, disk::LayoutFileSystem::fat32);
  Bench bench;
  const auto wanted = request(kind, 40 * kMiB);
  const auto volume = bench.build(wanted);
  INFO((volume ? "" : volume.error().message()));
  REQUIRE(volume);
  CHECK(run_tool({"fsck.vfat", "-n", volume->string()}));
  CHECK(read_all(*volume, "A.TXT") == "alpha");
  CHECK(read_all(*volume, "Some Folder/deep/longer name.bin").size() == 100000);
  const std::string first = get_file(*volume);
  REQUIRE(bench.build(wanted));
  CHECK(get_file(*volume) == first);
}

TEST_CASE("an NTFS volume holds its files, passes ntfsfix and carries its partition's serial in both boot sectors") {
  Bench bench;
  auto wanted = request(disk::LayoutFileSystem::ntfs, 32 * kMiB);
  const auto volume = bench.build(wanted);
  INFO((volume ? "" : volume.error().message()));
  REQUIRE(volume);
  CHECK(run_tool({"ntfsfix", "-n", volume->string()}));
  CHECK(run_tool({"ntfsinfo", "-m", volume->string()}));
  CHECK(read_all(*volume, "a.txt") == "alpha");
  CHECK(read_all(*volume, "some folder/deep/longer name.bin").size() == 100000);
  const std::string bytes = get_file(*volume);
  CHECK(bytes.substr(0x48, 8) == bytes.substr(bytes.size() - 512 + 0x48, 8));
  wanted.partition_id = disk::default_partition_id("Other");
  const auto other = bench.build(wanted);
  REQUIRE(other);
  CHECK(get_file(*other).substr(0x48, 8) != bytes.substr(0x48, 8));
}

TEST_CASE("clusters have the size that was asked for") {
  Bench bench;
  auto wanted = request(disk::LayoutFileSystem::ntfs, 32 * kMiB);
  wanted.cluster_size = 0x4000;
  const auto volume = bench.build(wanted);
  REQUIRE(volume);
  auto source = core::FileSource::open(*volume);
  REQUIRE(source);
  CHECK(disk::open_volume(std::move(*source)).value()->info().cluster_size == 0x4000);
}

TEST_CASE("a file of 4 GiB is too large for FAT32 and found before anything is made") {
  Bench bench;
  {
    std::ofstream(bench.folder.path() / "huge");
  }
  fs::resize_file(bench.folder.path() / "huge", 1ULL << 32);
  REQUIRE(bench.tree.add("huge.wim", bench.folder.path() / "huge"));
  const auto volume = bench.build(request(disk::LayoutFileSystem::fat32, 6ULL << 30));
  REQUIRE_FALSE(volume);
  CHECK(volume.error().id() == "image.file-too-large-for-fat32");
  CHECK(volume.error().context_value("path") == "huge.wim");
  CHECK(fs::is_empty(bench.folder.path() / "scratch"));
}

TEST_CASE("content that does not fit names the partition") {
  const auto kind = GENERATE(disk::LayoutFileSystem::fat, disk::LayoutFileSystem::ntfs);
  Bench bench;
  put_file(bench.folder.path() / "big", std::string(20 * kMiB, 'b'));
  REQUIRE(bench.tree.add("big", bench.folder.path() / "big"));
  const auto volume = bench.build(request(kind, 16 * kMiB));
  REQUIRE_FALSE(volume);
  CHECK(volume.error().id() == "image.partition-full");
  CHECK(volume.error().context_value("partition") == "Test");
}

TEST_CASE("a volume without the free space that was promised is refused") {
  Bench bench;
  auto wanted = request(disk::LayoutFileSystem::ntfs, 16 * kMiB);
  wanted.min_free = 16 * kMiB;
  CHECK(bench.refusal(wanted, bench.runner) == "image.partition-full");
}

TEST_CASE("what a program says about a full disk or volume becomes the error for it") {
  Bench bench;
  const auto wanted = request(disk::LayoutFileSystem::fat, 16 * kMiB);
  FailingRunner no_space("mcopy", "plain_io: No space left on device");
  CHECK(bench.refusal(wanted, no_space) == "io.disk-full");
  FailingRunner full("mcopy", "Disk full");
  CHECK(bench.refusal(wanted, full) == "image.partition-full");
  FailingRunner broken("mkfs.fat", "no");
  CHECK(bench.refusal(wanted, broken) == "process.failed");
}

TEST_CASE("a formatter that leaves no volume is noticed") {
  class SilentRunner final : public core::ProcessRunner {
   public:
    core::Result<std::string> run(const core::ProcessRequest&) override { return std::string(); }
  } silent;
  Bench bench;
  CHECK(bench.refusal(request(disk::LayoutFileSystem::ntfs, 16 * kMiB), silent) == "image.self-check-failed");
  CHECK(bench.refusal(request(disk::LayoutFileSystem::fat, 16 * kMiB), silent) == "volume.unknown-file-system");
}

TEST_CASE("a captured WIM verifies, is the same at every capture, and damage to it shows") {
  Bench bench;
  const fs::path staged = bench.folder.path() / "staged";
  fs::create_directory(staged);
  REQUIRE(bench.tree.write_to(staged, kTime));
  const imaging::WimRequest wanted{
      .image_name = "Test", .bootable = true, .id = core::Guid::from_name("t"), .time = kTime};
  const fs::path wim = bench.folder.path() / "a.wim";
  REQUIRE(imaging::capture_wim(staged, imaging::WimSource::folder, wanted, wim));
  CHECK(run_tool({"wimverify", wim.string()}));
  CHECK(imaging::verify_wim(wim).has_value());
  const fs::path again = bench.folder.path() / "again";
  fs::create_directory(again);
  REQUIRE(bench.tree.write_to(again, kTime));
  REQUIRE(imaging::capture_wim(again, imaging::WimSource::folder, wanted, bench.folder.path() / "b.wim"));
  std::string bytes = get_file(wim);
  CHECK((get_file(bench.folder.path() / "b.wim") == bytes));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  put_file(wim, bytes);
  CHECK(imaging::verify_wim(wim).error().id() == "image.wim-failed");
}

TEST_CASE("capturing or applying what is not there says which step failed") {
  const TemporaryFolder folder;
  const auto captured =
      imaging::capture_wim(folder.path() / "none", imaging::WimSource::folder, {}, folder.path() / "x.wim");
  REQUIRE_FALSE(captured);
  CHECK(captured.error().id() == "image.wim-failed");
  CHECK(captured.error().detail().starts_with("capturing"));
  fs::create_directory(folder.path() / "empty");
  put_file(folder.path() / "volume", std::string(65536, '\0'));
  CHECK(imaging::apply_folder_to_ntfs(folder.path() / "empty", folder.path() / "volume").error().id() ==
        "image.wim-failed");
}

TEST_CASE("a volume is exported with all its files") {
  const auto kind = GENERATE(disk::LayoutFileSystem::fat, disk::LayoutFileSystem::ntfs);
  Bench bench;
  const auto volume = bench.build(request(kind, 16 * kMiB));
  REQUIRE(volume);
  fs::create_directory(bench.folder.path() / "out");
  const auto exported = imaging::export_volume(*volume, bench.folder.path() / "out", kTime);
  INFO((exported ? "" : exported.error().message()));
  REQUIRE(exported);
  CHECK(get_file(bench.folder.path() / "out/a.txt") == "alpha");
  CHECK(get_file(bench.folder.path() / "out/Some Folder/deep/longer name.bin") == std::string(100000, 'z'));
}

TEST_CASE("names that are not ASCII and empty folders are stored as they are") {
  const auto kind = GENERATE(disk::LayoutFileSystem::fat, disk::LayoutFileSystem::fat32, disk::LayoutFileSystem::ntfs);
  Bench bench;
  put_file(bench.folder.path() / "more/Größe.txt", "gross");
  put_file(bench.folder.path() / "more/Prüfung/日本.txt", "tief");
  fs::create_directory(bench.folder.path() / "more/leer");
  REQUIRE(bench.tree.add_folder("", bench.folder.path() / "more"));
  const auto volume = bench.build(request(kind, 40 * kMiB));
  INFO((volume ? "" : volume.error().message()));
  REQUIRE(volume);
  CHECK(read_all(*volume, "Größe.txt") == "gross");
  CHECK(read_all(*volume, "Prüfung/日本.txt") == "tief");
  std::shared_ptr<const core::BlockSource> source = core::FileSource::open(*volume).value();
  const auto opened = disk::open_volume(std::move(source)).value();
  CHECK(opened->find("Größe.txt").value().name == "Größe.txt");
  CHECK(opened->find("leer").value().is_directory);
}
