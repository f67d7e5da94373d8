// SPDX-License-Identifier: GPL-3.0-or-later
// Runs and replacements as pieces of a disk.
#include "flash/engine/write_plan.hpp"

#include <algorithm>
#include <utility>

#include "flash/engine/verified_image.hpp"

namespace imprint::engine {
namespace {

constexpr std::uint64_t kPiece = QueuedDisk::kBufferBytes;

// Both ascend; what `extents` leave out of `range`.
std::vector<core::Extent> complement(const std::vector<core::Extent>& extents, core::Extent range) {
  std::vector<core::Extent> out;
  std::uint64_t at = range.offset;
  for (const core::Extent& extent : extents) {
    if (extent.end() <= at) continue;
    if (extent.offset >= range.end()) break;
    if (extent.offset > at) out.push_back({at, extent.offset - at});
    at = extent.end();
  }
  if (at < range.end()) out.push_back({at, range.end() - at});
  return out;
}

std::uint64_t total(const std::vector<core::Extent>& extents) {
  std::uint64_t sum = 0;
  for (const core::Extent& extent : extents) sum += extent.length;
  return sum;
}

}  // namespace

WritePlan::WritePlan(ffu::DiskMap map, std::vector<Replacement> replacements, std::vector<std::string> warnings,
                     std::optional<MisplacedBackup> gpt)
    : map_(std::move(map)), replacements_(std::move(replacements)), warnings_(std::move(warnings)), gpt_(gpt) {
  std::ranges::sort(replacements_, {}, &Replacement::disk_offset);
  core::ExtentSet covered;
  for (const ffu::MappedRun& run : map_.runs()) covered.add({run.disk_offset, run.length});
  for (const Replacement& one : replacements_) covered.add({one.disk_offset, one.bytes.size()});
  covered_ = covered.extents();
  described_bytes_ = total(covered_);
  const std::uint64_t size = map_.disk_bytes();
  body_start_ = std::min(kTableBytes, size);
  body_end_ = size - std::min(kTableBytes, size - body_start_);
  left_out_ = complement(covered_, body());
  left_out_bytes_ = total(left_out_);
  body_pieces_ = pieces(body());
}

std::vector<core::Extent> WritePlan::pieces(core::Extent range) const {
  std::vector<core::Extent> out;
  auto it = std::ranges::upper_bound(covered_, range.offset, {}, &core::Extent::offset);
  if (it != covered_.begin()) --it;
  for (; it != covered_.end() && it->offset < range.end(); ++it) {
    const std::uint64_t end = std::min(it->end(), range.end());
    for (std::uint64_t at = std::max(it->offset, range.offset); at < end;) {
      const std::uint64_t stop = std::min(end, (at / kPiece + 1) * kPiece);
      out.push_back({at, stop - at});
      at = stop;
    }
  }
  return out;
}

core::Status WritePlan::fill(VerifiedImage& image, core::Extent piece, core::ByteSpan out, Starvation& waited) const {
  for (const ffu::MappedRun& run : map_.within(piece.offset, piece.length)) {
    IMPRINT_CHECK(image.read_plain(run.plain_offset, out.subspan(run.disk_offset - piece.offset, run.length), &waited));
  }
  for (const Replacement* one : replaced_in(piece)) {
    const std::uint64_t from = std::max(piece.offset, one->disk_offset);
    const std::uint64_t to = std::min(piece.end(), one->end());
    std::copy_n(one->bytes.begin() + static_cast<std::ptrdiff_t>(from - one->disk_offset), to - from,
                out.begin() + static_cast<std::ptrdiff_t>(from - piece.offset));
  }
  return {};
}

core::Result<bool> WritePlan::gather(VerifiedImage& image, core::Extent piece, std::vector<core::ByteView>& parts,
                                     std::vector<std::shared_ptr<const void>>& kept, Starvation& waited) const {
  if (!replaced_in(piece).empty()) return false;
  for (const ffu::MappedRun& run : map_.within(piece.offset, piece.length)) {
    IMPRINT_TRY(const bool is_there, image.share_plain(run.plain_offset, run.length, parts, kept, &waited));
    if (!is_there) return false;
  }
  return true;
}

void WritePlan::expect(VerifiedImage& image, core::Extent piece) const {
  for (const ffu::MappedRun& run : map_.within(piece.offset, piece.length)) image.expect(run.plain_offset, run.length);
}

std::vector<const Replacement*> WritePlan::replaced_in(core::Extent piece) const {
  std::vector<const Replacement*> out;
  for (const Replacement& one : replacements_) {
    if (one.disk_offset < piece.end() && one.end() > piece.offset) out.push_back(&one);
  }
  return out;
}

}  // namespace imprint::engine
