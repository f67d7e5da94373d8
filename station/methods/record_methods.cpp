// SPDX-License-Identifier: GPL-3.0-or-later
// Reading the records: attempts, yield, the audit log and its proof, backups.
#include "db/audit.hpp"
#include "db/backup.hpp"
#include "db/chain.hpp"
#include "db/rulings.hpp"
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/backup_name.hpp"
#include "station/methods/call.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::int64_t kMostRows = 1000;
constexpr std::int64_t kUsualRows = 100;

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(core::printable(text));
}

json::object to_json(const db::AttemptRow& row) {
  json::object out{{"attempt", row.id},
                   {"opened", core::to_iso8601_local(row.opened)},
                   {"slot", core::printable(row.opening.slot)},
                   {"product", core::printable(row.opening.product)},
                   {"order", text_or_null(row.order_number)},
                   {"serial", text_or_null(row.identity.serial)},
                   {"training", row.opening.training}};
  out["closed"] = row.closed ? json::value(core::to_iso8601_local(*row.closed)) : json::value(nullptr);
  out["verdict"] = row.close ? json::value(db::to_string(row.close->verdict)) : json::value(nullptr);
  out["proof"] = row.close ? json::value(db::to_string(row.close->proof)) : json::value(nullptr);
  out["error"] = row.close ? text_or_null(row.close->error_id) : json::value(nullptr);
  return out;
}

core::Result<db::Period> period_of(const std::string& from, const std::string& to) {
  db::Period period;
  IMPRINT_TRY(period.from, time_of(from, "from"));
  IMPRINT_TRY(period.to, time_of(to, "to"));
  return period;
}

core::Result<json::value> attempts(Call& call) {
  const std::string from = call.params().text_or("from", {});
  const std::string to = call.params().text_or("to", {});
  const auto limit = static_cast<std::uint32_t>(call.params().number_or("limit", kUsualRows, 1, kMostRows));
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(db::Period period, period_of(from, to));
  if (!period.from) period.from = call.station().clock.now() - std::chrono::hours(24);
  IMPRINT_TRY(const auto rows, call.station().records.attempts(period, limit + 1));
  json::array out;
  const std::size_t first = rows.size() > limit ? rows.size() - limit : 0;
  for (std::size_t i = first; i < rows.size(); ++i) out.push_back(to_json(rows[i]));
  return json::object{{"attempts", std::move(out)}, {"more", first > 0}};
}

json::array steps_of(const std::vector<db::Step>& steps) {
  json::array out;
  for (const db::Step& step : steps)
    out.push_back(json::object{{"name", core::printable(step.name)},
                               {"ok", step.ok},
                               {"started", core::to_iso8601_local(step.started)},
                               {"duration_ms", step.duration.count()},
                               {"bytes", step.bytes},
                               {"error", text_or_null(step.error_id)},
                               {"detail", text_or_null(step.detail)}});
  return out;
}

json::array findings_of(const std::vector<db::FindingRow>& findings) {
  json::array out;
  for (const db::FindingRow& finding : findings)
    out.push_back(json::object{{"check", core::printable(finding.check)},
                               {"verdict", core::printable(finding.verdict)},
                               {"severity", core::printable(finding.severity)},
                               {"expected", core::printable(finding.expected)},
                               {"actual", core::printable(finding.actual)},
                               {"message", core::printable(finding.message)}});
  return out;
}

core::Result<json::value> show(Call& call) {
  const db::AttemptId id = call.params().number("attempt", 1, INT64_MAX);
  IMPRINT_CHECK(call.params().finish());
  db::Records& records = call.station().records;
  IMPRINT_TRY(const auto row, records.attempt(id));
  IMPRINT_TRY(const auto steps, records.steps(id));
  IMPRINT_TRY(const auto findings, records.findings(id));
  IMPRINT_TRY(const auto corrections, db::Rulings(records).corrections(id));
  json::object out = to_json(row);
  out["detail"] = row.close ? text_or_null(row.close->detail) : json::value(nullptr);
  out["image"] = row.opening.image_sha256;
  out["signer"] = text_or_null(row.opening.image_signer);
  out["steps"] = steps_of(steps);
  out["findings"] = findings_of(findings);
  json::array notes;
  for (const db::CorrectionRow& correction : corrections)
    notes.push_back(json::object{{"at", core::to_iso8601_local(correction.at)},
                                 {"text", core::printable(correction.correction.text)},
                                 {"reason", core::printable(correction.correction.reason)}});
  out["corrections"] = std::move(notes);
  return out;
}

core::Result<json::value> correct(Call& call) {
  db::NewCorrection correction;
  correction.attempt = call.params().number("attempt", 1, INT64_MAX);
  correction.text = call.params().text("text");
  correction.reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  correction.by = call.actor();
  call.about(std::to_string(*correction.attempt), {{"text", correction.text}, {"reason", correction.reason}});
  db::CorrectionId id = 0;
  IMPRINT_CHECK(call.change([&]() -> core::Status {
    IMPRINT_TRY(id, db::Rulings(call.station().records).correct(correction));
    return {};
  }));
  return json::object{{"correction", id}};
}

core::Result<json::value> audit(Call& call) {
  const std::int64_t after = call.params().number_or("after", -1, 0, INT64_MAX);
  const auto limit = static_cast<std::size_t>(call.params().number_or("limit", kUsualRows, 1, kMostRows));
  IMPRINT_CHECK(call.params().finish());
  const db::Audit log(call.station().records);
  IMPRINT_TRY(const auto rows, after < 0 ? log.newest(limit) : log.list_since(after, limit));
  json::array out;
  for (const db::AuditRow& row : rows) {
    json::object entry{{"entry", row.id},
                       {"at", core::to_iso8601_local(row.at)},
                       {"from", core::printable(row.entry.from)},
                       {"action", core::printable(row.entry.action)},
                       {"subject", core::printable(row.entry.subject)},
                       {"detail", row.entry.detail}};
    const db::Actor& by = row.entry.by;
    entry["person"] = by.operator_id ? json::value(*by.operator_id) : json::value(nullptr);
    entry["session"] = by.session ? json::value(*by.session) : json::value(nullptr);
    entry["outcome"] = db::to_string(row.entry.outcome);
    entry["error"] = text_or_null(row.entry.error_id);
    entry["begun"] = row.entry.begun ? json::value(*row.entry.begun) : json::value(nullptr);
    out.push_back(std::move(entry));
  }
  return json::object{{"entries", std::move(out)}};
}

// A key that cannot sign is no reason to lose the head, where the caller can do with one that is not signed: nothing
// then says that it is.
core::Result<json::value> head(Call& call) {
  const std::string purpose = call.params().text_or("purpose", "asked for");
  const bool may_be_unsigned = call.params().flag_or("unsigned", false);
  IMPRINT_CHECK(call.params().finish());
  const auto configuration = call.station().line.configuration();
  call.about(purpose);
  std::string why_not;
  db::Signer sign = call.station().sign_head;
  if (sign && may_be_unsigned) {
    sign = [&](std::string_view text) -> core::Result<std::string> {
      auto signature = call.station().sign_head(text);
      if (signature) return signature;
      why_not = std::string(signature.error().id()) + ": " + signature.error().message();
      return std::string();
    };
  }
  // Signed before anything is written: a token takes its time, and the line's attempts wait for the records.
  const db::Chain chain(call.station().records);
  IMPRINT_TRY(const auto exported, chain.signed_head(configuration->station.id, sign));
  IMPRINT_CHECK(call.change([&] { return chain.record(exported, purpose, call.actor()); }));
  const KeyState state = call.station().key();
  return json::object{{"head", exported.text},
                      {"signature", exported.signature},
                      {"signed", !exported.signature.empty()},
                      {"fingerprint", exported.signature.empty() ? "" : state.fingerprint},
                      {"error", core::printable(why_not)}};
}

core::Result<json::value> key(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  const KeyState state = call.station().key();
  return json::object{{"kind", state.kind},
                      {"good", state.good},
                      {"fingerprint", state.fingerprint},
                      {"public_key", state.public_key},
                      {"error", text_or_null(state.error)}};
}

core::Result<json::value> verify(Call& call) {
  const std::string text = call.params().text_or("head", {});
  IMPRINT_CHECK(call.params().finish());
  std::optional<db::ChainHead> exported;
  if (!text.empty()) {
    IMPRINT_TRY(exported, db::parse_chain_head(text));
  }
  // A connection of its own: the line goes on meanwhile.
  IMPRINT_TRY(const auto reader,
              db::Records::open_read_only(call.station().records_file, {.stop = call.station().stopping}));
  IMPRINT_TRY(const auto report, db::Chain(*reader).verify(exported, [&](std::int64_t) {
    return !call.station().stopping.stop_requested();
  }));
  json::object out{{"good", !report.broken.has_value()},  {"entries", report.entries}, {"rows", report.rows},
                   {"before_chain", report.before_chain}, {"retired", report.retired}, {"head", report.head}};
  out["broken"] = nullptr;
  if (report.broken)
    out["broken"] = json::object{{"fault", db::to_string(report.broken->fault)},
                                 {"entry", report.broken->seq},
                                 {"table", report.broken->table},
                                 {"row", report.broken->row}};
  return out;
}

core::Result<json::value> backup(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  const auto configuration = call.station().line.configuration();
  const std::filesystem::path& folder = configuration->station.backups;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::filesystem::path file = backup_name(folder, call.station().records_file, call.station().clock.now());
  call.about(file.filename().native());
  IMPRINT_CHECK(call.begin());
  IMPRINT_TRY(const auto made,
              db::Backup(call.station().records).run(file, {.progress = [&](std::uint64_t, std::uint64_t) {
                                                       return !call.station().stopping.stop_requested();
                                                     }}));
  return json::object{{"file", made.path.native()}, {"bytes", made.bytes}, {"head", made.chain_head}};
}

constexpr NamedHandler kHandlers[] = {
    {"attempts.list", attempts}, {"attempts.show", show},    {"attempts.correct", correct},
    {"audit.list", audit},       {"audit.head", head},       {"audit.verify", verify},
    {"audit.key", key},          {"records.backup", backup},
};

}  // namespace

Handler record_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
