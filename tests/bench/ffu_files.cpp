// SPDX-License-Identifier: GPL-3.0-or-later
// Disks that are worked out byte by byte where they are read.
#include "ffu_files.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "flash/ffu/writer.hpp"
#include "flash/trust/signing.hpp"

namespace imprint::bench {
namespace {

constexpr std::uint32_t kBlock = 131072;
constexpr std::uint32_t kHalfBlocks = 32;

// A word of eight bytes from its place alone (splitmix64).
std::uint64_t random_word(std::uint64_t index) {
  std::uint64_t word = (index + 1) * 0x9E3779B97F4A7C15ULL;
  word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ULL;
  word = (word ^ (word >> 27)) * 0x94D049BB133111EBULL;
  return word ^ (word >> 31);
}

// Read at multiples of eight bytes: the writer asks for whole blocks.
class GeneratedDisk final : public core::BlockSource {
 public:
  GeneratedDisk(std::uint64_t size, Content content) : size_(size), content_(content) {}
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    IMPRINT_CHECK(check_range(offset, out.size()));
    for (std::size_t at = 0; at + 8 <= out.size(); at += 8) {
      const std::uint64_t index = (offset + at) / 8;
      // Text: words of a small vocabulary, so that each codec finds matches within its window, and as many bytes
      // that do not match.
      const bool matches = content_ == Content::text && index % 4 < 2;
      const std::uint64_t word = random_word(matches ? random_word(index / 4) % 100 + index % 4 : index);
      std::memcpy(out.data() + at, &word, 8);
    }
    return {};
  }

 private:
  std::uint64_t size_;
  Content content_;
};

class SparseSink final : public core::BlockSink {
 public:
  explicit SparseSink(core::BlockSink& inner) : inner_(inner) {}
  [[nodiscard]] core::Status write_at(std::uint64_t offset, core::ByteView data) override {
    for (std::size_t at = 0; at < data.size(); at += kBlock) {
      const core::ByteView part = data.subspan(at, std::min<std::size_t>(kBlock, data.size() - at));
      const bool zeros = part[0] == 0 && std::memcmp(part.data(), part.data() + 1, part.size() - 1) == 0;
      if (!zeros) IMPRINT_CHECK(inner_.write_at(offset + at, part));
    }
    return {};
  }
  [[nodiscard]] core::Status flush() override { return inner_.flush(); }

 private:
  core::BlockSink& inner_;
};

}  // namespace

core::Status make_image(const ImageToMake& what, const std::filesystem::path& path) {
  const GeneratedDisk disk(what.disk_bytes, what.content);
  ffu::Store store;
  store.block_size = kBlock;
  store.platform_ids = {"Imprint.Bench.Board.1"};
  for (std::uint32_t i = 0; i < what.disk_bytes / kBlock; ++i) {
    if (what.half && i / kHalfBlocks % 2 == 1) continue;
    store.descriptors.push_back({.block_count = 1,
                                 .location_count = 1,
                                 .first_location = static_cast<std::uint32_t>(store.locations.size()),
                                 .plain_offset = what.content == Content::sparse && i % kSparseBlocks != 0
                                                     ? ffu::kZeros
                                                     : i * std::uint64_t{kBlock}});
    store.locations.push_back({ffu::AccessMethod::disk_begin, i});
  }
  ffu::WriteRequest request;
  request.form = what.compressed ? ffu::Form::v1_compressed : ffu::Form::v1;
  request.compression = what.compression;
  request.manifest =
      "[FullFlash]\r\nVersion = 2.0\r\nDescription = benchmark\r\nDevicePlatformId0 = Imprint.Bench.Board.1\r\n\r\n"
      "[Store]\r\nSectorSize = 512\r\nMinSectorCount = " +
      std::to_string(what.disk_bytes / 512) + "\r\n";
  request.make_catalog = [](core::ByteView table) { return trust::build_catalog(table, core::UtcTime{}); };
  request.stores.push_back({std::move(store), &disk});
  IMPRINT_TRY(const auto file, core::FileSink::create(path, 0));
  SparseSink sparse(*file);
  IMPRINT_TRY(const auto size, ffu::write_image(request, sparse));
  // The last byte gives the file its size where it ends with a hole.
  const std::uint8_t last = 0;
  if (what.content == Content::sparse) return file->write_at(size - 1, {&last, 1});
  return {};
}

}  // namespace imprint::bench
