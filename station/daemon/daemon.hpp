// SPDX-License-Identifier: GPL-3.0-or-later
// imprintd: puts the station together from its configuration, and runs it until it is told to stop.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::daemon {

struct DaemonOptions {
  std::vector<std::filesystem::path> config;  // folders; the usual ones where there are none
  bool training = false;                      // simulated devices, whatever station.toml says
  std::filesystem::path socket;               // instead of station.toml's
  std::string vfs;                            // SQLite's, for the records; tests break the disk through it
};

// Returns when the station was stopped, by SIGTERM, SIGINT or station.stop; SIGHUP reloads products and slots. What
// keeps it from starting is the error: `config.*`, `records.*`, `service.*`, `device.usb-unavailable`, `io.*`.
[[nodiscard]] core::Status run_daemon(const DaemonOptions& options);

}  // namespace imprint::daemon
