// SPDX-License-Identifier: GPL-3.0-or-later
// A report as JSON: {"source", "verdict", "findings": [{"check", "verdict", "severity", "expected", "actual",
// "message", "remedy"}]}, one finding a line. Always valid JSON in valid UTF-8, whatever the disk's names hold.
#pragma once

#include <string>

#include "flash/inspect/finding.hpp"

namespace imprint::inspect {

[[nodiscard]] std::string to_json(const Report& report);

}  // namespace imprint::inspect
