// SPDX-License-Identifier: GPL-3.0-or-later
// What a recipe may ask of the engine, as plain values. Each choice has one word, by which recipes and records name it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/core/result.hpp"
#include "flash/engine/pace.hpp"

namespace imprint::engine {

// What is written to a disk. `differing`: each piece is read first, and written only where it holds something else than
// is due. Partition tables are always written. A device that applies an image itself takes all of it.
enum class WriteMode : std::uint8_t { everything, differing };

// What happens to the bytes of a disk that the image leaves out, but for the places of partition tables, which are
// always wiped. Discarding is a hint: the disk may read as before. A disk without secure discard is refused, not
// discarded instead. `verified`: zeroed, and then read back as zeros.
enum class Erasure : std::uint8_t { none, discard, secure_discard, zero, verified };

// What is done with the device once its PASS is in the records.
enum class AfterPass : std::uint8_t { nothing, reboot, power_off, mass_storage };

// "everything", "differing"; "none", "discard", "secure-discard", "zero", "verified"; "nothing", "reboot", "power-off",
// "mass-storage".
[[nodiscard]] std::string_view to_string(WriteMode mode);
[[nodiscard]] std::string_view to_string(Erasure erasure);
[[nodiscard]] std::string_view to_string(AfterPass after);
[[nodiscard]] std::optional<WriteMode> parse_write_mode(std::string_view text);
[[nodiscard]] std::optional<Erasure> parse_erasure(std::string_view text);
[[nodiscard]] std::optional<AfterPass> parse_after_pass(std::string_view text);

// How often what failed is begun again, and after which errors: a write from its first byte; the station asks for the
// other phases, too.
struct Retries {
  unsigned times = 0;
  std::vector<std::string> worth = {"device.transfer-failed", "device.timed-out", "device.stalled"};  // error ids
  [[nodiscard]] bool is_worth_one(const core::Error& error) const;
};
// Whether beginning again could ever mend this error. Not so where the image, the operator or the choice of the device
// is at fault, after a device has left for good, and once somebody or a deadline ended the job.
[[nodiscard]] bool may_be_mended_by_retry(std::string_view error_id);

// How long each phase of an attempt may take at most. Calls to the device have shorter deadlines of their own.
struct PhaseLimits {
  static constexpr std::chrono::milliseconds kQuestions = std::chrono::minutes(1);  // a few short commands
  static constexpr std::chrono::milliseconds kTransfer = std::chrono::hours(4);     // a large image over USB 2
  static constexpr std::chrono::milliseconds kInspection = std::chrono::minutes(10);
  static constexpr std::chrono::milliseconds kConfirmation = std::chrono::minutes(5);  // it may still be writing

  std::chrono::milliseconds identify = kQuestions;
  std::chrono::milliseconds admit = kQuestions;
  std::chrono::milliseconds write = kTransfer;        // with erasing and with the confirmation
  std::chrono::milliseconds confirm = kConfirmation;  // of it, from the last byte on
  std::chrono::milliseconds read_back = kTransfer;
  std::chrono::milliseconds inspect = kInspection;
  std::chrono::milliseconds finish = kQuestions;
};

// What the recipe wants of the engine.
struct FlashPolicy {
  // Every described block hashed from the device. `where_possible`: not from a device whose protocol has no way to read
  // its disk; whoever can be read is held to it.
  enum class ReadBack : std::uint8_t { required, where_possible, off };
  ReadBack read_back = ReadBack::required;
  LeastPace least_pace;  // of writing and of reading back, each
  WriteMode write_mode = WriteMode::everything;
  Erasure erasure = Erasure::none;
  // What for_rework() makes of that: zero or secure_discard.
  Erasure rework_erasure = Erasure::zero;
  // On a disk that is larger than the image was made for: the GPT's backup moves to the disk's end. Else it stays where
  // the image has it, with a warning. Bare disks only.
  bool refit_gpt = false;
  Retries retries;
  PhaseLimits limits;
  AfterPass after_pass = AfterPass::nothing;
};
// For a disk that holds somebody's data already: what the image leaves out is erased, at least as `rework_erasure`
// says.
[[nodiscard]] FlashPolicy for_rework(FlashPolicy policy);
// "required", "where-possible", "off".
[[nodiscard]] std::string_view to_string(FlashPolicy::ReadBack read_back);
[[nodiscard]] std::optional<FlashPolicy::ReadBack> parse_read_back(std::string_view text);

}  // namespace imprint::engine
