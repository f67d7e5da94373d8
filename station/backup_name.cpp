// SPDX-License-Identifier: GPL-3.0-or-later
// Names of backups.
#include "station/backup_name.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace imprint::station {

std::filesystem::path backup_name(const std::filesystem::path& folder, const std::filesystem::path& records_file,
                                  core::UtcTime now, BackupKind kind) {
  constexpr std::size_t kToTheSecond = 19;
  std::string time = core::to_iso8601(now).substr(0, kToTheSecond);
  std::erase_if(time, [](char sign) { return sign == '-' || sign == ':'; });
  const char* end = kind == BackupKind::by_hand ? "Z-manual.db" : "Z.db";
  return folder / (records_file.stem().native() + "-" + time + end);
}

bool is_own_backup(const std::filesystem::path& file, const std::filesystem::path& records_file) {
  constexpr std::string_view kForm = "00000000T000000Z.db";
  const std::string start = records_file.stem().native() + "-";
  const std::string name = file.filename().native();
  if (!name.starts_with(start)) return false;
  std::string rest = name.substr(start.size());
  std::ranges::replace_if(rest, [](char sign) { return sign >= '0' && sign <= '9'; }, '0');
  return rest == kForm;
}

}  // namespace imprint::station
