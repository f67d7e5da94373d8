// SPDX-License-Identifier: GPL-3.0-or-later
// Names and texts of the rows.
#include "station/attempt_rows.hpp"

#include <fmt/format.h>

#include <chrono>
#include <exception>

#include "station/version.hpp"

namespace imprint::station {
namespace {

using std::chrono::milliseconds;

const char* name_of(engine::WritePart::Kind kind) {
  switch (kind) {
    case engine::WritePart::Kind::erase:
      return "erase";
    case engine::WritePart::Kind::gpt_refit:
      return "gpt-refit";
    case engine::WritePart::Kind::failed_try:
      break;
  }
  return "write";
}

}  // namespace

db::NewAttempt opening_of(const AttemptContext& context, const std::string& slot, const devices::PortPath& port) {
  db::NewAttempt attempt;
  attempt.product = context.recipe.product;
  attempt.slot = slot;
  attempt.port_path = port.text;
  attempt.image_sha256 = context.image.image->identity();
  if (context.image.decision.signer) attempt.image_signer = context.image.decision.signer->subject;
  attempt.policy = trust::to_string(context.recipe.policy);
  attempt.recipe_digest = context.recipe.digest();
  attempt.trust_digest = context.image.trust_digest;
  attempt.program_version = kVersion;
  attempt.training = context.training;
  if (context.rules != nullptr) context.rules->describe(attempt);
  return attempt;
}

db::UnitIdentity row_of(const UnitClaim& unit, const engine::DeviceIdentity& device, const std::string& reason) {
  db::UnitIdentity row;
  row.serial = unit.serial;
  row.device_unique_id = device.unique_id;
  row.platform_id = device.platform_id;
  row.protocol = device.protocol;
  row.device_serial = device.serial;
  row.mac = unit.mac;
  row.manual_serial = unit.manual_serial;
  row.reason = reason;
  return row;
}

db::FindingRow row_of(const inspect::Finding& finding) {
  return {finding.check,
          std::string(inspect::to_string(finding.verdict)),
          std::string(inspect::to_string(finding.severity)),
          finding.expected,
          finding.actual,
          finding.message};
}

std::optional<db::FindingRow> gpt_finding(const engine::WritePlan& plan) {
  if (!plan.gpt()) return std::nullopt;
  const engine::MisplacedBackup& gpt = *plan.gpt();
  return db::FindingRow{.check = "layout.gpt-backup-position",
                        .verdict = gpt.is_fitted ? "pass" : "fail",
                        .severity = "warning",
                        .expected = fmt::format("sector {}", gpt.last),
                        .actual = fmt::format("sector {}", gpt.is_fitted ? gpt.last : gpt.in_image),
                        .message = plan.warnings().empty() ? "" : plan.warnings().front()};
}

db::FindingRow left_to_device_finding(const std::string& protocol, engine::Erasure wanted) {
  return {.check = "erase.left-to-device",
          .verdict = "not-checked",
          .severity = "warning",
          .expected = fmt::format("{} of what the image leaves out", engine::to_string(wanted)),
          .actual = "up to the device",
          .message = fmt::format("by {} the device applies the image itself: the station erased nothing", protocol)};
}

db::Step row_of(const engine::WritePart& part, core::UtcTime started, std::chrono::steady_clock::time_point began) {
  db::Step row;
  row.name = name_of(part.kind);
  row.ok = !part.error;
  row.started = started + std::chrono::round<milliseconds>(part.began - began);
  row.duration = std::chrono::round<milliseconds>(part.took);
  row.bytes = part.bytes;
  if (part.error) {
    row.error_id = part.error->id();
    row.detail = part.error->message();
  }
  return row;
}

db::StepWaits waits_of(const engine::Starvation& waited) {
  return {std::chrono::round<milliseconds>(waited.source), std::chrono::round<milliseconds>(waited.hash),
          std::chrono::round<milliseconds>(waited.device)};
}

std::optional<std::filesystem::path> finish_recording(const AttemptContext& context, const devices::PortPath& port,
                                                      const AttemptResult& result) noexcept {
  if (context.recorder == nullptr) return std::nullopt;
  try {
    capture::Outcome outcome;
    outcome.verdict = db::to_string(result.verdict);
    if (result.error) outcome.error = result.error->id();
    outcome.proof = db::to_string(result.proof);
    outcome.attempt = std::to_string(*result.id);
    outcome.slot = result.slot;
    outcome.serial = result.serial;
    outcome.read_back = engine::to_string(context.recipe.flash.read_back);
    outcome.image = context.image.image->identity();
    outcome.reboot = context.recipe.flash.after_pass == engine::AfterPass::reboot;
    return context.recorder->finish(port, outcome);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace imprint::station
