// SPDX-License-Identifier: GPL-3.0-or-later
// The image store, and what the records keep of its decisions.
#include "db/admissions.hpp"
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/images/image_record.hpp"
#include "station/line/admission_row.hpp"
#include "station/line/errors.hpp"
#include "station/methods/call.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::uint64_t kTellEvery = 64U << 20;  // bytes

json::object object_of(const images::ImageRecord& record) {
  json::array platforms;
  for (const std::string& id : record.platform_ids) platforms.emplace_back(core::printable(id));
  json::object out{{"digest", record.digest},
                   {"name", core::printable(record.name)},
                   {"bytes", record.size},
                   {"admitted", record.admitted_at},
                   {"policy", trust::to_string(record.policy)},
                   {"signer", core::printable(record.signer)},
                   {"platform_ids", std::move(platforms)},
                   {"sealed", images::to_string(record.sealed_by)}};
  out["withdrawn"] = record.withdrawn ? json::value(core::printable(record.withdrawn->reason)) : json::value(nullptr);
  return out;
}

core::Status add(const Call& call, const db::NewAdmission& row) {
  IMPRINT_TRY(const auto id, db::Admissions(call.station().records).add(row));
  static_cast<void>(id);
  return {};
}

core::Status note(const Call& call, const images::ImageRecord& record, std::string decision, std::string detail) {
  return add(call, line::admission_row(record, std::move(decision), std::move(detail), call.actor()));
}

// What is wrong with the image decided; what kept the station from deciding did not.
bool is_decision(const core::Error& why) {
  return why.row().fault == core::FaultClass::image || why.id() == "store.image-withdrawn";
}

// A decision is one either way. Without an identity nobody can say what was refused but by the name of its file, and
// that stands in the audit log.
core::Status note_refusal(Call& call, const images::ImageStore::Seen& seen, trust::Policy policy,
                          const core::Error& why) {
  if (seen.digest.empty() || !is_decision(why)) return {};
  db::NewAdmission row;
  row.sha256 = seen.digest;
  row.size = seen.size;
  row.signer = seen.signer;
  row.policy = trust::to_string(policy);
  row.decision = "refused";
  row.error_id = why.id();
  row.detail = why.message();
  row.by = call.actor();
  return call.end_badly(why, [&] { return add(call, row); });
}

core::Result<json::value> list(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto records, call.station().images.list());
  json::array out;
  for (const images::ImageRecord& record : records) out.push_back(object_of(record));
  return json::object{{"images", std::move(out)}};
}

core::Result<json::value> admit(Call& call) {
  const std::string file = call.params().text("file");
  const std::string policy_text = call.params().text_or("policy", {});
  IMPRINT_CHECK(call.params().finish());
  const auto configuration = call.station().line.configuration();
  const config::StationFile& station = configuration->station;
  const auto policy = policy_text.empty() ? std::optional(station.policy) : trust::parse_policy(policy_text);
  // Stricter than the station's, never laxer.
  if (!policy || static_cast<int>(*policy) > static_cast<int>(station.policy))
    return api::fail("api.params-invalid", "retail or test, and not laxer than the station's")
        .with("parameter", "policy");
  auto trust_store = trust::TrustStore::empty();
  if (*policy != trust::Policy::none) {
    IMPRINT_TRY(trust_store, trust::TrustStore::load(station.trust));
  }
  api::EventLog& events = call.station().events;
  std::uint64_t told = 0;
  const auto tell = [&](images::AdmissionPhase phase, std::uint64_t done, std::uint64_t total) {
    if (done != total && done >= told && done - told < kTellEvery) return;
    told = done;
    events.publish("job", {{"what", "images.admit"},
                           {"phase", phase == images::AdmissionPhase::copying ? "copying" : "verifying"},
                           {"bytes_done", done},
                           {"bytes_due", total}});
  };
  const std::string name = core::printable(std::filesystem::path(file).filename().native());
  call.about(name, {{"policy", trust::to_string(*policy)}});
  IMPRINT_CHECK(call.begin());
  images::ImageStore::Seen seen;
  const auto record = call.station().images.admit({file, *policy, call.station().clock.now()}, trust_store, tell,
                                                  call.station().stopping, &seen);
  if (!seen.digest.empty()) call.about(seen.digest, {{"name", name}, {"policy", trust::to_string(*policy)}});
  if (!record) {
    // Where the row cannot be written, the dispatcher tries once more to say how it ended.
    static_cast<void>(note_refusal(call, seen, *policy, record.error()));
    return std::unexpected(record.error());
  }
  IMPRINT_CHECK(call.change([&] { return note(call, *record, "admitted", record->name); }));
  return object_of(*record);
}

core::Result<json::value> withdraw(Call& call) {
  const std::string digest = call.params().text("digest");
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto record, call.station().images.find(digest));
  call.about(record.digest, {{"reason", reason}});
  call.begin_stopping();
  // Whoever is in the middle of it has it still: no further device gets it, whatever else fails.
  core::Status disarmed;
  if (call.station().line.is_armed() && call.station().line.image() == record.digest)
    disarmed = call.station().line.disarm("its image was withdrawn", call.actor());
  const std::string by = "person " + std::to_string(call.actor().operator_id.value_or(0));
  IMPRINT_CHECK(call.station().images.withdraw(record.digest, by, reason, call.station().clock.now()));
  IMPRINT_CHECK(call.change([&] { return note(call, record, "withdrawn", reason); }));
  IMPRINT_CHECK(disarmed);
  return true;
}

core::Result<json::value> reinstate(Call& call) {
  const std::string digest = call.params().text("digest");
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto record, call.station().images.find(digest));
  call.about(record.digest, {{"reason", reason}});
  IMPRINT_CHECK(call.begin());
  IMPRINT_CHECK(call.station().images.reinstate(record.digest));
  IMPRINT_CHECK(call.change([&] { return note(call, record, "admitted", "reinstated: " + reason); }));
  return true;
}

core::Result<json::value> remove(Call& call) {
  const std::string digest = call.params().text("digest");
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto record, call.station().images.find(digest));
  if (call.station().line.image() == record.digest)
    return line::fail("line.busy", "it is armed, or being flashed").with("digest", record.digest);
  call.about(record.digest, {{"reason", reason}});
  IMPRINT_CHECK(call.begin());
  IMPRINT_CHECK(call.station().images.remove(record.digest));
  return true;
}

constexpr NamedHandler kHandlers[] = {{"images.list", list},
                                      {"images.admit", admit},
                                      {"images.withdraw", withdraw},
                                      {"images.reinstate", reinstate},
                                      {"images.remove", remove}};

}  // namespace

Handler image_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
