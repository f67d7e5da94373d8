// SPDX-License-Identifier: GPL-3.0-or-later
// Why the daemon could not start, or serve.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::service {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"service.socket-failed", "The station's socket could not be made",
     "Check that its folder exists and belongs to the station, and that no other daemon uses the path.",
     core::FaultClass::station},
    {"service.socket-in-use", "Another station daemon answers on this socket",
     "Stop the other one (systemctl status imprintd), or give this one a socket of its own.",
     core::FaultClass::operator_},
    {"service.key-unusable", "The station's key cannot be used",
     "Make one with imprint station setup, and keep it readable for the station alone.", core::FaultClass::station},
    {"service.stop-late", "Jobs did not end in the time that a stop has",
     "Look at the slots named in the journal; their attempts are closed as interrupted at the next start.",
     core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::service
