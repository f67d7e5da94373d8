// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of `imprint station` that need no daemon, free of how the command line is parsed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "station/cli/console.hpp"

namespace imprint::station::cli {

struct StationCheckOptions {
  std::vector<std::filesystem::path> folders;  // the usual ones where none is given
  bool json = false;
};
ExitStatus station_check(const StationCheckOptions& options);

inline constexpr const char* kUsualStore = "/var/lib/imprint/images";

struct ImagesOptions {
  std::filesystem::path store = kUsualStore;
  bool json = false;
};
struct AdmitOptions {
  ImagesOptions images;
  std::filesystem::path file;
  std::string policy = "retail";
  std::filesystem::path trust = "/etc/imprint/trust";
};
ExitStatus images_admit(const AdmitOptions& options);
ExitStatus images_list(const ImagesOptions& options);
// Of one image, by its digest or the first digits of it.
struct ImageChangeOptions {
  ImagesOptions images;
  std::string digest;
  std::string reason;
};
ExitStatus images_withdraw(const ImageChangeOptions& options);
ExitStatus images_reinstate(const ImageChangeOptions& options);
ExitStatus images_remove(const ImageChangeOptions& options);

}  // namespace imprint::station::cli
