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
    {"job.must-wait", "Another job of its kind waits or runs, and by the time of its turn it would mean something else",
     "Ask again when that one has ended; imprint station jobs list shows it.", core::FaultClass::operator_},
    {"job.unknown", "There is no such job", "See imprint station jobs list.", core::FaultClass::operator_},
    {"job.ended", "The job has ended already", "Its result is shown by imprint station jobs show.",
     core::FaultClass::operator_},
    {"job.stopping", "The station is being stopped and takes no job", "Ask again when it runs.",
     core::FaultClass::station},
    {"job.process-unstartable", "The process of a job could not be started",
     "Check that imprint lies beside imprintd, and that the jobs' folder can be written to.",
     core::FaultClass::station},
    {"job.process-failed", "The process of a job ended with a failure", "See its last words.",
     core::FaultClass::station},
    {"job.process-died", "The process of a job was ended by a signal",
     "See which limit it may have run into; what it worked on may be hostile.", core::FaultClass::station},
    {"job.out-of-time", "The job took longer than it may", "Look at what it worked on; [jobs] has the limit.",
     core::FaultClass::station},
    {"job.output-too-large", "The job said or wrote more than it may",
     "Look at what it worked on; [jobs] has the limits.", core::FaultClass::station},
    {"job.disk-reserve", "The disk has less room left than jobs leave to the station",
     "Make room on the file system of the jobs' folder: images, backups or results that nobody needs; [jobs] "
     "disk-reserve "
     "in station.toml has how much stays free.",
     core::FaultClass::station},
    {"job.progress-malformed", "The process of a job told its progress in a way that the program never does",
     "Do not trust what it worked on; tell the engineer.", core::FaultClass::station},
    {"job.result-malformed", "What the process of a job came to is no result",
     "Do not trust what it worked on; tell the engineer.", core::FaultClass::station},
    {"job.input-not-allowed", "The station does not give this file to its jobs",
     "Admit the image to the store, or put the file into a folder that [jobs] folders names.",
     core::FaultClass::operator_},
    {"job.interrupted", "The station stopped while this job was waiting or running", "Start the job again.",
     core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station::jobs
