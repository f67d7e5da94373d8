// SPDX-License-Identifier: GPL-3.0-or-later
// Failures of recordings: those that cannot be read, and those that go another way when they are replayed.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::capture {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"capture.not-a-recording", "This is no recording of USB transfers",
     "Give a pcapng file of `imprint flash --capture` or of usbmon; editcap -F pcapng makes one of other captures.",
     core::FaultClass::image},
    {"capture.malformed", "The recording is damaged", "Get the file again from where it was written.",
     core::FaultClass::image},
    {"capture.file-exists", "The file for the recording is there already",
     "Name another file, or move that one away: a recording never takes the place of another.",
     core::FaultClass::station},
    {"capture.folder-not-ours", "The folder for recordings is a link, or another user's",
     "Move it away, or give it to the user that runs the station; a new one is made with the next recording.",
     core::FaultClass::station},
    {"capture.disk-too-slow", "The disk does not keep up with the recording, which ends there",
     "Name a file on a local disk that writes faster than all devices together; the devices were not held up.",
     core::FaultClass::station},
    {"capture.nothing-to-replay", "The recording holds no device that can be replayed",
     "Name a port that is in it, or record again from before the device is plugged in.", core::FaultClass::operator_},
    {"capture.replay-differs", "The job goes another way than the recorded one",
     "Look at the frame that is named, in Wireshark for one: either this program or the image has changed since.",
     core::FaultClass::image},
    {"capture.recording-ended", "The recording ends before the job does",
     "Nothing can be said of what comes after it; record the whole job with --capture to see that, too.",
     core::FaultClass::image},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::capture
