// SPDX-License-Identifier: GPL-3.0-or-later
// FAT volumes made by mkfs.fat and mtools, read by our own reader; then the same ones with lies in them.
#include <algorithm>

#include "tests/unit/disk/disk_fixture.hpp"

namespace imprint::disk::test {
namespace {

struct Kind {
  FileSystem kind;
  const char* bits;
  std::uint64_t size;
  std::vector<std::string> options;
};

const Kind kFat12{FileSystem::fat12, "12", 2U << 20U, {"-s", "1"}};
const Kind kFat16{FileSystem::fat16, "16", 16U << 20U, {"-s", "4"}};
const Kind kFat32{FileSystem::fat32, "32", 40U << 20U, {"-s", "1"}};

core::ByteBuffer make_volume(const Kind& kind, const TempFolder& folder) {
  const std::string image = folder.file("fat");
  make_empty(image, kind.size);
  std::vector<std::string> format = {"mkfs.fat", "-F", kind.bits, "-n", "TESTVOL", "-i", "1234ABCD"};
  format.insert(format.end(), kind.options.begin(), kind.options.end());
  format.push_back(image);
  run(format);
  make_file(folder.file("a"), pattern(70'001, 1));
  make_file(folder.file("b"), pattern(512, 2));
  make_file(folder.file("empty"), {});
  run({"mmd", "-i", image, "::EFI", "::EFI/Microsoft"});
  run({"mcopy", "-i", image, folder.file("a"), "::EFI/Microsoft/A rather long file name.with.dots"});
  run({"mcopy", "-i", image, folder.file("b"), "::first.bin"});
  run({"mcopy", "-i", image, folder.file("empty"), "::EMPTY.TXT"});
  // A hole before the next file makes its chain jump.
  run({"mdel", "-i", image, "::first.bin"});
  run({"mcopy", "-i", image, folder.file("a"), "::BOOTMGR"});
  run({"mcopy", "-i", image, folder.file("b"), "::Größe.dat"});
  return load(image);
}

// FAT16 with 512-byte sectors: where the first FAT lies and the entry of a cluster in it.
std::uint8_t* fat16_entry(core::ByteBuffer& image, std::uint32_t cluster) {
  const std::size_t reserved = core::load_le<std::uint16_t>(image.data() + 14);
  return image.data() + reserved * 512 + std::size_t{cluster} * 2;
}
// Where the root directory's entry with this 8.3 name lies.
std::size_t entry_at(const core::ByteBuffer& image, std::string_view name) {
  const auto text = core::as_bytes(name);
  const auto at = std::search(image.begin(), image.end(), text.begin(), text.end());
  REQUIRE(at != image.end());
  return static_cast<std::size_t>(at - image.begin());
}

}  // namespace

TEST_CASE("FAT volumes of every kind give their files, names and facts") {
  const Kind kind = GENERATE(kFat12, kFat16, kFat32);
  const TempFolder folder;
  const auto volume = open(make_volume(kind, folder));
  CHECK(volume->info().kind == kind.kind);
  CHECK(volume->info().label == "TESTVOL");
  CHECK(volume->info().serial == 0x1234ABCD);
  CHECK(volume->info().size == kind.size);
  CHECK(volume->info().free < kind.size);

  CHECK(content_of(*volume, "/efi\\MICROSOFT/a RATHER long file name.with.dots") == pattern(70'001, 1));
  CHECK(content_of(*volume, "bootmgr") == pattern(70'001, 1));
  CHECK(content_of(*volume, "Größe.dat") == pattern(512, 2));
  CHECK(content_of(*volume, "EMPTY.TXT").empty());

  const auto root = volume->list("");
  REQUIRE(root.has_value());
  std::vector<std::string> names;
  for (const FileEntry& entry : *root) names.push_back(entry.name);
  std::ranges::sort(names);
  CHECK(names == std::vector<std::string>{"BOOTMGR", "EFI", "EMPTY.TXT", "Größe.dat"});
  CHECK(volume->find("EFI")->is_directory);
  CHECK(volume->find("/")->is_directory);
  CHECK(volume->find("BOOTMGR")->size == 70'001);
  CHECK(volume->list("EFI/Microsoft")->size() == 1);
}

TEST_CASE("Paths that lead nowhere say how") {
  const TempFolder folder;
  const auto volume = open(make_volume(kFat16, folder));
  CHECK(id_of(volume->find("missing")) == "volume.file-not-found");
  CHECK(id_of(volume->open_file("EFI/missing")) == "volume.file-not-found");
  CHECK(id_of(volume->find("BOOTMGR/x")) == "volume.not-a-directory");
  CHECK(id_of(volume->list("BOOTMGR")) == "volume.not-a-directory");
  CHECK(id_of(volume->open_file("EFI")) == "volume.not-a-directory");
  CHECK(id_of(volume->find("..")) == "volume.file-not-found");
}

TEST_CASE("A FAT volume is whole when only what is allocated is kept") {
  const Kind kind = GENERATE(kFat12, kFat16, kFat32);
  const TempFolder folder;
  const core::ByteBuffer image = make_volume(kind, folder);
  const auto volume = open(image);
  const auto allocated = volume->allocated();
  REQUIRE(allocated.has_value());
  CHECK(allocated->total() < kind.size / 2);
  const core::ByteBuffer kept = only(image, *allocated);
  make_file(folder.file("kept"), kept);
  run({"fsck.vfat", "-n", folder.file("kept")});
  CHECK(content_of(*open(kept), "BOOTMGR") == pattern(70'001, 1));
}

TEST_CASE("Free bytes are what lies outside of the allocated clusters") {
  const TempFolder folder;
  const auto volume = open(make_volume(kFat32, folder));
  const auto allocated = volume->allocated();
  REQUIRE(allocated.has_value());
  CHECK(volume->info().free + allocated->total() <= volume->info().size);
  CHECK(volume->info().free + allocated->total() + volume->info().cluster_size > volume->info().size);
}

TEST_CASE("A bad cluster counts as allocated") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(kFat16, folder);
  const auto before = open(image)->allocated();
  core::store_le(fat16_entry(image, 5000), std::uint16_t{0xFFF7});
  const auto after = open(image)->allocated();
  REQUIRE(before.has_value());
  REQUIRE(after.has_value());
  CHECK(after->total() == before->total() + 2048);
}

TEST_CASE("A file outlives its volume") {
  const TempFolder folder;
  auto volume = open(make_volume(kFat12, folder));
  const auto file = volume->open_file("BOOTMGR");
  volume.reset();
  REQUIRE(file.has_value());
  const core::ByteBuffer content = pattern(70'001, 1);
  CHECK((*file)->read(69'000, 1'001).value() == core::ByteBuffer(content.begin() + 69'000, content.end()));
  CHECK(id_of((*file)->read(70'000, 2)) == "io.out-of-range");
}

TEST_CASE("Cluster chains that lie are damage") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(kFat16, folder);
  const std::size_t entry = entry_at(image, "BOOTMGR    ");
  const std::uint32_t first = core::load_le<std::uint16_t>(image.data() + entry + 26);
  SECTION("a loop") { core::store_le(fat16_entry(image, first), static_cast<std::uint16_t>(first)); }
  SECTION("to a free cluster") { core::store_le(fat16_entry(image, first), std::uint16_t{0}); }
  SECTION("to the reserved cluster") { core::store_le(fat16_entry(image, first), std::uint16_t{1}); }
  SECTION("behind the volume") { core::store_le(fat16_entry(image, first), std::uint16_t{0xFFF0}); }
  SECTION("to a bad cluster") { core::store_le(fat16_entry(image, first), std::uint16_t{0xFFF7}); }
  SECTION("too short") { core::store_le(fat16_entry(image, first), std::uint16_t{0xFFFF}); }
  SECTION("too long") { core::store_le(image.data() + entry + 28, std::uint32_t{5000}); }
  SECTION("no first cluster") { core::store_le(image.data() + entry + 26, std::uint16_t{0}); }
  SECTION("size of 4 GiB") { core::store_le(image.data() + entry + 28, UINT32_MAX); }
  CHECK(id_of(open(image)->open_file("BOOTMGR")) == "volume.damaged");
}

TEST_CASE("A directory whose chain is a loop is damage") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(kFat16, folder);
  const std::uint32_t first = core::load_le<std::uint16_t>(image.data() + entry_at(image, "EFI        ") + 26);
  core::store_le(fat16_entry(image, first), static_cast<std::uint16_t>(first));
  CHECK(id_of(open(image)->list("EFI")) == "volume.damaged");
}

TEST_CASE("A name with a separator in it is damage") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(kFat16, folder);
  image[entry_at(image, "BOOTMGR    ") + 2] = '/';
  CHECK(id_of(open_volume(memory(image))) == "volume.damaged");
}

TEST_CASE("A long name that does not belong to its entry is left aside") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(kFat16, folder);
  const auto long_name = core::as_bytes(std::string_view("\x47\0\x72\0\xF6\0\xDF\0\x65\0", 10));
  const auto at = std::search(image.begin(), image.end(), long_name.begin(), long_name.end());
  REQUIRE(at != image.end());
  at[12] ^= 0xFF;  // the checksum, 13 bytes into the entry
  const auto root = open(image)->list("/");
  REQUIRE(root.has_value());
  CHECK(std::ranges::none_of(*root, [](const FileEntry& entry) { return entry.name == "Größe.dat"; }));
  CHECK(root->size() == 4);
}

TEST_CASE("Boot sectors that lie are damage") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(kFat16, folder);
  SECTION("larger than the partition") { core::store_le(image.data() + 19, std::uint16_t{0xFFFF}); }
  SECTION("far larger") {
    core::store_le(image.data() + 19, std::uint16_t{0});
    core::store_le(image.data() + 32, UINT32_MAX);
  }
  SECTION("no sectors") {
    core::store_le(image.data() + 19, std::uint16_t{0});
    core::store_le(image.data() + 32, std::uint32_t{0});
  }
  SECTION("FAT too short") { core::store_le(image.data() + 22, std::uint16_t{1}); }
  SECTION("FAT larger than the volume") { core::store_le(image.data() + 22, std::uint16_t{0xFFFF}); }
  SECTION("no root directory") { core::store_le(image.data() + 17, std::uint16_t{0}); }
  CHECK(id_of(open_volume(memory(image))) == "volume.damaged");
}

TEST_CASE("Boot sectors of FAT32 that lie are damage") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(kFat32, folder);
  SECTION("root in no cluster") { core::store_le(image.data() + 44, std::uint32_t{1}); }
  SECTION("root behind the volume") { core::store_le(image.data() + 44, std::uint32_t{0x0FFFFFF0}); }
  SECTION("FAT in force that does not exist") { image[40] = 0x82; }
  SECTION("version") { image[42] = 1; }
  SECTION("fixed root directory") { core::store_le(image.data() + 17, std::uint16_t{512}); }
  CHECK(id_of(open_volume(memory(image))) == "volume.damaged");
}

TEST_CASE("What is no file system is unknown") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(kFat12, folder);
  SECTION("zeros") { std::ranges::fill(image, std::uint8_t{0}); }
  SECTION("no signature") { image[510] = 0; }
  SECTION("sector size") { core::store_le(image.data() + 11, std::uint16_t{513}); }
  SECTION("sectors per cluster") { image[13] = 3; }
  SECTION("no FATs") { image[16] = 0; }
  SECTION("no reserved sectors") { core::store_le(image.data() + 14, std::uint16_t{0}); }
  SECTION("shorter than a sector") { image.resize(511); }
  CHECK(id_of(open_volume(memory(image))) == "volume.unknown-file-system");
  CHECK(detect_file_system(core::MemorySource(image)).value() == FileSystem::raw);
}

TEST_CASE("A volume that is cut off anywhere in its boot sector is never opened") {
  const TempFolder folder;
  const core::ByteBuffer image = make_volume(kFat12, folder);
  for (std::size_t length = 0; length <= 520; ++length) {
    CHECK_FALSE(open_volume(memory({image.begin(), image.begin() + static_cast<std::ptrdiff_t>(length)})).has_value());
  }
}

TEST_CASE("A medium that cannot be read is not called a damaged FAT") {
  const TempFolder folder;
  const core::ByteBuffer image = make_volume(kFat12, folder);
  int good = 0;
  for (; good < 50; ++good) {
    const auto volume = open_volume(std::make_shared<FailingSource>(image, good));
    if (volume) break;
    CHECK(volume.error().id() == "io.read-failed");
  }
  CHECK(good > 2);
  CHECK(good < 50);
}

}  // namespace imprint::disk::test
