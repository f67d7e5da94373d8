// SPDX-License-Identifier: GPL-3.0-or-later
// Why the station's API did not do what a client asked for.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::api {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"api.parse-error", "The request is not a JSON object on one line",
     "Send one JSON-RPC 2.0 object a line, in UTF-8; docs/api.md has examples.", core::FaultClass::operator_},
    {"api.invalid-request", "The request does not follow JSON-RPC 2.0",
     "Send jsonrpc, method, params as an object, and id as a number or a string; batches are not taken.",
     core::FaultClass::operator_},
    {"api.method-unknown", "The station knows no such method",
     "See docs/api.md; a client of another version may ask for what this station does not have.",
     core::FaultClass::operator_},
    {"api.params-invalid", "A parameter is missing, unknown or of the wrong kind",
     "See the method's parameters in docs/api.md.", core::FaultClass::operator_},
    {"api.request-too-large", "The request is longer than the station takes",
     "Send less in one request; a line has at most 1 MiB.", core::FaultClass::operator_},
    {"api.too-many-clients", "As many clients are connected as the station takes",
     "Close clients that nobody uses, then connect again.", core::FaultClass::station},
    {"api.not-running", "No station daemon answers here",
     "Start it (systemctl start imprintd), or name its socket with --socket.", core::FaultClass::station},
    {"api.connection-lost", "The station daemon ended the connection before it answered",
     "Look at its journal (journalctl -u imprintd), then ask again; what was asked for may have been done.",
     core::FaultClass::station},
    {"api.answer-invalid", "What came from the socket is not an answer of the station",
     "Check that --socket names the station's socket, and that client and station are of one version.",
     core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::api
