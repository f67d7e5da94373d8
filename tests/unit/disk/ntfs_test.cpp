// SPDX-License-Identifier: GPL-3.0-or-later
// NTFS volumes made by mkntfs and ntfscp, read through libntfs-3g over our sources.
#include <algorithm>

#include "tests/unit/disk/disk_fixture.hpp"

namespace imprint::disk::test {
namespace {

constexpr std::uint64_t kSize = 8U << 20U;

core::ByteBuffer make_volume(const TempFolder& folder) {
  const std::string image = folder.file("ntfs");
  make_empty(image, kSize);
  run({"mkntfs", "-F", "-f", "-q", "-L", "Tëst", "-s", "512", "-p", "0", "-H", "0", "-S", "0", image});
  make_file(folder.file("large"), pattern(300'001, 1));
  make_file(folder.file("small"), pattern(100, 2));
  run({"ntfscp", "-f", "-q", image, folder.file("large"), "Large.bin"});
  run({"ntfscp", "-f", "-q", image, folder.file("small"), "small.txt"});
  return load(image);
}

}  // namespace

TEST_CASE("An NTFS volume gives its files, names and facts") {
  const TempFolder folder;
  const core::ByteBuffer image = make_volume(folder);
  const auto volume = open(image);
  CHECK(volume->info().kind == FileSystem::ntfs);
  CHECK(volume->info().label == "Tëst");
  CHECK(volume->info().serial == core::load_le<std::uint64_t>(image.data() + 0x48));
  CHECK(volume->info().sector_size == 512);
  CHECK(volume->info().cluster_size == 4096);
  CHECK(volume->info().size == kSize - 512);
  CHECK(volume->info().free > 0);

  CHECK(content_of(*volume, "Large.bin") == pattern(300'001, 1));
  CHECK(content_of(*volume, "\\SMALL.TXT") == pattern(100, 2));
  const auto root = volume->list("/");
  REQUIRE(root.has_value());
  REQUIRE(root->size() == 2);
  CHECK((*root)[0].name == "Large.bin");
  CHECK((*root)[0].size == 300'001);
  CHECK((*root)[1].name == "small.txt");
  CHECK(volume->find("")->is_directory);
}

TEST_CASE("NTFS paths that lead nowhere say how") {
  const TempFolder folder;
  const auto volume = open(make_volume(folder));
  CHECK(id_of(volume->find("missing")) == "volume.file-not-found");
  CHECK(id_of(volume->find(std::string(300, 'x'))) == "volume.file-not-found");
  CHECK(id_of(volume->find("\xFF")) == "volume.file-not-found");
  CHECK(id_of(volume->find("small.txt/x")) == "volume.not-a-directory");
  CHECK(id_of(volume->list("small.txt")) == "volume.not-a-directory");
  CHECK(id_of(volume->open_file("/")) == "volume.not-a-directory");
}

TEST_CASE("An NTFS volume is whole when only what is allocated is kept") {
  const TempFolder folder;
  const core::ByteBuffer image = make_volume(folder);
  const auto allocated = open(image)->allocated();
  REQUIRE(allocated.has_value());
  CHECK(allocated->total() < kSize);
  CHECK(allocated->contains({kSize - 512, 512}));
  const core::ByteBuffer kept = only(image, *allocated);
  make_file(folder.file("kept"), kept);
  run({"ntfsfix", "-n", folder.file("kept")});
  CHECK(content_of(*open(kept), "Large.bin") == pattern(300'001, 1));
  CHECK(content_of(*open(kept), "small.txt") == pattern(100, 2));
}

TEST_CASE("The clusters of a file's content are allocated") {
  const TempFolder folder;
  const core::ByteBuffer image = make_volume(folder);
  const auto allocated = open(image)->allocated();
  REQUIRE(allocated.has_value());
  const core::ByteBuffer content = pattern(300'001, 1);
  const auto at = std::search(image.begin(), image.end(), content.begin(), content.begin() + 4096);
  REQUIRE(at != image.end());
  CHECK(allocated->contains({static_cast<std::uint64_t>(at - image.begin()), 4096}));
}

TEST_CASE("A volume that is marked as dirty is allocated in full") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(folder);
  // $Volume is the third record behind $MFT's own, and its copy has the same place in $MFTMirr.
  for (const std::size_t table : {48U, 56U}) {
    const auto first = core::load_le<std::uint64_t>(image.data() + table) * 4096;
    const std::size_t record = static_cast<std::size_t>(first) + 3 * 1024;
    std::size_t at = record + core::load_le<std::uint16_t>(image.data() + record + 20);
    while (core::load_le<std::uint32_t>(image.data() + at) != 0x70) {
      REQUIRE(at < record + 1024);
      at += core::load_le<std::uint32_t>(image.data() + at + 4);
    }
    const std::size_t flags = at + core::load_le<std::uint16_t>(image.data() + at + 20) + 10;
    image[flags] |= 1;
  }
  image.resize(kSize + (1U << 20U));
  const auto allocated = open(image)->allocated();
  REQUIRE(allocated.has_value());
  CHECK(allocated->contains({0, kSize}));
  CHECK_FALSE(allocated->intersects({kSize, (1U << 20U) - 512}));
}

TEST_CASE("In a larger partition both places of the boot sector's copy count") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(folder);
  image.resize(kSize + (1U << 20U));
  const auto allocated = open(image)->allocated();
  REQUIRE(allocated.has_value());
  CHECK(allocated->contains({kSize - 512, 512}));
  CHECK(allocated->contains({image.size() - 512, 512}));
  CHECK_FALSE(allocated->intersects({kSize, (1U << 20U) - 512}));
}

TEST_CASE("An NTFS file keeps its volume alive") {
  const TempFolder folder;
  auto volume = open(make_volume(folder));
  const auto file = volume->open_file("Large.bin");
  volume.reset();
  REQUIRE(file.has_value());
  const core::ByteBuffer content = pattern(300'001, 1);
  CHECK((*file)->read(299'000, 1'001).value() == core::ByteBuffer(content.begin() + 299'000, content.end()));
  CHECK(id_of((*file)->read(300'001, 1)) == "io.out-of-range");
}

TEST_CASE("The same NTFS file can be open twice") {
  const TempFolder folder;
  const auto volume = open(make_volume(folder));
  const auto first = volume->open_file("Large.bin");
  {
    const auto second = volume->open_file("large.BIN");
    REQUIRE(second.has_value());
    CHECK((*second)->size() == 300'001);
  }
  REQUIRE(first.has_value());
  CHECK((*first)->read(0, 300'001).value() == pattern(300'001, 1));
}

TEST_CASE("A file marked as encrypted is refused and not read as its cipher text") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(folder);
  // The resident content stands in its MFT record; the standard information there starts 0x18 behind its attribute.
  const core::ByteBuffer content = pattern(100, 2);
  const auto at = std::search(image.begin(), image.end(), content.begin(), content.end());
  REQUIRE(at != image.end());
  const auto record = static_cast<std::size_t>(at - image.begin()) / 1024 * 1024;
  const std::size_t standard = record + core::load_le<std::uint16_t>(image.data() + record + 20);
  REQUIRE(core::load_le<std::uint32_t>(image.data() + standard) == 0x10);
  const std::size_t attributes = standard + 0x18 + 0x20;
  core::store_le(image.data() + attributes, core::load_le<std::uint32_t>(image.data() + attributes) | 0x4000U);
  CHECK(id_of(open(image)->open_file("small.txt")) == "volume.file-unreadable");
}

TEST_CASE("NTFS boot sectors that lie are damage") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(folder);
  SECTION("sector size") { core::store_le(image.data() + 11, std::uint16_t{500}); }
  SECTION("no sectors") { core::store_le(image.data() + 40, std::uint64_t{0}); }
  SECTION("larger than the partition") { core::store_le(image.data() + 40, std::uint64_t{kSize / 512 + 1}); }
  SECTION("larger than 64 bits of bytes") { core::store_le(image.data() + 40, UINT64_MAX); }
  SECTION("MFT outside") { core::store_le(image.data() + 48, std::uint64_t{1} << 40U); }
  SECTION("MFT of zeros") { core::store_le(image.data() + 48, std::uint64_t{kSize / 4096 - 2}); }
  CHECK(id_of(open_volume(memory(image))) == "volume.damaged");
}

TEST_CASE("An NTFS volume that is cut off is damage") {
  const TempFolder folder;
  core::ByteBuffer image = make_volume(folder);
  image.resize(GENERATE(512U, 4096U, 1U << 20U, (8U << 20U) - 1024U));
  CHECK(id_of(open_volume(memory(image))) == "volume.damaged");
}

TEST_CASE("A medium that cannot be read is not called a damaged NTFS") {
  const TempFolder folder;
  const core::ByteBuffer image = make_volume(folder);
  int good = 0;
  for (; good < 200; ++good) {
    const auto volume = open_volume(std::make_shared<FailingSource>(image, good));
    if (volume) break;
    CHECK(volume.error().id() == "io.read-failed");
  }
  CHECK(good > 5);
  CHECK(good < 200);
}

}  // namespace imprint::disk::test
