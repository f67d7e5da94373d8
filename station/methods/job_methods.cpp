// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs: what waits and runs, starting inspections and builds, cancelling.
#include <boost/json.hpp>

#include "db/jobs.hpp"
#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/jobs/errors.hpp"
#include "station/jobs/image_jobs.hpp"
#include "station/methods/call.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::int64_t kMostListed = 1000;

json::value or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }
json::value time_or_null(const std::optional<core::UtcTime>& time) {
  return time ? json::value(core::to_iso8601_local(*time)) : json::value(nullptr);
}

json::object object_of(const db::JobRow& row) {
  const db::JobEnd end = row.end.value_or(db::JobEnd{});
  json::object out{{"job", row.id},
                   {"kind", db::to_string(row.what.kind)},
                   {"title", row.what.title},
                   {"state", row.end ? db::to_string(end.verdict) : "queued"},
                   {"asked", core::to_iso8601_local(row.asked)},
                   {"started", time_or_null(end.started)},
                   {"ended", time_or_null(row.ended)},
                   {"error", or_null(end.error_id)},
                   {"confinement", or_null(end.confinement)},
                   {"digest", or_null(end.result_digest)}};
  out["person"] = row.what.by.operator_id ? json::value(*row.what.by.operator_id) : json::value(nullptr);
  return out;
}

// What the queue knows of a job is newer than a row without an end. Asked before the row is read, for the end is in the
// records before the queue says so, unless they could not take it.
void add_live(json::object& out, const db::JobRow& row, const core::Result<jobs::Job>& live) {
  if (row.end || !live) return;
  const jobs::Job& job = *live;
  out["ended"] = time_or_null(job.ended);
  if (job.error) out["error"] = job.error->id();
  out["state"] = jobs::to_string(job.state);
  out["started"] = time_or_null(job.started);
  out["confinement"] = or_null(job.confinement);
  out["done"] = job.progress.done;
  out["due"] = job.progress.due;
  out["text"] = job.progress.text;
}

core::Result<json::value> list(Call& call) {
  const auto limit = call.params().number_or("limit", 50, 1, kMostListed);
  IMPRINT_CHECK(call.params().finish());
  const db::Jobs all(call.station().records);
  IMPRINT_TRY(const auto rows, all.newest(static_cast<std::size_t>(limit)));
  json::array out;
  for (const db::JobRow& row : rows) {
    if (row.end) {
      out.push_back(object_of(row));
      continue;
    }
    const auto live = call.station().jobs.find(row.id);
    IMPRINT_TRY(const auto now, all.find(row.id));
    json::object object = object_of(now);
    add_live(object, now, live);
    out.push_back(std::move(object));
  }
  return json::object{{"jobs", std::move(out)}};
}

json::value parsed(const std::string& text) {
  json::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value(nullptr) : value;
}

// Kept in memory for a while, and in the job's folder for longer; there it could have been changed.
json::value result_of(const Call& call, const db::JobRow& row) {
  if (!row.end || row.end->verdict != db::JobVerdict::done) return nullptr;
  if (const auto live = call.station().jobs.find(row.id); live && live->result) return parsed(live->result->json);
  const auto kept = call.station().job_site.folders.result(row.id);
  if (!kept) return nullptr;
  const json::value value = parsed(*kept);
  const json::object* const object = value.if_object();
  const json::value* const named = object == nullptr ? nullptr : object->if_contains("sha256");
  const bool is_named = named != nullptr && *named == json::value(row.end->result_digest);
  const bool is_same = core::to_hex(core::sha256(core::as_bytes(*kept))) == row.end->result_digest;
  return is_same || is_named ? value : json::value(nullptr);
}

core::Result<json::value> show(Call& call) {
  const auto id = call.params().number("job", 1, INT64_MAX);
  IMPRINT_CHECK(call.params().finish());
  const auto live = call.station().jobs.find(id);
  auto row = db::Jobs(call.station().records).find(id);
  if (!row) {
    if (row.error().id() == "records.unknown") return jobs::fail("job.unknown").with("job", id);
    return std::unexpected(std::move(row).error());
  }
  json::object out = object_of(*row);
  add_live(out, *row, live);
  out["parameters"] = parsed(row->what.parameters);
  out["detail"] = row->end ? or_null(row->end->detail) : json::value(nullptr);
  if (!row->end && live && live->error) out["detail"] = or_null(live->error->message());
  out["result"] = result_of(call, *row);
  return out;
}

// A path that the station opens to its jobs, or an image of the store by its digest.
core::Result<std::filesystem::path> source_of(const Call& call, const std::string& text) {
  if (text.starts_with('/')) return jobs::allowed_input(call.station().job_site, text);
  IMPRINT_TRY(const auto record, call.station().images.find(text));
  std::error_code error;
  const auto file = std::filesystem::canonical(call.station().images.folder() / (record.digest + ".ffu"), error);
  if (error) return core::fail_errno(error.value(), "io.open-failed", record.digest);
  return file;
}

core::Result<std::optional<std::filesystem::path>> file_of(const Call& call, const std::string& text) {
  if (text.empty()) return std::optional<std::filesystem::path>{};
  IMPRINT_TRY(auto file, jobs::allowed_input(call.station().job_site, text));
  return std::optional(std::move(file));
}

core::Result<json::value> submit(Call& call, jobs::JobKind kind, const std::string& title, const json::object& what,
                                 jobs::JobQueue::Body body) {
  call.about(title, what);
  IMPRINT_CHECK(call.begin());
  IMPRINT_TRY(const auto id,
              call.station().jobs.submit({kind, title, json::serialize(what), call.actor()}, std::move(body)));
  call.about("job " + std::to_string(id), what);
  return json::object{{"job", id}};
}

core::Result<json::value> start_inspect(Call& call) {
  const std::string what = call.params().text("what");
  const std::string source = call.params().text("source");
  const std::string layout = call.params().text_or("layout", {});
  const std::string platform = call.params().text_or("platform", {});
  const std::string profile = call.params().text_or("profile", {});
  IMPRINT_CHECK(call.params().finish());
  if (what != "layout" && what != "bcd" && what != "recovery")
    return api::fail("api.params-invalid", "layout, bcd or recovery").with("parameter", "what");
  if ((what == "layout") == layout.empty() || (what != "layout" && !platform.empty()))
    return api::fail("api.params-invalid", "a layout is inspected against a DeviceLayout.xml, and nothing else is")
        .with("parameter", "layout");
  if ((what == "recovery") != (profile == "iot-mmos" || profile == "winre") || (what != "recovery" && !profile.empty()))
    return api::fail("api.params-invalid", "iot-mmos or winre, for recovery").with("parameter", "profile");
  jobs::InspectJob job{.what = what, .profile = profile};
  IMPRINT_TRY(job.source, source_of(call, source));
  IMPRINT_TRY(job.layout, file_of(call, layout));
  IMPRINT_TRY(job.platform, file_of(call, platform));
  json::object said{{"what", what}, {"source", job.source.filename().native()}};
  if (job.layout) said["layout"] = job.layout->native();
  if (job.platform) said["platform"] = job.platform->native();
  if (!profile.empty()) said["profile"] = profile;
  const std::string title = "inspect " + what + " of " + job.source.filename().native();
  return submit(call, jobs::JobKind::inspect, title, said, jobs::inspect_body(call.station().job_site, std::move(job)));
}

// "Contoso.Kestrel, Contoso.Other"
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string word(core::trimmed(text.substr(0, comma)));
    if (!word.empty()) out.push_back(word);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out;
}

core::Result<json::value> start_build(Call& call) {
  jobs::BuildJob job{.what = call.params().text("what"), .source = {}, .platform_ids = {}};
  const std::string source = call.params().text("source");
  const std::string platforms = call.params().text_or("platforms", {});
  job.compress = call.params().text_or("compress", "none");
  IMPRINT_CHECK(call.params().finish());
  if (job.what != "create" && job.what != "convert")
    return api::fail("api.params-invalid", "create or convert").with("parameter", "what");
  if (job.compress != "none" && job.compress != "xpress" && job.compress != "xpress-huffman" && job.compress != "lznt1")
    return api::fail("api.params-invalid", "none, xpress, xpress-huffman or lznt1").with("parameter", "compress");
  job.platform_ids = words_of(platforms);
  const bool has_option = std::ranges::any_of(job.platform_ids, [](const auto& id) { return id.starts_with('-'); });
  if ((job.what == "create") == job.platform_ids.empty() || has_option)
    return api::fail("api.params-invalid", "platform ids, for create").with("parameter", "platforms");
  IMPRINT_TRY(job.source, source_of(call, source));
  const json::object said{{"what", job.what},
                          {"source", job.source.filename().native()},
                          {"platforms", platforms},
                          {"compress", job.compress}};
  const std::string title = job.what + " an image of " + job.source.filename().native();
  return submit(call, jobs::JobKind::build, title, said, jobs::build_body(call.station().job_site, std::move(job)));
}

core::Result<json::value> cancel(Call& call) {
  const auto id = call.params().number("job", 1, INT64_MAX);
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto person, call.person());
  static_cast<void>(person);
  IMPRINT_TRY(const auto job, call.station().jobs.find(id));
  const bool is_own = job.by.operator_id && job.by.operator_id == call.actor().operator_id;
  if (!is_own) IMPRINT_CHECK(call.require(people::Action::cancel_job, {}));
  call.about("job " + std::to_string(id));
  call.begin_stopping();
  IMPRINT_CHECK(call.station().jobs.cancel(id, call.actor()));
  return true;
}

constexpr NamedHandler kHandlers[] = {{"jobs.list", list},
                                      {"jobs.show", show},
                                      {"jobs.start_inspect", start_inspect},
                                      {"jobs.start_build", start_build},
                                      {"jobs.cancel", cancel}};

}  // namespace

Handler job_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
