// SPDX-License-Identifier: GPL-3.0-or-later
// What the engine and the rules say of an attempt, as the records' rows.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "db/records.hpp"
#include "flash/engine/flash_device.hpp"
#include "flash/inspect/finding.hpp"
#include "station/attempt.hpp"

namespace imprint::station {

// The attempt's first row: everything that is known before the device is asked.
[[nodiscard]] db::NewAttempt opening_of(const AttemptContext& context, const std::string& slot,
                                        const devices::PortPath& port);
[[nodiscard]] db::UnitIdentity row_of(const UnitClaim& unit, const engine::DeviceIdentity& device,
                                      const std::string& reason);
[[nodiscard]] db::FindingRow row_of(const inspect::Finding& finding);
// Where the plan's GPT has its backup on a disk that is larger than the image was made for; nothing where it fits.
[[nodiscard]] std::optional<db::FindingRow> gpt_finding(const engine::WritePlan& plan);
// A used device that applies the image itself: nobody can say what it keeps of its old data.
[[nodiscard]] db::FindingRow left_to_device_finding(const std::string& protocol, engine::Erasure wanted);
// `started`: of the step that it is a part of, which began at `began`.
[[nodiscard]] db::Step row_of(const engine::WritePart& part, core::UtcTime started,
                              std::chrono::steady_clock::time_point began);
[[nodiscard]] db::StepWaits waits_of(const engine::Starvation& waited);

// Ends the recording of the attempt's transfers, with all that a replay has to know of what was asked for. Where it was
// kept; nothing where there is none, also for want of memory: what the attempt came to is in the records, and stays.
[[nodiscard]] std::optional<std::filesystem::path> finish_recording(const AttemptContext& context,
                                                                    const devices::PortPath& port,
                                                                    const AttemptResult& result) noexcept;

}  // namespace imprint::station
