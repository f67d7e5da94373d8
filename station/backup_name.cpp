// SPDX-License-Identifier: GPL-3.0-or-later
// Names of backups.
#include "station/backup_name.hpp"

#include <string>

namespace imprint::station {

std::filesystem::path backup_name(const std::filesystem::path& folder, const std::filesystem::path& records_file,
                                  core::UtcTime now) {
  constexpr std::size_t kToTheSecond = 19;
  std::string time = core::to_iso8601(now).substr(0, kToTheSecond);
  std::erase_if(time, [](char sign) { return sign == '-' || sign == ':'; });
  return folder / (records_file.stem().native() + "-" + time + "Z.db");
}

}  // namespace imprint::station
