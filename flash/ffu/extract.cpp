// SPDX-License-Identifier: GPL-3.0-or-later
// Walks the payload in its own order, so that every unit is read and hashed once, and writes what of it is on the disk.
#include "flash/ffu/extract.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "flash/ffu/unit_walk.hpp"

namespace imprint::ffu {
namespace {

constexpr std::uint64_t kHole = 4096;  // the file systems' usual block: smaller holes save nothing

bool is_zero(core::ByteView bytes) {
  return bytes.empty() || (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
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

// The runs of a map by where they are in the plain image. A place of the payload can be in several.
class RunsByPayload {
 public:
  explicit RunsByPayload(const DiskMap& map) : runs_(map.runs()) {
    std::ranges::sort(runs_, {}, &MappedRun::plain_offset);
    std::uint64_t reach = 0;
    for (const MappedRun& run : runs_) reach_.push_back(reach = std::max(reach, run.plain_offset + run.length));
  }

  [[nodiscard]] bool empty() const { return runs_.empty(); }
  [[nodiscard]] std::uint64_t start() const { return runs_.front().plain_offset; }
  [[nodiscard]] std::uint64_t end() const { return reach_.back(); }

  // Calls use(run) for the parts of runs that lie in [start, end) of the plain image.
  template <class Use>
  core::Status each_within(std::uint64_t start, std::uint64_t end, Use use) const {
    const auto first = std::ranges::upper_bound(reach_, start) - reach_.begin();
    for (auto i = static_cast<std::size_t>(first); i < runs_.size() && runs_[i].plain_offset < end; ++i) {
      const MappedRun& run = runs_[i];
      const std::uint64_t from = std::max(start, run.plain_offset);
      const std::uint64_t to = std::min(end, run.plain_offset + run.length);
      if (from < to) IMPRINT_CHECK(use(MappedRun{run.disk_offset + (from - run.plain_offset), to - from, from}));
    }
    return {};
  }
  [[nodiscard]] bool any_within(std::uint64_t start, std::uint64_t end) const {
    bool any = false;
    static_cast<void>(each_within(start, end, [&](const MappedRun&) {
      any = true;
      return core::Status{};
    }));
    return any;
  }

 private:
  std::vector<MappedRun> runs_;
  std::vector<std::uint64_t> reach_;  // the end of the runs so far, for each
};

}  // namespace

core::Status extract_disk(const OpenedImage& opened, const core::BlockSource& file, const DiskMap& map,
                          core::BlockSink& out, unsigned threads, const Progress& progress, std::stop_token stop) {
  const Image& image = opened.image;
  const RunsByPayload runs(map);
  if (runs.empty()) return {};
  const UnitReader reader(opened, file);
  const UnitRange units{unit_at_plain(image, runs.start()), unit_at_plain(image, runs.end() - 1) + 1};
  const auto work = [&](std::uint64_t first, std::uint64_t count) -> core::Status {
    const std::uint64_t start = hashed_unit(image, first).plain.offset;
    const std::uint64_t end = hashed_unit(image, first + count - 1).plain.end();
    if (!runs.any_within(start, end)) return {};
    core::ByteBuffer plain(end - start);
    IMPRINT_CHECK(reader.load_plain(first, count, plain));
    return runs.each_within(start, end, [&](const MappedRun& part) {
      return write_data(out, part.disk_offset, core::ByteView(plain).subspan(part.plain_offset - start, part.length));
    });
  };
  return walk_units(image, units, reader.batch_size(), threads, work, progress, stop);
}

}  // namespace imprint::ffu
