// SPDX-License-Identifier: GPL-3.0-or-later
// Disks and volumes for the tests of flash/disk, made by the system's own formatters or byte by byte.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/process.hpp"
#include "flash/disk/partition_table.hpp"
#include "flash/disk/volume.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::disk::test {

using TempFolder = fixture::ScratchFolder;

inline core::Result<std::string> try_run(std::vector<std::string> arguments) {
  core::SystemProcessRunner runner;
  return runner.run({.arguments = std::move(arguments),
                     .environment = {{"MTOOLS_SKIP_CHECK", "1"}, {"LC_ALL", "C.UTF-8"}},
                     .limit = std::chrono::minutes(1)});
}

inline void run(std::vector<std::string> arguments) {
  const auto done = try_run(std::move(arguments));
  INFO((done ? std::string() : done.error().message()));
  REQUIRE(done.has_value());
}

inline void make_file(const std::string& path, const core::ByteBuffer& content) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  REQUIRE(out.good());
}

inline void make_empty(const std::string& path, std::uint64_t size) {
  make_file(path, {});
  std::filesystem::resize_file(path, size);
}

inline core::ByteBuffer load(const std::string& path) {
  const auto source = core::FileSource::open(path);
  REQUIRE(source.has_value());
  auto bytes = (*source)->read(0, (*source)->size());
  REQUIRE(bytes.has_value());
  return std::move(*bytes);
}

// Bytes that do not repeat within any cluster, different for each seed.
inline core::ByteBuffer pattern(std::size_t size, std::uint32_t seed) {
  core::ByteBuffer out(size);
  std::uint32_t state = seed * 2654435761U + 1;
  for (auto& byte : out) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24U);
  }
  return out;
}

inline std::shared_ptr<const core::BlockSource> memory(core::ByteBuffer bytes) {
  return std::make_shared<core::MemorySource>(std::move(bytes));
}

inline std::shared_ptr<Volume> open(const core::ByteBuffer& image) {
  const auto volume = open_volume(memory(image));
  INFO((volume ? std::string() : volume.error().message()));
  REQUIRE(volume.has_value());
  return *volume;
}

template <class T>
[[nodiscard]] std::string_view id_of(const core::Result<T>& result) {
  return result ? "good" : result.error().id();
}

inline core::ByteBuffer content_of(Volume& volume, std::string_view path) {
  const auto file = volume.open_file(path);
  INFO((file ? std::string() : file.error().message()));
  REQUIRE(file.has_value());
  auto bytes = (*file)->read(0, (*file)->size());
  REQUIRE(bytes.has_value());
  return std::move(*bytes);
}

// The image with everything outside of `kept` overwritten.
inline core::ByteBuffer only(const core::ByteBuffer& image, const core::ExtentSet& kept, std::uint8_t fill = 0xA5) {
  core::ByteBuffer out(image.size(), fill);
  for (const core::Extent& extent : kept.extents()) {
    REQUIRE(extent.end() <= image.size());
    std::copy_n(image.begin() + static_cast<std::ptrdiff_t>(extent.offset), extent.length,
                out.begin() + static_cast<std::ptrdiff_t>(extent.offset));
  }
  return out;
}

// A source whose Nth read and all after it fail.
class FailingSource final : public core::BlockSource {
 public:
  FailingSource(core::ByteBuffer bytes, int good_reads) : bytes_(std::move(bytes)), good_reads_(good_reads) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] core::Status read_at(std::uint64_t offset, core::ByteSpan out) const override {
    if (reads_++ >= good_reads_) return core::fail("io.read-failed", "the test says so");
    return bytes_.read_at(offset, out);
  }

 private:
  core::MemorySource bytes_;
  int good_reads_;
  mutable int reads_ = 0;
};

}  // namespace imprint::disk::test
