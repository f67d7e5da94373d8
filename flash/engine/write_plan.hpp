// SPDX-License-Identifier: GPL-3.0-or-later
// What goes where on a disk of one size, worked out once for all slots: which bytes of the image, in which pieces and
// in which order, and what replaces them where the partition table is fitted to a larger disk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/phase_meter.hpp"
#include "flash/engine/queued_disk.hpp"
#include "flash/ffu/disk_map.hpp"

namespace imprint::engine {

class VerifiedImage;

// Where partition tables lie: the first and the last 128 KiB, or all of a smaller disk.
inline constexpr std::uint64_t kTableBytes = 131072;

// Bytes that a disk gets instead of, or besides, what the image says.
struct Replacement {
  std::uint64_t disk_offset = 0;
  core::ByteBuffer bytes;
  [[nodiscard]] std::uint64_t end() const { return disk_offset + bytes.size(); }
};

// The GPT of a disk that is larger than the image was made for: where the image has its backup header, and where it
// belongs. In sectors.
struct MisplacedBackup {
  std::uint64_t in_image = 0;
  std::uint64_t last = 0;
  bool is_fitted = false;  // the replacements put it there
};

// Never changes; shared by all slots whose disks have this size.
class WritePlan {
 public:
  // Replacements must not overlap. Offsets and lengths of all are multiples of the disk's sector.
  WritePlan(ffu::DiskMap map, std::vector<Replacement> replacements, std::vector<std::string> warnings,
            std::optional<MisplacedBackup> gpt = {});

  [[nodiscard]] const ffu::DiskMap& map() const { return map_; }
  [[nodiscard]] std::uint64_t disk_bytes() const { return map_.disk_bytes(); }
  [[nodiscard]] std::uint64_t described_bytes() const { return described_bytes_; }  // with the replacements
  // What neither is written nor lies where partition tables do, ascending.
  [[nodiscard]] const std::vector<core::Extent>& left_out() const { return left_out_; }
  [[nodiscard]] std::uint64_t left_out_bytes() const { return left_out_bytes_; }

  // The places of the partition tables at both ends, and the rest of the disk between them.
  [[nodiscard]] core::Extent head() const { return {0, body_start_}; }
  [[nodiscard]] core::Extent body() const { return {body_start_, body_end_ - body_start_}; }
  [[nodiscard]] core::Extent tail() const { return {body_end_, disk_bytes() - body_end_}; }

  // What is written of `range`, in the order of the disk: neighbouring runs as one, cut where the disk's offset is a
  // multiple of a buffer.
  [[nodiscard]] std::vector<core::Extent> pieces(core::Extent range) const;
  [[nodiscard]] const std::vector<core::Extent>& body_pieces() const { return body_pieces_; }
  // Fills `out` with what a piece holds. The errors of VerifiedImage::read_plain().
  [[nodiscard]] core::Status fill(VerifiedImage& image, core::Extent piece, core::ByteSpan out,
                                  Starvation& waited) const;
  // The same where it lies in the image's cache: parts one behind the other, which `kept` keeps. False where it has to
  // be put together by fill().
  [[nodiscard]] core::Result<bool> gather(VerifiedImage& image, core::Extent piece, std::vector<core::ByteView>& parts,
                                          std::vector<std::shared_ptr<const void>>& kept, Starvation& waited) const;
  // Tells the image that these will be wanted soon.
  void expect(VerifiedImage& image, core::Extent piece) const;
  // The replacements that touch a piece.
  [[nodiscard]] std::vector<const Replacement*> replaced_in(core::Extent piece) const;
  [[nodiscard]] const std::vector<Replacement>& replacements() const { return replacements_; }  // ascending

  // What an engineer should know: the GPT's backup copy ends before the disk does, or was moved.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] const std::optional<MisplacedBackup>& gpt() const { return gpt_; }

 private:
  ffu::DiskMap map_;
  std::vector<Replacement> replacements_;  // ascending
  std::vector<std::string> warnings_;
  std::optional<MisplacedBackup> gpt_;
  std::vector<core::Extent> covered_;  // map and replacements, ascending, none adjacent
  std::vector<core::Extent> left_out_;
  std::vector<core::Extent> body_pieces_;
  std::uint64_t described_bytes_ = 0;
  std::uint64_t left_out_bytes_ = 0;
  std::uint64_t body_start_ = 0;
  std::uint64_t body_end_ = 0;
};

}  // namespace imprint::engine
