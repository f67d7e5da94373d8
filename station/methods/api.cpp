// SPDX-License-Identifier: GPL-3.0-or-later
// From a line to a method and back: who may, what is audited.
#include "station/methods/api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <exception>
#include <new>

#include "db/audit.hpp"
#include "db/together.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/errors.hpp"
#include "station/line/errors.hpp"
#include "station/methods/call.hpp"

namespace imprint::station::methods {
namespace {

Handler find_handler_of(std::string_view method) {
  for (const auto group : {station_handler, people_handler, order_handler, unit_handler, image_handler, job_handler,
                           record_handler, device_handler, report_handler})
    if (const Handler handler = group(method)) return handler;
  return nullptr;
}

std::string reason_of(const json::object& params) {
  const json::value* reason = params.if_contains("reason");
  return reason != nullptr && reason->is_string() ? std::string(reason->get_string()) : std::string();
}

// Somebody asked for what they may not.
bool is_refusal(const core::Error& error) {
  constexpr std::array<std::string_view, 6> kIds = {"people.not-allowed",    "people.pin-needed",
                                                    "people.session-needed", "people.session-ended",
                                                    "people.first-refused",  "people.own-role"};
  return std::ranges::find(kIds, error.id()) != kIds.end();
}

class Talk final : public service::Conversation {
 public:
  Talk(const StationParts& station, RefusalLog& refusals, const service::Peer& peer)
      : station_(station),
        refusals_(refusals),
        caller_{peer, fmt::format("uid {}, pid {}", peer.uid, peer.pid), {}, {}} {}

  std::optional<std::string> answer(const std::string& line) override {
    json::value id;
    try {
      const auto request = api::parse_request(line);
      if (!request) return api::error_line(api::id_of_broken_request(line), request.error());
      id = request->id;
      const auto result = guarded(*request);
      if (request->is_notification) return std::nullopt;
      return result ? api::result_line(id, *result) : api::error_line(id, result.error());
    } catch (const std::bad_alloc&) {
      // An answer that does not fit is as bad as a method that does not.
      return api::error_line(id, core::fail("io.out-of-memory").error());
    } catch (const std::exception& exception) {
      return api::error_line(id, station::fail("station.internal-error", exception.what()).error());
    }
  }

  [[nodiscard]] bool takes_long(const std::string& line) const override {
    const auto request = api::parse_request(line);
    const Method* method = request ? find_method(request->method) : nullptr;
    return method != nullptr && method->takes_long;
  }

  [[nodiscard]] std::optional<std::uint64_t> listens_from() const override { return caller_.listens_from; }

 private:
  // One client's request must not end the station.
  core::Result<json::value> guarded(const api::Request& request) {
    try {
      return run(request);
    } catch (const std::bad_alloc&) {
      return core::fail("io.out-of-memory");
    } catch (const std::exception& exception) {
      return station::fail("station.internal-error", exception.what());
    }
  }

  core::Result<json::value> run(const api::Request& request) {
    const Method* method = find_method(request.method);
    const Handler handler = method == nullptr ? nullptr : find_handler_of(request.method);
    if (handler == nullptr) return api::fail("api.method-unknown").with("method", core::printable(request.method));
    Call call(station_, caller_, *method, request.params);
    // Whoever is signed in counts as the one who did it, also where anybody may.
    core::Result<json::value> result = admitted(call, *method, request.params, handler);
    if (!method->changes) return result;
    if (!result && is_refusal(result.error())) note_refusal(call, *method, result.error());
    const core::Status audited = call.finish_audit(result ? nullptr : &result.error());
    if (result && !audited) return std::unexpected(audited.error());
    return result;
  }

  static core::Result<json::value> admitted(Call& call, const Method& method, const json::object& params,
                                            Handler handler) {
    if (method.access == Access::signed_in) {
      IMPRINT_TRY(const auto person, call.person());
      static_cast<void>(person);
    } else {
      call.look_who();
    }
    if (method.access == Access::by_action) IMPRINT_CHECK(call.require(*method.action, reason_of(params)));
    return handler(call);
  }

  // The refusal stands, whether it can be written down or not.
  void note_refusal(const Call& call, const Method& method, const core::Error& why) {
    const std::string who = fmt::format("{} {}", caller_.peer.uid, call.actor().operator_id.value_or(0));
    if (!refusals_.is_news(fmt::format("{} {} {}", who, method.name, why.id()))) return;
    db::NewAudit row = call.row();
    row.outcome = db::AuditOutcome::refused;
    row.error_id = why.id();
    static_cast<void>(db::Audit(station_.records).add(row));
  }

  const StationParts& station_;
  RefusalLog& refusals_;
  Caller caller_;
};

}  // namespace

core::Result<line::SignedIn> Call::person() {
  if (caller_.token.empty()) return line::fail("people.session-needed");
  auto person = station_.sign_ins.resume(caller_.token);
  if (!person) return std::unexpected(std::move(person).error());
  remember(*person);
  return person;
}

void Call::look_who() {
  if (caller_.token.empty()) return;
  if (const auto who = station_.sign_ins.look(caller_.token)) remember(*who);
}

void Call::remember(const line::SignedIn& who) {
  actor_ = who.actor();
  name_ = who.name;
  standing_ = who.standing;
}

core::Status Call::require(people::Action action, std::string_view reason) {
  IMPRINT_TRY(const auto who, person());
  static_cast<void>(who);
  return people::check_permission(*standing_, action, reason);
}

void Call::about(std::string subject, json::object detail) {
  subject_ = std::move(subject);
  detail_ = std::move(detail);
}

db::NewAudit Call::row() const {
  db::NewAudit row;
  row.by = actor_;
  row.from = caller_.from;
  row.action = method_.name;
  row.subject = subject_;
  if (!detail_.empty()) row.detail = json::serialize(detail_);
  return row;
}

core::Status Call::add_row() {
  db::NewAudit done = row();
  done.begun = begun_;
  IMPRINT_TRY(const auto id, db::Audit(station_.records).add(done));
  static_cast<void>(id);
  audited_ = true;
  return {};
}

core::Status Call::change(const std::function<core::Status()>& work) {
  core::Status kept = db::together(station_.records, [&]() -> core::Status {
    if (work) IMPRINT_CHECK(work());
    return add_row();
  });
  audited_ = kept.has_value();
  half_done_ = !kept && begun_;
  return kept;
}

core::Status Call::begin() {
  db::NewAudit begun = row();
  begun.outcome = db::AuditOutcome::begun;
  IMPRINT_TRY(begun_, db::Audit(station_.records).add(begun));
  return {};
}

void Call::begin_stopping() {
  const core::Status begun = begin();
  if (!begun) begun_.reset();
}

core::Status Call::end_badly(const core::Error& why, const std::function<core::Status()>& work) {
  core::Status kept = db::together(station_.records, [&]() -> core::Status {
    if (work) IMPRINT_CHECK(work());
    db::NewAudit failed = row();
    failed.outcome = half_done_ ? db::AuditOutcome::unknown : db::AuditOutcome::failed;
    failed.error_id = why.id();
    failed.begun = begun_;
    IMPRINT_TRY(const auto id, db::Audit(station_.records).add(failed));
    static_cast<void>(id);
    return {};
  });
  audited_ = kept.has_value();
  return kept;
}

// A disk that was busy for a moment gets a second try: without it what was begun stays so until the next start.
core::Status Call::finish_audit(const core::Error* why) {
  if (audited_) return {};
  if (why != nullptr && !begun_) return {};
  const auto finish = [&] { return why == nullptr ? change() : end_badly(*why); };
  core::Status kept = finish();
  return kept ? kept : finish();
}

bool RefusalLog::is_news(const std::string& what) {
  const std::scoped_lock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(told_, [&](const auto& entry) { return now - entry.second >= kQuiet; });
  if (told_.size() >= kMost || told_.contains(what)) return false;
  told_.emplace(what, now);
  return true;
}

std::unique_ptr<service::Conversation> Api::begin(const service::Peer& peer) const {
  return std::make_unique<Talk>(station_, *refusals_, peer);
}

}  // namespace imprint::station::methods
