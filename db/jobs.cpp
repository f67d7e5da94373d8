// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of jobs and of their ends.
#include "db/jobs.hpp"

#include <algorithm>

#include "db/connection.hpp"

namespace imprint::db {
namespace {

constexpr const char* kColumns =
    "SELECT j.id, j.kind, j.title, j.parameters, j.operator_id, j.session_id, j.asked_at, e.verdict, e.started_at, "
    "COALESCE(e.result_digest, ''), COALESCE(e.error_id, ''), COALESCE(e.detail, ''), COALESCE(e.confinement, ''), "
    "e.operator_id, e.session_id, e.ended_at FROM jobs j LEFT JOIN job_ends e ON e.job_id = j.id ";

constexpr std::array kVerdicts{JobVerdict::done, JobVerdict::failed, JobVerdict::cancelled, JobVerdict::interrupted};

core::Result<JobRow> row_of(Query& query) {
  JobRow row;
  row.id = query.number_at(0);
  const auto kind = parse_job_kind(query.text_at(1));
  if (!kind) return fail("records.damaged", "kind of a job").with("job", row.id);
  row.what = {
      *kind, query.text_at(2), query.text_at(3), {query.number_or_nothing_at(4), query.number_or_nothing_at(5)}};
  IMPRINT_TRY(row.asked, query.time_at(6));
  if (query.is_null(7)) return row;
  JobEnd end;
  const std::string verdict = query.text_at(7);
  const auto* const found = std::ranges::find_if(kVerdicts, [&](JobVerdict v) { return to_string(v) == verdict; });
  if (found == kVerdicts.end()) return fail("records.damaged", "verdict of a job").with("job", row.id);
  end.verdict = *found;
  IMPRINT_TRY(end.started, query.time_or_nothing_at(8));
  end.result_digest = query.text_at(9);
  end.error_id = query.text_at(10);
  end.detail = query.text_at(11);
  end.confinement = query.text_at(12);
  end.by = {query.number_or_nothing_at(13), query.number_or_nothing_at(14)};
  IMPRINT_TRY(row.ended, query.time_or_nothing_at(15));
  row.end = std::move(end);
  return row;
}

std::optional<std::string_view> filled(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

Query& text_or_nothing(Query& query, const std::string& text) {
  const auto value = filled(text);
  return value ? query.text(*value) : query.null();
}

}  // namespace

std::string_view to_string(JobKind kind) {
  switch (kind) {
    case JobKind::flash:
      return "flash";
    case JobKind::inspect:
      return "inspect";
    case JobKind::build:
      return "build";
  }
  return "";
}

std::optional<JobKind> parse_job_kind(std::string_view text) {
  const auto* const found = std::ranges::find_if(kJobKinds, [&](JobKind kind) { return to_string(kind) == text; });
  return found == kJobKinds.end() ? std::nullopt : std::optional(*found);
}

std::string_view to_string(JobVerdict verdict) {
  switch (verdict) {
    case JobVerdict::done:
      return "done";
    case JobVerdict::failed:
      return "failed";
    case JobVerdict::cancelled:
      return "cancelled";
    case JobVerdict::interrupted:
      return "interrupted";
  }
  return "";
}

core::Result<JobId> Jobs::open(const NewJob& job) const {
  IMPRINT_CHECK(check_filled(job.title, "title"));
  Records::Connection& connection = records_.connection();
  return connection.write<JobId>([&](SQLite::Database& database) -> core::Result<JobId> {
    IMPRINT_CHECK(check_json(database, job.parameters, false));
    Query(database,
          "INSERT INTO jobs (kind, title, parameters, asked_at, operator_id, session_id) VALUES (?, ?, ?, ?, ?, ?)")
        .text(to_string(job.kind))
        .text(job.title)
        .text(job.parameters)
        .text(connection.now())
        .number_or_null(job.by.operator_id)
        .number_or_null(job.by.session)
        .run();
    return database.getLastInsertRowid();
  });
}

core::Status Jobs::end(JobId job, const JobEnd& end) const {
  Records::Connection& connection = records_.connection();
  const auto done = connection.write<bool>([&](SQLite::Database& database) -> core::Result<bool> {
    IMPRINT_CHECK(check_there(database, "jobs", job));
    Query ended(database, "SELECT 1 FROM job_ends WHERE job_id = ?");
    if (ended.number(job).next()) return fail("records.exists", "the end of a job").with("job", job);
    Query query(database,
                "INSERT INTO job_ends (job_id, verdict, started_at, result_digest, error_id, detail, confinement, "
                "ended_at, operator_id, session_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query.number(job).text(to_string(end.verdict)).time_or_null(end.started);
    text_or_nothing(query, end.result_digest);
    text_or_nothing(query, end.error_id);
    text_or_nothing(query, end.detail);
    text_or_nothing(query, end.confinement);
    query.text(connection.now()).number_or_null(end.by.operator_id).number_or_null(end.by.session).run();
    return true;
  });
  if (!done) return std::unexpected(done.error());
  return {};
}

core::Result<std::size_t> Jobs::interrupt_open() const {
  Records::Connection& connection = records_.connection();
  return connection.write<std::size_t>([&](SQLite::Database& database) -> core::Result<std::size_t> {
    Query(database,
          "INSERT INTO job_ends (job_id, verdict, error_id, ended_at) SELECT j.id, 'interrupted', 'job.interrupted', ? "
          "FROM jobs j WHERE NOT EXISTS (SELECT 1 FROM job_ends e WHERE e.job_id = j.id) ORDER BY j.id")
        .text(connection.now())
        .run();
    return static_cast<std::size_t>(database.execAndGet("SELECT changes()").getInt64());
  });
}

core::Result<std::vector<JobRow>> Jobs::newest(std::size_t limit) const {
  using Rows = std::vector<JobRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kColumns) + "ORDER BY j.id DESC LIMIT ?");
    query.number(static_cast<std::int64_t>(limit));
    Rows rows;
    while (query.next()) {
      IMPRINT_TRY(auto row, row_of(query));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Result<JobRow> Jobs::find(JobId job) const {
  return records_.connection().read<JobRow>([&](SQLite::Database& database) -> core::Result<JobRow> {
    Query query(database, std::string(kColumns) + "WHERE j.id = ?");
    if (!query.number(job).next()) return fail("records.unknown", "no such job").with("job", job);
    return row_of(query);
  });
}

}  // namespace imprint::db
