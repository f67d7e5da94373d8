// SPDX-License-Identifier: GPL-3.0-or-later
// The integrator's two commands: `imprint station setup` makes a station of a bare Debian, and `imprint station doctor`
// says what is not yet right with it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "station/cli/console.hpp"
#include "station/cli/station_client.hpp"

namespace imprint::station::cli {

struct DoctorOptions {
  std::vector<std::filesystem::path> folders;   // the usual ones where none is given
  std::optional<std::filesystem::path> socket;  // station.toml's otherwise
  bool json = false;
};
// Changes nothing. 1 where something failed or could not be looked at.
ExitStatus station_doctor(const DoctorOptions& options);

struct SetupOptions {
  std::string id;     // asked for at the terminal where it is needed and not given
  std::string first;  // name of the first engineer; asked for likewise
  std::optional<std::filesystem::path> pin_file;
  std::filesystem::path root = "/";  // of a system that does not run: nothing is started there
  bool training = false;
  bool dry_run = false;
};
// Does what was not done yet, and says of each step whether it was there already, was done, or was left out. 1 where a
// step was left out or failed, 4 where this user may not.
ExitStatus station_setup(const SetupOptions& options);

}  // namespace imprint::station::cli
