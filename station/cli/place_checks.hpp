// SPDX-License-Identifier: GPL-3.0-or-later
// What a station asks of the folders that its configuration names, and of what lies there.
#pragma once

#include "station/cli/health.hpp"
#include "station/cli/machine_checks.hpp"
#include "station/config/configuration.hpp"

namespace imprint::station::cli {

// folder.*, disk.*, trust.*, records.*, service.socket. Folders are the configuration's own, not below the machine's
// root; who should own them is the machine's station user, and where there is none, owners are not judged.
void check_places(const Machine& machine, const config::StationFile& station, HealthChecks& out);

}  // namespace imprint::station::cli
