// SPDX-License-Identifier: GPL-3.0-or-later
// What the fuzzers of the container and its codecs begin with: a small image of each form and blocks packed by each
// codec, all written by the product itself.
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "flash/ffu/errors.hpp"
#include "flash/ffu/writer.hpp"

namespace {

using namespace imprint;

constexpr std::uint32_t kBlock = 4096;

constexpr const char* kManifest =
    "[FullFlash]\r\nVersion = 2.0\r\nDescription = seed\r\nDevicePlatformId0 = A.B.C.1\r\n\r\n[Store]\r\nSectorSize = "
    "512\r\nMinSectorCount = 128\r\n\r\n[Partition]\r\nName = Data\r\nTotalSectors = 64\r\nUseAllSpace = true\r\n";

struct Seed {
  const char* name;
  ffu::WriteRequest request;
};

void add(ffu::Store& store, std::uint32_t block_count, std::uint64_t source,
         const std::vector<ffu::DiskLocation>& locations) {
  store.descriptors.push_back({.block_count = block_count,
                               .location_count = static_cast<std::uint32_t>(locations.size()),
                               .first_location = static_cast<std::uint32_t>(store.locations.size()),
                               .plain_offset = source});
  store.locations.insert(store.locations.end(), locations.begin(), locations.end());
}

ffu::WriteRequest usual(const core::BlockSource& source, std::uint32_t run) {
  using enum ffu::AccessMethod;
  ffu::WriteRequest request;
  request.chunk_size = kBlock;
  request.manifest = kManifest;
  request.make_catalog = [](core::ByteView) -> core::Result<core::ByteBuffer> { return core::ByteBuffer(64, 0xCC); };
  ffu::Store store;
  store.block_size = kBlock;
  store.platform_ids = {"A.B.C.1", "A.B.D"};
  add(store, 1, ffu::kZeros, {{disk_begin, 0}, {disk_end, 0}});
  add(store, run, 0, {{disk_begin, 2}, {disk_begin, 5}});
  add(store, 1, kBlock, {{disk_end, 1}});
  add(store, 1, 2 * kBlock, {{disk_begin, 0}});
  store.phases = {0, 1, 1, 2, 3, 1};
  request.stores.push_back({store, &source});
  return request;
}

std::vector<Seed> make_seeds(const core::BlockSource& source) {
  std::vector<Seed> seeds = {{"v1", usual(source, 1)},
                             {"v1-targets", usual(source, 1)},
                             {"v1-runs", usual(source, 2)},
                             {"v1-small-blocks", usual(source, 1)},
                             {"v1-partial", usual(source, 1)},
                             {"v2-one", usual(source, 1)},
                             {"v2-three", usual(source, 1)},
                             {"none", usual(source, 1)},
                             {"lznt1", usual(source, 1)},
                             {"xpress", usual(source, 1)},
                             {"xpress-huffman", usual(source, 1)}};
  seeds[1].request.image_header_size = 28;
  seeds[1].request.targets = {{"A", "B", "C", "", "", "", ""}, {"", "", "", "", "7", "", ""}};
  seeds[3].request.chunk_size = 2 * kBlock;
  ffu::Store& partial = seeds[4].request.stores[0].store;
  partial.update_type = ffu::UpdateType::partial;
  partial.validation_data = core::ByteBuffer(20, 7);
  partial.validation = {{1, 2, 0, 12}, {3, 0, 12, 8}};
  for (const std::size_t i : {5U, 6U}) {
    seeds[i].request.form = ffu::Form::v2;
    if (i == 6) {  // stays below the 64 KiB that the fuzzers are given
      seeds[i].request.stores[0].store.descriptors.pop_back();
      seeds[i].request.stores[0].store.locations.pop_back();
    }
    seeds[i].request.stores.resize(i == 5 ? 1 : 3, seeds[i].request.stores[0]);
    for (auto& store : seeds[i].request.stores) store.store.device_path = "VenHw(A)";
  }
  for (std::size_t i = 7; i < seeds.size(); ++i) {
    seeds[i].request.form = ffu::Form::v1_compressed;
    seeds[i].request.compression = static_cast<ffu::Compression>(i - 7);
  }
  return seeds;
}

core::Status write_seed(const Seed& seed, const std::filesystem::path& folder) {
  IMPRINT_TRY(const auto sink, core::FileSink::create(folder / (std::string(seed.name) + ".ffu"), 0));
  IMPRINT_TRY(const auto size, ffu::write_image(seed.request, *sink));
  static_cast<void>(size);
  return sink->flush();
}

core::Status write_file(const std::filesystem::path& path, core::ByteView bytes) {
  IMPRINT_TRY(const auto sink, core::FileSink::create(path, 0));
  IMPRINT_CHECK(sink->write_at(0, bytes));
  return sink->flush();
}

// Text for the codecs: repeats, and bytes that do not.
core::ByteBuffer text_of(std::size_t size) {
  core::ByteBuffer text(size);
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<std::uint8_t>(i % 97 < 60 ? 'a' + i % 7 : i * i >> 7);
  return text;
}

// As codec_fuzz.hpp takes them: a byte that picks the size, then the packed block.
core::Status write_blocks(ffu::Compression codec, const std::filesystem::path& folder) {
  constexpr std::pair<std::uint8_t, std::size_t> kSizes[] = {{7, 4096}, {8, 4097}, {12, 65536}};
  for (const auto& [choice, size] : kSizes) {
    const auto packed = ffu::compress(codec, text_of(size));
    if (!packed) return ffu::fail("ffu.unwritable", "text that does not pack");
    core::ByteBuffer bytes = {choice};
    bytes.insert(bytes.end(), packed->begin(), packed->end());
    IMPRINT_CHECK(write_file(folder / ("block-" + std::to_string(size)), bytes));
  }
  return {};
}

core::Status write_all(const std::filesystem::path& folder) {
  const core::MemorySource source(text_of(3 * std::size_t{kBlock}));
  for (const Seed& seed : make_seeds(source)) IMPRINT_CHECK(write_seed(seed, folder / "ffu"));
  IMPRINT_CHECK(write_blocks(ffu::Compression::lznt1, folder / "lznt1"));
  IMPRINT_CHECK(write_blocks(ffu::Compression::xpress, folder / "xpress"));
  IMPRINT_CHECK(write_blocks(ffu::Compression::xpress_huffman, folder / "xpress_huffman"));
  return write_file(folder / "manifest" / "usual.txt", core::as_bytes(kManifest));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_ffu_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::error_code failed;
  for (const char* name : {"ffu", "manifest", "lznt1", "xpress", "xpress_huffman"})
    std::filesystem::create_directories(folder / name, failed);
  const auto status = write_all(folder);
  if (status) return 0;
  std::fprintf(stderr, "make_ffu_seeds: %s\n", status.error().message().c_str());
  return 4;
}
