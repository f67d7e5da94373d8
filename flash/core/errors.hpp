// SPDX-License-Identifier: GPL-3.0-or-later
// Failures of the machine underneath: files, processes, waits, and files that end too early.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "flash/core/result.hpp"

namespace imprint::core {

inline constexpr auto kErrorRows = std::to_array<ErrorRow>({
    {"io.not-found", "The file or folder is not there", "Check the path and its spelling.", FaultClass::station},
    {"io.permission", "Access was denied", "Run as a user who may read and write there, or mend the permissions.",
     FaultClass::station},
    {"io.disk-full", "The disk is full", "Free space on that file system, then run it again.", FaultClass::station},
    {"io.open-failed", "The file could not be opened", "Check that the path names a readable file.",
     FaultClass::station},
    {"io.read-failed", "Reading failed", "Check the medium and the system log for disk errors.", FaultClass::station},
    {"io.write-failed", "Writing failed", "Check the medium and the system log for disk errors.", FaultClass::station},
    {"io.out-of-range", "An access lies outside of the disk or file",
     "The structure that pointed there is damaged; get the file again from its source.", FaultClass::image},
    {"io.out-of-memory", "This machine is out of memory", "Close other programs, or give the machine more memory.",
     FaultClass::station},
    {"format.truncated", "The data ends before the structure does",
     "The file is cut off or damaged; get it again from its source.", FaultClass::image},
    {"process.not-found", "A program that is needed is not installed",
     "Run ./run deps, or install the package that is named.", FaultClass::station},
    {"process.failed", "A program that was called failed",
     "Read its output below; the same command can be run by hand.", FaultClass::station},
    {"process.timed-out", "A program that was called did not finish in time",
     "Check the load of this machine and its disk, then run it again.", FaultClass::station},
    {"job.cancelled", "The job was cancelled", "Start it again when you are ready.", FaultClass::operator_},
    {"job.deadline", "A wait ran into its deadline", "See what it waited for; check the device and its cable.",
     FaultClass::station},
});

using ErrorId = RowRef<kErrorRows>;
[[nodiscard]] inline Failure fail(ErrorId id, std::string detail = {}) {
  return Failure(Error(id.row(), std::move(detail)));
}

// The row that fits errno (not there, no permission, disk full, or `otherwise`), with the system's own words as detail.
[[nodiscard]] Failure fail_errno(int error_number, ErrorId otherwise, std::string_view what);

}  // namespace imprint::core
