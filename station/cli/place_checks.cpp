// SPDX-License-Identifier: GPL-3.0-or-later
// Looks at owners, modes, free space and ages; reads no record and no key.
#include "station/cli/place_checks.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "flash/core/text.hpp"
#include "flash/trust/pkcs11_uri.hpp"
#include "flash/trust/policy.hpp"
#include "station/backup_name.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
using config::StationFile;

constexpr std::uint64_t kMib = 1U << 20;
constexpr const char* kAsRoot = "Run this as root.";
constexpr const char* kSetUp = "Run imprint station setup, which makes it.";

HealthCheck unreadable(std::string id, const fs::path& path, int error) {
  if (error == EACCES || error == EPERM)
    return {std::move(id), Health::not_checked, path.native() + ": this user may not look there", kAsRoot};
  return {std::move(id), Health::fail, path.native() + ": " + std::strerror(error), kSetUp};
}

struct Owner {
  std::optional<Account> station;  // nothing: there is no such user, so owners are not judged
};

// `for_others`: bits of the mode that the folder must not have.
void check_folder(const std::string& id, const fs::path& folder, const Owner& owner, mode_t for_others,
                  HealthChecks& out) {
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0) {
    out.push_back(unreadable(id, folder, errno));
    return;
  }
  const std::string found = fmt::format("{}, mode {:04o}", folder.native(), status.st_mode & 07777U);
  if (!S_ISDIR(status.st_mode)) {
    out.push_back({id, Health::fail, folder.native() + " is no folder", "Mend the path in station.toml."});
  } else if (owner.station && status.st_uid != owner.station->uid) {
    out.push_back({id, Health::fail, fmt::format("{}, of user {}", found, status.st_uid),
                   fmt::format("chown -R {0}:{0} {1}", kStationUser, folder.native())});
  } else if ((status.st_mode & 0700U) != 0700U || (status.st_mode & for_others) != 0) {
    out.push_back({id, Health::fail, found,
                   fmt::format("chmod {:04o} {}", ((status.st_mode & 07777U) & ~for_others) | 0700U, folder.native())});
  } else {
    out.push_back({id, Health::ok, found, {}});
  }
}

// What decides what is flashed is root's: the daemon does not write its own orders, and nobody else does.
void check_config_files(const std::vector<fs::path>& files, const Owner& owner, HealthChecks& out) {
  for (const fs::path& file : files) {
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) {
      out.push_back(unreadable("folder.config", file, errno));
      return;
    }
    const bool is_writable = (status.st_mode & 022U) != 0 || (owner.station && status.st_uid == owner.station->uid);
    if (is_writable) {
      out.push_back({"folder.config", Health::fail,
                     fmt::format("{}: mode {:04o}, of user {}", file.native(), status.st_mode & 07777U, status.st_uid),
                     fmt::format("chown root {0} && chmod go-w {0}", file.native())});
      return;
    }
  }
  out.push_back({"folder.config", Health::ok, fmt::format("{} files, none to be written by others", files.size()), {}});
}

void check_space(const std::string& id, const fs::path& folder, std::uint64_t least_mib, std::uint64_t usual_mib,
                 HealthChecks& out) {
  struct statvfs space{};
  if (::statvfs(folder.c_str(), &space) != 0) {
    out.push_back(unreadable(id, folder, errno));
    return;
  }
  const std::uint64_t free_mib = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize / kMib;
  const std::string found = fmt::format("{} MiB free at {}", free_mib, folder.native());
  const std::string remedy =
      fmt::format("Make room there, {} MiB or more, or name another folder in station.toml.", usual_mib);
  if ((space.f_flag & ST_RDONLY) != 0) {
    out.push_back(
        {id, Health::fail, folder.native() + " can only be read", "Mount it for writing; dmesg says why it is not."});
  } else if (free_mib < least_mib) {
    out.push_back({id, Health::fail, found, remedy});
  } else if (free_mib < usual_mib) {
    out.push_back({id, Health::warn, found, remedy});
  } else {
    out.push_back({id, Health::ok, found, {}});
  }
}

void check_trust(const StationFile& station, HealthChecks& out) {
  if (station.policy == trust::Policy::none) {
    out.push_back({"trust.folder", Health::warn, "policy none: whoever made an image, it is flashed",
                   "Write policy = \"retail\" in station.toml, and put the signers' roots into " +
                       (station.trust / "production").native() + "."});
    return;
  }
  const auto loaded = trust::TrustStore::load(station.trust);
  if (!loaded) {
    out.push_back({"trust.folder", Health::fail, loaded.error().message(), std::string(loaded.error().row().remedy)});
    return;
  }
  const fs::path roots = station.policy == trust::Policy::retail ? station.trust / "production" : station.trust;
  std::size_t count = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(roots, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".pem" && at->path().parent_path().filename() != "crl") ++count;
  if (count == 0) {
    out.push_back({"trust.folder", Health::fail, "no root below " + roots.native() + ", so no image is accepted",
                   "Put the root certificates of who signs your images there, as *.pem."});
  } else {
    out.push_back({"trust.folder", Health::ok, fmt::format("{} files of roots below {}", count, roots.native()), {}});
  }
}

void check_key(const StationFile& station, const Owner& owner, HealthChecks& out) {
  const auto uri = trust::is_pkcs11_uri(station.key) ? trust::Pkcs11Uri::parse(station.key) : trust::Pkcs11Uri();
  const bool on_token = trust::is_pkcs11_uri(station.key);
  // Of a key on a token it is the PIN that lies in a file; whether the token is there, the daemon knows.
  const fs::path usual = station.key.empty() ? station.records / "station.key" : fs::path(station.key);
  const fs::path file = on_token && uri ? uri->pin_source.value_or(fs::path()) : usual;
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) {
    auto check = unreadable("records.key", file, errno);
    if (check.health == Health::fail && station.key.empty())
      check = {"records.key", Health::warn, "the station has no key, so heads of its records are not signed",
               "Run imprint station setup, which makes one."};
    out.push_back(std::move(check));
  } else if ((status.st_mode & 077U) != 0 || (owner.station && status.st_uid != owner.station->uid)) {
    out.push_back({"records.key", Health::fail,
                   fmt::format("{}: mode {:04o}, of user {}", file.native(), status.st_mode & 07777U, status.st_uid),
                   fmt::format("chown {0}:{0} {1} && chmod 600 {1}; others may have a copy of it, so think of a new "
                               "one.",
                               kStationUser, file.native())});
  } else {
    out.push_back({"records.key",
                   Health::ok,
                   (on_token ? "on a token, its PIN in " : "") + file.native() + ", for the station alone",
                   {}});
  }
}

// The time in the names of backups, as backup_name() writes it: 20261121T102030Z.
std::optional<core::UtcTime> time_in_name(const std::string& name, const std::string& start) {
  constexpr std::string_view kForm = "dddddddd'dddddd'.db";
  if (!name.starts_with(start) || name.size() != start.size() + kForm.size()) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t count) {
    int value = -1;
    const char* const first = name.data() + start.size() + at;
    const auto [stop, code] = std::from_chars(first, first + count, value);
    return code == std::errc() && stop == first + count ? value : -1;
  };
  const std::chrono::year_month_day day{std::chrono::year{number(0, 4)},
                                        std::chrono::month(static_cast<unsigned>(number(4, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(6, 2)))};
  const int hour = number(9, 2);
  const int minute = number(11, 2);
  const int second = number(13, 2);
  if (!day.ok() || hour < 0 || minute < 0 || second < 0) return std::nullopt;
  return core::UtcTime(std::chrono::sys_days(day)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

void check_backup(const Machine& machine, const StationFile& station, HealthChecks& out) {
  const std::string start = station.training ? "training-" : "station-";
  std::error_code error;
  std::optional<core::UtcTime> newest;
  for (fs::directory_iterator at(station.backups, error), end; !error && at != end; at.increment(error)) {
    const auto time = time_in_name(at->path().filename().native(), start);
    if (time && (!newest || *time > *newest)) newest = time;
  }
  if (error) {
    out.push_back(unreadable("records.backup", station.backups, error.value()));
  } else if (station.backup_hours == 0) {
    out.push_back({"records.backup", Health::warn, "backup-hours is 0: the station makes none by itself",
                   "Write backup-hours = 24 in station.toml, or see to it that imprint station backup is run."});
  } else if (!newest) {
    out.push_back({"records.backup", Health::warn, "there is none yet in " + station.backups.native(),
                   "The daemon makes the first when it has started; imprint station backup makes one now."});
  } else {
    const auto age = std::chrono::floor<std::chrono::hours>(machine.now - *newest).count();
    const bool is_old = age > 2L * station.backup_hours;
    out.push_back({"records.backup", is_old ? Health::fail : Health::ok,
                   fmt::format("the newest is of {}", core::to_iso8601(*newest)),
                   is_old ? "See the journal (journalctl -u imprintd -p err) for why no newer one was made." : ""});
  }
}

void check_socket(const Machine& machine, const StationFile& station, HealthChecks& out) {
  struct stat status{};
  if (::stat(station.api_socket.c_str(), &status) != 0) {
    auto check = unreadable("service.socket", station.api_socket, errno);
    if (check.health == Health::fail) check.remedy = "systemctl start imprintd.socket";
    out.push_back(std::move(check));
    return;
  }
  const auto group = find_group(machine, kStationUser);
  const std::string found =
      fmt::format("{}, mode {:04o}, of group {}", station.api_socket.native(), status.st_mode & 07777U, status.st_gid);
  if (!S_ISSOCK(status.st_mode)) {
    out.push_back({"service.socket", Health::fail, station.api_socket.native() + " is no socket",
                   "Take it away, then systemctl restart imprintd.socket."});
  } else if ((status.st_mode & 07U) != 0 || (group && (status.st_mode & 070U) != 0 && status.st_gid != group->gid)) {
    out.push_back({"service.socket", Health::fail, found,
                   "Mode 0660 and group imprint, as imprintd.socket has it: systemctl restart imprintd.socket."});
  } else {
    out.push_back({"service.socket", Health::ok, found, {}});
  }
}

}  // namespace

void check_places(const Machine& machine, const StationFile& station, HealthChecks& out) {
  const Owner owner{find_user(machine, kStationUser)};
  constexpr mode_t kNobodyElse = 077;
  constexpr mode_t kNobodyWrites = 027;
  check_folder("folder.records", station.records, owner, kNobodyElse, out);
  check_folder("folder.backups", station.backups, owner, kNobodyElse, out);
  check_folder("folder.images", station.images, owner, kNobodyWrites, out);
  check_folder("folder.scratch", station.scratch, owner, kNobodyWrites, out);
  if (!station.file.empty()) check_config_files({station.file}, owner, out);
  check_space("disk.records", station.records, 512, 4096, out);
  check_space("disk.images", station.images, 1024, 16384, out);
  check_space("disk.backups", station.backups, 512, 4096, out);
  check_trust(station, out);
  check_key(station, owner, out);
  check_backup(machine, station, out);
  check_socket(machine, station, out);
}

}  // namespace imprint::station::cli
