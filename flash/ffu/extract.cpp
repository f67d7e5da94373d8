// SPDX-License-Identifier: GPL-3.0-or-later
// The copy from a described disk to a sparse file.
#include "flash/ffu/extract.hpp"

#include <algorithm>

#include "flash/core/atomic_file.hpp"

namespace imprint::ffu {
namespace {

constexpr std::uint64_t kPiece = 1U << 20;
constexpr std::uint64_t kHole = 4096;  // the file systems' usual block: smaller holes save nothing

bool is_zero(core::ByteView bytes) {
  return bytes.empty() || (bytes[0] == 0 && std::equal(bytes.begin() + 1, bytes.end(), bytes.begin()));
}

core::Status write_data(core::BlockSink& sink, std::uint64_t offset, core::ByteView bytes) {
  for (std::size_t start = 0; start < bytes.size();) {
    std::size_t end = start;
    while (end < bytes.size() && !is_zero(bytes.subspan(end, std::min(kHole, bytes.size() - end)))) end += kHole;
    end = std::min(end, bytes.size());
    if (end > start) IMPRINT_CHECK(sink.write_at(offset + start, bytes.subspan(start, end - start)));
    start = end + kHole;
  }
  return {};
}

}  // namespace

core::Status extract_disk(const DescribedDisk& disk, const std::filesystem::path& out,
                          const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  core::AtomicFile file(out);
  IMPRINT_CHECK(file.check_target());
  IMPRINT_TRY(auto sink, core::FileSink::create(file.temporary_path(), disk.size()));
  const std::uint64_t total = disk.map().described_bytes();
  std::uint64_t done = 0;
  core::ByteBuffer buffer(kPiece);
  for (const MappedRun& run : disk.map().runs()) {
    for (std::uint64_t at = 0; at < run.length;) {
      const auto piece = core::ByteSpan(buffer).first(std::min(kPiece, run.length - at));
      IMPRINT_CHECK(disk.read_at(run.disk_offset + at, piece));
      IMPRINT_CHECK(write_data(*sink, run.disk_offset + at, piece));
      at += piece.size();
      done += piece.size();
      if (progress) progress(done, total);
    }
  }
  return file.commit();
}

}  // namespace imprint::ffu
