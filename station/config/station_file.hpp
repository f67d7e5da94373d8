// SPDX-License-Identifier: GPL-3.0-or-later
// station.toml: what is the same for all products of a station.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flash/trust/policy.hpp"
#include "station/admission/quarantine_rule.hpp"
#include "station/config/complaint.hpp"
#include "station/people/attempt_limiter.hpp"
#include "station/people/pin.hpp"

namespace imprint::station::config {

// By the clock on the wall. One whose end is not later than its start ends on the next day.
struct Shift {
  std::string name;
  unsigned start = 0;  // minutes after midnight
  unsigned end = 0;    // up to 24 * 60
};

struct StationFile {
  std::filesystem::path file;
  Places places;               // of the settings in it
  std::string id = "station";  // in the records: letters, digits, '-', '_' and '.'
  std::string name;            // on screens; the id where none is given
  std::string zone;            // "Europe/Berlin", of times that records keep; empty: the machine's
  std::string language = "en";
  bool training = false;
  trust::Policy policy = trust::Policy::retail;  // products may ask for more, not for less

  std::filesystem::path records = "/var/lib/imprint/records";
  std::filesystem::path images = "/var/lib/imprint/images";
  std::filesystem::path scratch = "/var/lib/imprint/scratch";
  std::filesystem::path backups = "/var/lib/imprint/backups";
  std::filesystem::path jobs = "/var/lib/imprint/scratch/jobs";  // in `scratch` unless told otherwise
  std::filesystem::path trust = "/etc/imprint/trust";

  std::filesystem::path api_socket = "/run/imprint/api.sock";
  std::filesystem::path metrics_socket;  // empty: none
  unsigned max_clients = 32;             // half of them of one user
  std::uint64_t max_request = 1U << 20;  // bytes of a line

  std::chrono::milliseconds scan_hold = std::chrono::seconds(60);
  admission::QuarantineLimits quarantine;

  people::PinRules pin;
  people::AttemptRules attempts;
  std::chrono::milliseconds sign_out_after = std::chrono::minutes(30);  // without a touch; 0: never

  // Jobs: how many wait in all, and run at once of each kind; what the process of one may take.
  unsigned jobs_queued = 16;
  unsigned jobs_flash = 1;
  unsigned jobs_inspect = 2;
  unsigned jobs_build = 1;
  unsigned jobs_kept = 20;  // ended jobs whose results stay on the disk
  std::chrono::milliseconds job_time = std::chrono::hours(2);
  std::uint64_t job_memory = 4ULL << 30;           // bytes of each process
  std::uint64_t job_disk = 64ULL << 30;            // bytes that it may write
  std::vector<std::filesystem::path> job_folders;  // whose files clients may name

  unsigned retention_days = 0;  // 0: for ever
  unsigned backup_hours = 24;   // between backups; 0: none by itself
  std::string key;              // of heads: a file, or a pkcs11 URI; empty: station.key beside the records

  std::vector<Shift> shifts;
};

// "06:30" or "24:00": minutes after midnight.
[[nodiscard]] std::optional<unsigned> parse_time_of_day(std::string_view text);

// Where its records, images, keys, PINs and configuration lie.
[[nodiscard]] std::vector<std::filesystem::path> own_folders(const StationFile& station);

// Those of `job_folders` that are own folders, or hold them, once links are followed. Looks at the disk.
[[nodiscard]] std::vector<std::filesystem::path> job_folders_that_lead_astray(const StationFile& station);

// Opens nothing. Relative paths are relative to the file's folder.
[[nodiscard]] Parsed<StationFile> parse_station_file(std::string_view text, const std::filesystem::path& file);

}  // namespace imprint::station::config
