// SPDX-License-Identifier: GPL-3.0-or-later
// Why a job was not taken, or how the process of one ended.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station::jobs {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"job.queue-full", "As many jobs wait as the station takes",
     "Wait until one has ended, or cancel one that nobody needs; [jobs] in station.toml says how many may wait.",
     core::FaultClass::operator_},
    {"job.unknown", "There is no such job", "See imprint station jobs list.", core::FaultClass::operator_},
    {"job.ended", "The job has ended already", "Its result is shown by imprint station jobs show.",
     core::FaultClass::operator_},
    {"job.stopping", "The station is being stopped and takes no job", "Ask again when it runs.",
     core::FaultClass::station},
    {"job.interrupted", "The station stopped while this job was waiting or running", "Start the job again.",
     core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station::jobs
