// SPDX-License-Identifier: GPL-3.0-or-later
// The steps between a device and the belief that it is right: does it fit, write, read back. The station puts them in
// order, records them, and adds its own (admission of the operator, rules).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"
#include "flash/engine/flash_policy.hpp"
#include "flash/engine/phase_meter.hpp"
#include "flash/engine/target.hpp"
#include "flash/engine/verified_image.hpp"
#include "flash/engine/write_plan.hpp"
#include "flash/ffu/disk_map.hpp"

namespace imprint::engine {

// May this image go onto this device? `device.platform-mismatch`, `device.disk-too-small`,
// `device.sector-size-mismatch`, `device.disk-unknown`, `image.several-stores`, `image.compressed`,
// `image.partial-update`, `image.describes-nothing`. Asked before
// a byte of the image is sent (a bare disk takes any platform's image, and compressed ones); the answer is what the
// device's disk will hold.
[[nodiscard]] core::Result<ffu::DiskMap> check_fit(const ffu::Image& image, const DeviceIdentity& identity);

// The same, with the plan that all slots with disks of this size share. `layout.gpt-damaged` where the policy asks for
// a table that is fitted to a larger disk and there is none to be fitted.
[[nodiscard]] core::Result<std::shared_ptr<const WritePlan>> plan_for(VerifiedImage& image,
                                                                      const DeviceIdentity& identity,
                                                                      const FlashPolicy& policy);

// How many bytes write_image() will tell its observer of: of the file, or of the disk with what is zeroed there.
[[nodiscard]] std::uint64_t bytes_due(Target& target, const VerifiedImage& image, const WritePlan& plan,
                                      const FlashPolicy& policy);

// A part of a write, with its own time: what the image leaves out was erased; the tables that were fitted to the disk
// were written, at its end; a try that failed, after which it was begun again.
struct WritePart {
  enum class Kind : std::uint8_t { erase, gpt_refit, failed_try } kind = Kind::erase;
  std::chrono::steady_clock::time_point began{};
  std::chrono::steady_clock::duration took{0};
  std::uint64_t bytes = 0;             // that it moved or erased
  std::optional<core::Error> error{};  // what ended it
};

// What a write did, for its record; also when it failed.
struct WriteOutcome {
  std::uint64_t written = 0;       // bytes that the device was given
  std::uint64_t skipped = 0;       // bytes that it held already
  std::uint64_t erased = 0;        // bytes that the image leaves out
  unsigned tries = 1;              // how often it was begun
  std::vector<std::string> notes;  // in plain words
  std::vector<WritePart> parts;    // of all tries, in the order in which they ended
};
// Puts the image onto the device: the file as it is for a device that applies it itself, the writes for a disk. `plan`
// is plan_for()'s answer. Good only when the device confirmed, or the disk flushed, and the image's file is still what
// it was (`image.changed`). Begins again as the policy's retries say. `meter` counts along.
[[nodiscard]] core::Status write_image(Target& target, VerifiedImage& image, const WritePlan& plan,
                                       const FlashPolicy& policy, TransferObserver& observer, PhaseMeter& meter,
                                       const std::stop_token& stop, WriteOutcome& outcome);

// Called with bytes done and bytes due.
using ReadProgress = std::function<void(std::uint64_t, std::uint64_t)>;

// How many bytes read_back() will read.
[[nodiscard]] std::uint64_t read_back_due(const WritePlan& plan, const FlashPolicy& policy);
// Reads every described block from the device's disk and holds it against the signed hash table; blocks that share a
// unit with something that is not on the disk any more are compared with the verified image, and what the plan replaces
// with the plan. With Erasure::verified also what the image leaves out, which has to be zeros (`erase.not-zero`).
// `readback.mismatch` names the place.
[[nodiscard]] core::Status read_back(VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy,
                                     QueuedDisk& disk, const ReadProgress& progress, PhaseMeter& meter,
                                     const std::stop_token& stop);
// The described blocks alone, from any source.
[[nodiscard]] core::Status read_back(VerifiedImage& image, const core::BlockSource& disk, const ReadProgress& progress,
                                     std::stop_token stop);

// What the policy wants done with a device that passed. `device.after-pass-unsupported`.
[[nodiscard]] core::Status finish_device(Target& target, AfterPass after);

}  // namespace imprint::engine
