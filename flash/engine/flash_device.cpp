// SPDX-License-Identifier: GPL-3.0-or-later
// Fit and read-back.
#include "flash/engine/flash_device.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "flash/core/sha256_lanes.hpp"
#include "flash/engine/block_writer.hpp"
#include "flash/engine/errors.hpp"
#include "flash/ffu/disk_map.hpp"
#include "flash/ffu/hashed_unit.hpp"

namespace imprint::engine {
namespace {

constexpr std::uint64_t kPiece = 1U << 20;

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

core::Failure mismatch(std::uint64_t disk_offset, std::uint64_t unit) {
  return fail("readback.mismatch").with("disk_offset", disk_offset).with("unit", unit);
}

// Bytes of the disk that are held against the image. Whole units are hashed side by side: with all slots at it, this is
// most of what the station computes.
class ReadBackCheck {
 public:
  explicit ReadBackCheck(VerifiedImage& image) : image_(image) {}

  // `bytes` are those of `run`; they are done with on return.
  core::Status check(const ffu::MappedRun& run, core::ByteView bytes) {
    for (std::uint64_t at = 0; at < run.length;) {
      const std::uint64_t plain_offset = run.plain_offset + at;
      const std::uint64_t index = ffu::unit_at_plain(image_.image(), plain_offset);
      const ffu::HashedUnit unit = ffu::hashed_unit(image_.image(), index);
      const std::uint64_t length = std::min(run.length - at, unit.plain.end() - plain_offset);
      const core::ByteView piece = bytes.subspan(at, length);
      // A last chunk that is shorter is hashed with zeros behind it, so it is compared like a part.
      if (length == unit.hashed_size) {
        whole_[count_++] = {run.disk_offset + at, index, piece};
        if (count_ == whole_.size()) IMPRINT_CHECK(check_whole());
      } else {
        IMPRINT_CHECK(check_whole());  // what lies before it on the disk is judged before it
        IMPRINT_CHECK(check_part(run.disk_offset + at, index, plain_offset, piece));
      }
      at += length;
    }
    return check_whole();
  }

 private:
  struct Whole {
    std::uint64_t disk_offset = 0;
    std::uint64_t unit = 0;
    core::ByteView bytes;
  };

  core::Status check_whole() {
    std::array<core::ByteView, core::Sha256Lanes::kMaxLanes> bytes;
    std::array<core::Sha256, core::Sha256Lanes::kMaxLanes> digests{};
    const std::size_t count = std::exchange(count_, 0);
    std::transform(whole_.begin(), whole_.begin() + static_cast<std::ptrdiff_t>(count), bytes.begin(),
                   [](const Whole& whole) { return whole.bytes; });
    core::sha256_many(std::span(bytes).first(count), std::span(digests).first(count));
    for (std::size_t i = 0; i < count; ++i) {
      if (!ffu::check_unit_digest(image_.image(), whole_[i].unit, digests[i]))
        return mismatch(whole_[i].disk_offset, whole_[i].unit);
    }
    return {};
  }

  core::Status check_part(std::uint64_t disk_offset, std::uint64_t unit, std::uint64_t plain_offset,
                          core::ByteView bytes) {
    core::ByteBuffer expected(bytes.size());
    IMPRINT_CHECK(image_.read_plain(plain_offset, expected));
    if (!std::ranges::equal(expected, bytes)) return mismatch(disk_offset, unit);
    return {};
  }

  VerifiedImage& image_;
  std::array<Whole, core::Sha256Lanes::kMaxLanes> whole_{};
  std::size_t count_ = 0;
};

// Pieces end with a unit where they can, so that most units are hashed whole.
std::uint64_t piece_length(const ffu::Image& image, const ffu::MappedRun& run, std::uint64_t at) {
  const std::uint64_t rest = run.length - at;
  if (rest <= kPiece) return rest;
  const std::uint64_t start = run.plain_offset + at;
  const std::uint64_t end = ffu::hashed_unit(image, ffu::unit_at_plain(image, start + kPiece)).plain.offset;
  return end > start ? end - start : kPiece;
}

}  // namespace

core::Result<ffu::DiskMap> check_fit(const ffu::Image& image, const DeviceIdentity& identity) {
  const auto ids = image.platform_ids();
  if (!identity.is_bare_disk && !ffu::platform_matches(ids, identity.platform_id)) {
    return fail("device.platform-mismatch").with("expected", joined(ids)).with("actual", identity.platform_id);
  }
  // A device applies what is streamed to it, and the devices of the field take no compressed images; a partial update
  // needs what an earlier one left behind, which a line cannot prove.
  if (image.is_compressed() && !identity.is_bare_disk) return fail("image.compressed");
  if (image.is_partial_update()) return fail("image.partial-update");
  // Only the first store is read back: an image with more could not be proved, so it is not flashed.
  if (image.stores.size() != 1) return fail("image.several-stores").with("stores", image.stores.size());
  if (!identity.disk) return fail("device.disk-unknown");
  const std::uint64_t wanted = image.manifest.stores.empty() ? 0 : image.manifest.stores[0].min_disk_bytes();
  if (identity.disk->size < wanted) {
    return fail("device.disk-too-small").with("expected", wanted).with("actual", identity.disk->size);
  }
  if (!image.manifest.stores.empty() && identity.disk->sector_size != image.manifest.stores[0].sector_size) {
    return fail("device.sector-size-mismatch")
        .with("expected", image.manifest.stores[0].sector_size)
        .with("actual", identity.disk->sector_size);
  }
  // A descriptor that lies outside of this disk is found before the first byte is sent.
  auto map = ffu::DiskMap::build(image.stores[0], identity.disk->size);
  if (!map) {
    return fail("device.disk-too-small").with("actual", identity.disk->size).caused_by(std::move(map).error());
  }
  if (map->described_bytes() == 0) return fail("image.describes-nothing");
  return map;
}

std::string_view to_string(FlashPolicy::ReadBack read_back) {
  switch (read_back) {
    case FlashPolicy::ReadBack::required:
      return "required";
    case FlashPolicy::ReadBack::where_possible:
      return "where-possible";
    case FlashPolicy::ReadBack::off:
      return "off";
  }
  return "required";
}

std::optional<FlashPolicy::ReadBack> parse_read_back(std::string_view text) {
  using enum FlashPolicy::ReadBack;
  for (const auto one : {required, where_possible, off}) {
    if (to_string(one) == text) return one;
  }
  return std::nullopt;
}

std::uint64_t bytes_due(Target& target, const VerifiedImage& image, const ffu::DiskMap& map) {
  return target.as_block() != nullptr ? map.described_bytes() : image.size();
}

core::Status write_image(Target& target, VerifiedImage& image, const ffu::DiskMap& map, TransferObserver& observer,
                         const std::stop_token& stop) {
  if (StreamTarget* stream = target.as_stream()) return stream->flash(image, observer, stop);
  IMPRINT_TRY(const auto disk, target.as_block()->open_for_writing());
  return write_blocks(image, map, *disk, observer, stop);
}

core::Status read_back(VerifiedImage& image, const core::BlockSource& disk,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress, std::stop_token stop) {
  IMPRINT_TRY(const auto map, ffu::DiskMap::build(image.image().stores.at(0), disk.size()));
  const std::uint64_t due = map.described_bytes();
  if (due == 0) return fail("image.describes-nothing");  // nothing read back proves nothing
  std::uint64_t done = 0;
  core::ByteBuffer buffer;
  ReadBackCheck check(image);
  for (const ffu::MappedRun& run : map.runs()) {
    for (std::uint64_t at = 0; at < run.length;) {
      if (stop.stop_requested()) return core::fail("job.cancelled");
      const std::uint64_t length = piece_length(image.image(), run, at);
      buffer.resize(length);
      IMPRINT_CHECK(disk.read_at(run.disk_offset + at, buffer));
      IMPRINT_CHECK(check.check({run.disk_offset + at, length, run.plain_offset + at}, buffer));
      at += length;
      done += length;
      if (progress) progress(done, due);
    }
  }
  return {};
}

}  // namespace imprint::engine
