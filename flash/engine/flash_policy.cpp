// SPDX-License-Identifier: GPL-3.0-or-later
// The words of the policy's choices.
#include "flash/engine/flash_policy.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace imprint::engine {
namespace {

template <class Choice>
std::optional<Choice> find_by_word(std::initializer_list<Choice> choices, std::string_view text) {
  for (const Choice one : choices) {
    if (to_string(one) == text) return one;
  }
  return std::nullopt;
}

}  // namespace

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

std::string_view to_string(WriteMode mode) { return mode == WriteMode::differing ? "differing" : "everything"; }

std::string_view to_string(Erasure erasure) {
  switch (erasure) {
    case Erasure::none:
      return "none";
    case Erasure::discard:
      return "discard";
    case Erasure::secure_discard:
      return "secure-discard";
    case Erasure::zero:
      return "zero";
    case Erasure::verified:
      return "verified";
  }
  return "none";
}

std::string_view to_string(AfterPass after) {
  switch (after) {
    case AfterPass::nothing:
      return "nothing";
    case AfterPass::reboot:
      return "reboot";
    case AfterPass::power_off:
      return "power-off";
    case AfterPass::mass_storage:
      return "mass-storage";
  }
  return "nothing";
}

bool Retries::is_worth_one(const core::Error& error) const {
  return std::ranges::find(worth, error.id()) != worth.end() && may_be_mended_by_retry(error.id());
}

bool may_be_mended_by_retry(std::string_view error_id) {
  static constexpr auto kMendable = std::to_array<std::string_view>({
      "device.busy",
      "device.confirmation-missing",
      "device.disconnected",
      "device.disk-write-failed",
      "device.flash-failed",
      "device.not-present",
      "device.packet-not-accepted",
      "device.protocol-violation",
      "device.reset-refused",
      "device.stalled",
      "device.timed-out",
      "device.too-slow",
      "device.transfer-failed",
      "erase.not-zero",
      "io.read-failed",
      "io.write-failed",
      "readback.mismatch",
  });
  return std::ranges::find(kMendable, error_id) != kMendable.end();
}

FlashPolicy for_rework(FlashPolicy policy) {
  const bool is_weaker = policy.erasure == Erasure::none || policy.erasure == Erasure::discard;
  // Zeros that are proved are not given up for a disk's word.
  const bool wants_more = policy.erasure == Erasure::zero && policy.rework_erasure == Erasure::secure_discard;
  if (is_weaker || wants_more) policy.erasure = policy.rework_erasure;
  return policy;
}

std::optional<FlashPolicy::ReadBack> parse_read_back(std::string_view text) {
  using enum FlashPolicy::ReadBack;
  return find_by_word({required, where_possible, off}, text);
}

std::optional<WriteMode> parse_write_mode(std::string_view text) {
  return find_by_word({WriteMode::everything, WriteMode::differing}, text);
}

std::optional<Erasure> parse_erasure(std::string_view text) {
  using enum Erasure;
  return find_by_word({none, discard, secure_discard, zero, verified}, text);
}

std::optional<AfterPass> parse_after_pass(std::string_view text) {
  using enum AfterPass;
  return find_by_word({nothing, reboot, power_off, mass_storage}, text);
}

}  // namespace imprint::engine
