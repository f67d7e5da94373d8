// SPDX-License-Identifier: GPL-3.0-or-later
// Walks the payload in its own order, so that every unit is read and hashed once, and writes what of it is on the disk.
#include "flash/ffu/extract.hpp"

#include <algorithm>
#include <vector>

#include "flash/ffu/unit_walk.hpp"

namespace imprint::ffu {
namespace {

constexpr std::uint64_t kHole = 4096;  // the file systems' usual block: smaller holes save nothing

core::Status write_data(core::BlockSink& sink, std::uint64_t offset, core::ByteView bytes) {
  for (std::size_t start = 0; start < bytes.size();) {
    std::size_t end = start;
    while (end < bytes.size() && !core::is_zero(bytes.subspan(end, std::min(kHole, bytes.size() - end)))) end += kHole;
    end = std::min(end, bytes.size());
    if (end > start) IMPRINT_CHECK(sink.write_at(offset + start, bytes.subspan(start, end - start)));
    start = end + kHole;
  }
  return {};
}

// The runs of a map by their places in the payload. A place of the payload can be in several runs.
class RunsByPlace {
 public:
  // `batch_bytes`: of the pieces that will be asked for.
  RunsByPlace(const DiskMap& map, std::uint64_t batch_bytes) : map_(map) {
    for (std::size_t i = 0; i < map.runs().size(); ++i) {
      const std::uint64_t length = map.runs()[i].length;
      (length > batch_bytes ? long_ : short_).push_back(static_cast<std::uint32_t>(i));
      if (length <= batch_bytes) longest_short_ = std::max(longest_short_, length);
    }
    std::ranges::sort(short_, {}, [&](std::uint32_t i) { return map.runs()[i].plain_offset; });
  }

  // The parts of the runs that lie in [start, end) of the plain image.
  [[nodiscard]] std::vector<MappedRun> within(std::uint64_t start, std::uint64_t end) const {
    std::vector<MappedRun> parts;
    const auto add = [&](const MappedRun& run) {
      const std::uint64_t from = std::max(start, run.plain_offset);
      const std::uint64_t to = std::min(end, run.plain_offset + run.length);
      if (from < to) parts.push_back({run.disk_offset + (from - run.plain_offset), to - from, from});
    };
    // Few images have runs longer than a batch; each of them fills whole batches, so that looking at all is cheap.
    for (const std::uint32_t i : long_) add(map_.runs()[i]);
    const std::uint64_t earliest = start - std::min(start, longest_short_);
    const auto plain_offset = [&](std::uint32_t i) { return map_.runs()[i].plain_offset; };
    for (auto it = std::ranges::lower_bound(short_, earliest, {}, plain_offset);
         it != short_.end() && plain_offset(*it) < end; ++it) {
      add(map_.runs()[*it]);
    }
    return parts;
  }

 private:
  const DiskMap& map_;
  std::vector<std::uint32_t> short_;  // indexes of runs, by their places in the payload
  std::vector<std::uint32_t> long_;
  std::uint64_t longest_short_ = 0;
};

}  // namespace

core::Status extract_disk(const OpenedImage& opened, const core::BlockSource& file, const DiskMap& map,
                          core::BlockSink& out, unsigned threads, const Progress& progress, std::stop_token stop) {
  const Image& image = opened.image;
  if (map.runs().empty()) return {};
  const UnitReader reader(opened, file);
  UnitRange units{UINT64_MAX, 0};
  for (const MappedRun& run : map.runs()) {
    units.first = std::min(units.first, unit_at_plain(image, run.plain_offset));
    units.end = std::max(units.end, unit_at_plain(image, run.plain_offset + run.length - 1) + 1);
  }
  const std::uint64_t batch = reader.batch_size();
  const RunsByPlace runs(map, reader.batch_bytes());
  const auto work = [&](std::uint64_t first, std::uint64_t count) -> core::Status {
    const std::uint64_t start = hashed_unit(image, first).plain.offset;
    const std::uint64_t end = hashed_unit(image, first + count - 1).plain.end();
    const std::vector<MappedRun> parts = runs.within(start, end);
    if (parts.empty()) return {};
    core::ByteBuffer plain(end - start);
    IMPRINT_CHECK(reader.load_plain(first, count, plain));
    for (const MappedRun& part : parts) {
      const auto bytes = core::ByteView(plain).subspan(part.plain_offset - start, part.length);
      IMPRINT_CHECK(write_data(out, part.disk_offset, bytes));
    }
    return {};
  };
  return walk_units(image, {units, batch, reader.batch_bytes(), threads}, work, progress, stop);
}

}  // namespace imprint::ffu
