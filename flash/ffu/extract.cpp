// SPDX-License-Identifier: GPL-3.0-or-later
// Walks the payload in its own order, so that every unit is read and hashed once, and writes what of it is on the disk.
#include "flash/ffu/extract.hpp"

#include <algorithm>
#include <numeric>
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

// The runs of a map by the batches of the payload that they lie in. A place of the payload can be in several runs.
class RunsByBatch {
 public:
  // `batch_of(plain offset)`: ascending numbers from 0 for the batches.
  template <class BatchOf>
  RunsByBatch(const DiskMap& map, std::uint64_t batches, BatchOf batch_of) : map_(map), starts_(batches + 1) {
    const auto each = [&](auto use) {
      for (std::size_t i = 0; i < map.runs().size(); ++i) {
        const MappedRun& run = map.runs()[i];
        const std::uint64_t last = batch_of(run.plain_offset + run.length - 1);
        for (std::uint64_t batch = batch_of(run.plain_offset); batch <= last; ++batch) use(batch, i);
      }
    };
    each([&](std::uint64_t batch, std::size_t) { ++starts_[batch + 1]; });
    std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    indexes_.resize(starts_.back());
    std::vector<std::uint64_t> next(starts_.begin(), starts_.end() - 1);
    each([&](std::uint64_t batch, std::size_t run) { indexes_[next[batch]++] = static_cast<std::uint32_t>(run); });
  }

  [[nodiscard]] bool empty(std::uint64_t batch) const { return starts_[batch] == starts_[batch + 1]; }

  // Calls use(run) for the parts of the batch's runs that lie in [start, end) of the plain image.
  template <class Use>
  core::Status each_within(std::uint64_t batch, std::uint64_t start, std::uint64_t end, Use use) const {
    for (std::uint64_t i = starts_[batch]; i < starts_[batch + 1]; ++i) {
      const MappedRun& run = map_.runs()[indexes_[i]];
      const std::uint64_t from = std::max(start, run.plain_offset);
      const std::uint64_t to = std::min(end, run.plain_offset + run.length);
      if (from < to) IMPRINT_CHECK(use(MappedRun{run.disk_offset + (from - run.plain_offset), to - from, from}));
    }
    return {};
  }

 private:
  const DiskMap& map_;
  std::vector<std::uint64_t> starts_;   // where each batch begins in indexes_
  std::vector<std::uint32_t> indexes_;  // of runs
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
  const auto batch_of_unit = [&](std::uint64_t unit) { return (unit - units.first) / batch; };
  const RunsByBatch runs(map, batch_of_unit(units.end - 1) + 1,
                         [&](std::uint64_t plain) { return batch_of_unit(unit_at_plain(image, plain)); });
  const auto work = [&](std::uint64_t first, std::uint64_t count) -> core::Status {
    const std::uint64_t number = batch_of_unit(first);
    if (runs.empty(number)) return {};
    const std::uint64_t start = hashed_unit(image, first).plain.offset;
    const std::uint64_t end = hashed_unit(image, first + count - 1).plain.end();
    core::ByteBuffer plain(end - start);
    IMPRINT_CHECK(reader.load_plain(first, count, plain));
    return runs.each_within(number, start, end, [&](const MappedRun& part) {
      return write_data(out, part.disk_offset, core::ByteView(plain).subspan(part.plain_offset - start, part.length));
    });
  };
  return walk_units(image, {units, batch, reader.batch_bytes(), threads}, work, progress, stop);
}

}  // namespace imprint::ffu
