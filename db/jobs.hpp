// SPDX-License-Identifier: GPL-3.0-or-later
// The station's jobs: who asked for what, and how it ended. Opening and ending are rows of their own, in the chain.
#pragma once

#include <array>

#include "db/records.hpp"

namespace imprint::db {

using JobId = std::int64_t;

enum class JobKind : std::uint8_t { flash, inspect, build };
inline constexpr std::array kJobKinds{JobKind::flash, JobKind::inspect, JobKind::build};
[[nodiscard]] std::string_view to_string(JobKind kind);
[[nodiscard]] std::optional<JobKind> parse_job_kind(std::string_view text);

enum class JobVerdict : std::uint8_t { done, failed, cancelled, interrupted };
[[nodiscard]] std::string_view to_string(JobVerdict verdict);

struct NewJob {
  JobKind kind = JobKind::inspect;
  std::string title{};
  std::string parameters = "{}";  // JSON text; no names of people, for the chain keeps them for ever
  Actor by{};
};

struct JobEnd {
  JobVerdict verdict = JobVerdict::failed;
  std::optional<core::UtcTime> started{};  // nothing where it never ran
  std::string result_digest{};             // SHA-256 of what came out; empty for none
  std::string error_id{};
  std::string detail{};
  std::string confinement{};  // how its process was held; empty where it had none
  Actor by{};                 // who cancelled it
};

struct JobRow {
  JobId id = 0;
  NewJob what;
  core::UtcTime asked{};
  std::optional<JobEnd> end;
  std::optional<core::UtcTime> ended;
};

// Thread-safe, as Records is.
class Jobs {
 public:
  explicit Jobs(const Records& records) : records_(records) {}

  // `records.value-unusable` for an empty title or parameters that are not JSON.
  [[nodiscard]] core::Result<JobId> open(const NewJob& job) const;
  // `records.unknown`; `records.exists` for one that has ended.
  [[nodiscard]] core::Status end(JobId job, const JobEnd& end) const;
  // Ends as interrupted what a crash left open; how many there were.
  [[nodiscard]] core::Result<std::size_t> interrupt_open() const;
  // The newest `limit`, newest first.
  [[nodiscard]] core::Result<std::vector<JobRow>> newest(std::size_t limit) const;
  // `records.unknown`.
  [[nodiscard]] core::Result<JobRow> find(JobId job) const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
