// SPDX-License-Identifier: GPL-3.0-or-later
// The steps between a device and the belief that it is right: does it fit, write, read back. The station puts them in
// order, records them, and adds its own (admission of the operator, rules).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/pace.hpp"
#include "flash/engine/target.hpp"
#include "flash/engine/verified_image.hpp"
#include "flash/ffu/disk_map.hpp"

namespace imprint::engine {

// What the recipe wants of the engine.
struct FlashPolicy {
  // Every described block hashed from the device. `where_possible`: not from a device whose protocol has no way to read
  // its disk; whoever can be read is held to it.
  enum class ReadBack : std::uint8_t { required, where_possible, off };
  ReadBack read_back = ReadBack::required;
  LeastPace least_pace;  // of writing and of reading back, each
};
// "required", "where-possible", "off".
[[nodiscard]] std::string_view to_string(FlashPolicy::ReadBack read_back);
[[nodiscard]] std::optional<FlashPolicy::ReadBack> parse_read_back(std::string_view text);

// May this image go onto this device? `device.platform-mismatch`, `device.disk-too-small`,
// `device.sector-size-mismatch`, `device.disk-unknown`, `image.several-stores`, `image.compressed`,
// `image.partial-update`, `image.describes-nothing`. Asked before
// a byte of the image is sent (a bare disk takes any platform's image, and compressed ones); the answer is what the
// device's disk will hold.
[[nodiscard]] core::Result<ffu::DiskMap> check_fit(const ffu::Image& image, const DeviceIdentity& identity);

// How many bytes write_image() will tell its observer of.
[[nodiscard]] std::uint64_t bytes_due(Target& target, const VerifiedImage& image, const ffu::DiskMap& map);
// Puts the image onto the device: the file as it is for a device that applies it itself, the writes for a disk. `map`
// is check_fit()'s answer. Good only when the device confirmed, or the disk flushed.
[[nodiscard]] core::Status write_image(Target& target, VerifiedImage& image, const ffu::DiskMap& map,
                                       TransferObserver& observer, const std::stop_token& stop);

// Reads every described block from the device's disk and holds it against the signed hash table; blocks that share a
// unit with something that is not on the disk any more are compared with the verified image. `readback.mismatch` names
// the place. `progress(bytes done, bytes due)`.
[[nodiscard]] core::Status read_back(VerifiedImage& image, const core::BlockSource& disk,
                                     const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                                     std::stop_token stop);

}  // namespace imprint::engine
