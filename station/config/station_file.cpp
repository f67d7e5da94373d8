// SPDX-License-Identifier: GPL-3.0-or-later
// Reads station.toml, table by table.
#include "station/config/station_file.hpp"

#include <algorithm>

#include "flash/trust/pkcs11_uri.hpp"
#include "station/config/product_words.hpp"
#include "station/config/table_reader.hpp"

namespace imprint::station::config {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostSocketBytes = 107;     // sun_path, less its end
constexpr std::uint64_t kMostRequest = 1U << 20;  // the API reads no more
constexpr unsigned kMinutesADay = 24 * 60;
constexpr milliseconds kDay = std::chrono::hours(24);

bool is_id(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  };
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, fits);
}

// "Europe/Berlin": it becomes a file's name below the zones' folder.
bool is_zone(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '+' || c == '/';
  };
  return !text.starts_with('/') && !text.ends_with('/') && std::ranges::all_of(text, fits);
}

bool is_language(std::string_view text) {
  const auto small = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto large = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (text.size() != 2 && (text.size() != 5 || text[2] != '-')) return false;
  if (!std::ranges::all_of(text.substr(0, 2), small)) return false;
  return text.size() == 2 || std::ranges::all_of(text.substr(3), large);
}

void read_identity(TableReader& root, StationFile& station) {
  root.require("station", "[station] with id = \"line-1\"");
  auto table = root.table("station");
  if (!table) return;
  table->require("id", "id = \"line-1\"");
  if (table->text("id", station.id) && !is_id(station.id))
    table->complain("id", "a station's id is at most 64 letters, digits, '-', '_' and '.'",
                    "write what is to stand in the records, such as \"line-1\", and put the rest into name");
  station.name = station.id;
  table->text("name", station.name);
  if (table->text("zone", station.zone) && !is_zone(station.zone))
    table->complain("zone", "this is no name of a time zone", "write one such as \"Europe/Berlin\"");
  if (table->text("language", station.language) && !is_language(station.language))
    table->complain("language", "this is no language", "write one such as \"en\" or \"pt-BR\"");
  table->flag("training", station.training);
  take_word(*table, "policy", kPolicies, station.policy);
  table->finish();
}

void read_folders(TableReader& root, StationFile& station) {
  auto table = root.table("folders");
  if (!table) return;
  table->path("records", station.records);
  table->path("images", station.images);
  table->path("scratch", station.scratch);
  table->path("backups", station.backups);
  if (!table->path("jobs", station.jobs)) station.jobs = station.scratch / "jobs";
  table->path("trust", station.trust);
  // The store removes what it does not know, and records must not lie where somebody tidies up.
  const std::array<std::pair<std::string_view, const std::filesystem::path*>, 6> folders{{{"records", &station.records},
                                                                                          {"images", &station.images},
                                                                                          {"scratch", &station.scratch},
                                                                                          {"backups", &station.backups},
                                                                                          {"jobs", &station.jobs},
                                                                                          {"trust", &station.trust}}};
  for (std::size_t i = 0; i < folders.size(); ++i) {
    for (std::size_t j = i + 1; j < folders.size(); ++j) {
      if (*folders.at(i).second == *folders.at(j).second)
        table->conflict(folders.at(j).first, "it is the folder of " + std::string(folders.at(i).first),
                        "give it one of its own");
    }
  }
  table->finish();
}

void read_socket(TableReader& table, std::string_view key, std::filesystem::path& out) {
  if (table.path(key, out) && out.native().size() > kMostSocketBytes)
    table.complain(key, "a socket's path has at most 107 bytes",
                   "write a shorter path, such as \"/run/imprint/api.sock\"");
}

void read_api(TableReader& root, StationFile& station) {
  auto table = root.table("api");
  if (!table) return;
  read_socket(*table, "socket", station.api_socket);
  read_socket(*table, "metrics-socket", station.metrics_socket);
  if (station.api_socket == station.metrics_socket)
    table->conflict("metrics-socket", "it is the API's socket", "give it another name");
  table->number("max-clients", 1U, 1000U, station.max_clients);
  table->size("max-request", 4096, kMostRequest, station.max_request);
  table->finish();
}

void read_people(TableReader& root, StationFile& station) {
  auto table = root.table("people");
  if (!table) return;
  people::AttemptRules& rules = station.attempts;
  table->number("pin-length", 4U, 16U, station.pin.min_length);
  table->number("free-attempts", 0U, 20U, rules.free);
  table->duration("first-delay", std::chrono::seconds(1), std::chrono::hours(1), rules.first_delay);
  table->duration("longest-delay", std::chrono::seconds(1), kDay, rules.longest_delay);
  table->number("lock-after", 0U, 1000U, rules.lock_after);
  table->duration("sign-out-after", milliseconds(0), kDay, station.sign_out_after);
  if (rules.longest_delay < rules.first_delay)
    table->conflict("longest-delay", "it is shorter than first-delay", "make it as long at least");
  if (rules.lock_after != 0 && rules.lock_after <= rules.free)
    table->conflict("lock-after", "a person would be locked before any delay", "make it larger than free-attempts");
  // Four digits are 10,000: without a lock they are all tried some day.
  if (station.pin.min_length < 6 && rules.lock_after == 0)
    table->conflict("pin-length", "so short a PIN needs a lock", "write pin-length = 6, or lock-after = 10");
  table->finish();
}

// A file's path, or the place of a key on a token. No value of a URI is shown: it might hold a PIN.
void read_key(TableReader& table, StationFile& station) {
  constexpr std::size_t kMostBytes = 4000;
  std::string said;
  if (!table.text("key", said, kMostBytes)) return;
  if (!trust::is_pkcs11_uri(said)) {
    std::filesystem::path file;
    if (table.path("key", file)) station.key = file.native();
    return;
  }
  auto uri = trust::Pkcs11Uri::parse(said);
  if (!uri) {
    const std::string write(uri.error().row().remedy);
    table.complain("key", std::move(uri).error(), write);
    return;
  }
  if (!uri->pin_source)
    table.complain("key", "nobody is there to type the token's PIN",
                   "name its file in the URI: ?pin-source=file:/etc/imprint/station-key.pin");
  station.key = said;
}

void read_records(TableReader& root, StationFile& station) {
  auto table = root.table("records");
  if (!table) return;
  table->number("retention-days", 0U, 36'500U, station.retention_days);
  table->number("backup-hours", 0U, 8760U, station.backup_hours);
  read_key(*table, station);
  table->finish();
}

// Shifts may overlap, as where one hands over to the next.
void read_shifts(TableReader& root, StationFile& station) {
  for (TableReader& table : root.tables("shift")) {
    Shift shift;
    table.require("name", "name = \"early\"");
    if (table.text("name", shift.name, 64) &&
        std::ranges::find(station.shifts, shift.name, &Shift::name) != station.shifts.end())
      table.complain("name", "another shift has this name", "give it a name of its own");
    const auto time = [&](std::string_view key, std::string_view example, unsigned& out) {
      std::string said;
      table.require(key, example);
      if (!table.text(key, said)) return;
      if (const auto minutes = parse_time_of_day(said)) {
        out = *minutes;
      } else {
        table.complain(key, "this is no time of day", "write hours and minutes by the clock on the wall: \"06:00\"");
      }
    };
    time("start", "start = \"06:00\"", shift.start);
    time("end", "end = \"14:00\"", shift.end);
    if (shift.start == kMinutesADay) table.complain("start", "the day is over then", "write \"00:00\"");
    if (table.has("start") && table.has("end") && shift.start == shift.end)
      table.conflict("end", "the shift ends as it starts", "write a later time; a whole day is \"00:00\" to \"24:00\"");
    table.finish();
    station.shifts.push_back(std::move(shift));
  }
}

// A folder's path may end in a slash or not.
bool lie_in_each_other(const std::filesystem::path& left, const std::filesystem::path& right) {
  const auto holds = [](const std::filesystem::path& outer, const std::filesystem::path& inner) {
    const std::filesystem::path bare = outer.has_filename() ? outer : outer.parent_path();
    return std::ranges::mismatch(bare, inner).in1 == bare.end();
  };
  return holds(left, right) || holds(right, left);
}

// What a client names there is read by a process of the station's user: never where its own files are.
void check_job_folder(TableReader& table, const StationFile& station, const std::string& text) {
  const std::filesystem::path folder(text);
  if (!folder.is_absolute() || folder == folder.root_path()) {
    table.complain("folders", "this is no absolute path of a folder for jobs", "write one such as \"/srv/images\"");
    return;
  }
  for (const std::filesystem::path& own : own_folders(station)) {
    if (!lie_in_each_other(folder.lexically_normal(), own.lexically_normal())) continue;
    table.conflict("folders", "the station keeps its own files in " + own.native(),
                   "give clients a folder of their own, such as \"/srv/images\"");
    return;
  }
}

void read_jobs(TableReader& root, StationFile& station) {
  auto table = root.table("jobs");
  if (!table) return;
  table->number("queued", 1U, 1000U, station.jobs_queued);
  table->number("flash", 1U, 64U, station.jobs_flash);
  table->number("inspect", 1U, 16U, station.jobs_inspect);
  table->number("build", 1U, 4U, station.jobs_build);
  table->number("keep", 1U, 1000U, station.jobs_kept);
  table->duration("time-limit", std::chrono::seconds(10), kDay, station.job_time);
  table->size("memory-limit", 512ULL << 20, 1ULL << 40, station.job_memory);
  table->size("disk-limit", 16ULL << 20, 16ULL << 40, station.job_disk);
  table->size("disk-reserve", 16ULL << 20, 16ULL << 40, station.job_reserve);
  std::vector<std::string> folders;
  if (table->texts("folders", folders)) {
    for (const std::string& text : folders) {
      check_job_folder(*table, station, text);
      station.job_folders.emplace_back(text);
    }
  }
  table->finish();
}

void read_line(TableReader& root, StationFile& station) {
  if (auto scan = root.table("scan")) {
    scan->duration("hold", std::chrono::seconds(1), std::chrono::hours(1), station.scan_hold);
    scan->finish();
  }
  if (auto quarantine = root.table("quarantine")) {
    quarantine->number("unit-failures", 0U, 1000U, station.quarantine.unit_failures);
    quarantine->number("slot-failures-in-a-row", 0U, 1000U, station.quarantine.slot_failures_in_a_row);
    quarantine->finish();
  }
}

}  // namespace

std::vector<std::filesystem::path> own_folders(const StationFile& station) {
  std::vector<std::filesystem::path> own{station.records, station.images, station.scratch,
                                         station.backups, station.jobs,   station.trust};
  const auto add_folder_of = [&own](const std::filesystem::path& file) {
    if (file.empty() || (file.is_absolute() && file.parent_path() == file.root_path())) return;
    own.push_back(file.has_parent_path() ? file.parent_path() : std::filesystem::path("."));
  };
  add_folder_of(station.file);
  if (!trust::is_pkcs11_uri(station.key)) {
    add_folder_of(station.key);
  } else if (const auto uri = trust::Pkcs11Uri::parse(station.key); uri && uri->pin_source) {
    add_folder_of(*uri->pin_source);
  }
  return own;
}

std::vector<std::filesystem::path> job_folders_that_lead_astray(const StationFile& station) {
  const auto real = [](const std::filesystem::path& path) {
    std::error_code error;
    const auto there = std::filesystem::weakly_canonical(path, error);
    return error ? path.lexically_normal() : there;
  };
  std::vector<std::filesystem::path> out;
  for (const std::filesystem::path& folder : station.job_folders) {
    const auto is_own = [&](const std::filesystem::path& own) { return lie_in_each_other(real(folder), real(own)); };
    if (std::ranges::any_of(own_folders(station), is_own)) out.push_back(folder);
  }
  return out;
}

std::optional<unsigned> parse_time_of_day(std::string_view text) {
  const auto digit = [&](std::size_t at) { return static_cast<unsigned>(text[at] - '0'); };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const std::size_t at : {0U, 1U, 3U, 4U})
    if (text[at] < '0' || text[at] > '9') return std::nullopt;
  const unsigned minutes = (digit(0) * 10 + digit(1)) * 60 + digit(3) * 10 + digit(4);
  if (digit(3) > 5 || minutes > kMinutesADay) return std::nullopt;
  return minutes;
}

Parsed<StationFile> parse_station_file(std::string_view text, const std::filesystem::path& file) {
  auto toml = parse_toml(text, file);
  if (!toml.value) return {std::nullopt, std::move(toml.complaints)};
  FileNotes notes(file);
  TableReader root(*toml.value, "", {1, 1}, notes);
  StationFile station;
  station.file = file;
  station.places = places_of(*toml.value);
  read_identity(root, station);
  read_folders(root, station);
  read_api(root, station);
  read_people(root, station);
  read_records(root, station);
  read_line(root, station);
  read_shifts(root, station);
  read_jobs(root, station);
  root.finish();
  Complaints complaints = notes.take();
  if (!complaints.empty()) return {std::nullopt, std::move(complaints)};
  return {std::move(station), {}};
}

}  // namespace imprint::station::config
