// SPDX-License-Identifier: GPL-3.0-or-later
// Units: their history, leave to flash them again, scrap, quarantine, waivers.
#include "db/units.hpp"

#include <algorithm>

#include "db/quarantines.hpp"
#include "db/rulings.hpp"
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/error_table.hpp"
#include "station/line/errors.hpp"
#include "station/methods/call.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::chrono::days kLongestWaiver{366};

json::value time_or_null(const std::optional<core::UtcTime>& time) {
  return time ? json::value(core::to_iso8601_local(*time)) : json::value(nullptr);
}

core::Result<db::UnitRow> unit_of(const Call& call, const std::string& product, const std::string& serial) {
  IMPRINT_TRY(const auto unit, db::Units(call.station().records).find(product, serial));
  if (!unit) return line::fail("unit.unknown").with("product", product).with("serial", serial);
  return *unit;
}

core::Result<json::value> history(Call& call) {
  const std::string product = call.params().text("product");
  const std::string serial = call.params().text("serial");
  IMPRINT_CHECK(call.params().finish());
  const db::Units units(call.station().records);
  IMPRINT_TRY(const db::UnitRow unit, unit_of(call, product, serial));
  IMPRINT_TRY(const auto events, units.history(product, serial));
  IMPRINT_TRY(const auto identities, units.identities(unit.id));
  IMPRINT_TRY(const bool scrapped, units.is_scrapped(unit.id));
  json::array attempts;
  for (const db::UnitEvent& event : events)
    attempts.push_back(
        json::object{{"attempt", event.attempt},
                     {"slot", core::printable(event.slot)},
                     {"opened", core::to_iso8601_local(event.opened)},
                     {"closed", time_or_null(event.closed)},
                     {"verdict", event.verdict ? json::value(db::to_string(*event.verdict)) : json::value(nullptr)},
                     {"error", core::printable(event.error_id)},
                     {"reason", core::printable(event.reason)}});
  json::array others;
  for (const db::OtherIdentity& identity : identities)
    others.push_back(json::object{{"kind", db::to_string(identity.kind)}, {"value", core::printable(identity.value)}});
  return json::object{{"attempts", std::move(attempts)}, {"identities", std::move(others)}, {"scrapped", scrapped}};
}

core::Result<json::value> allow(Call& call) {
  const std::string product = call.params().text("product");
  const std::string serial = call.params().text("serial");
  const std::string reason = call.params().text("reason");
  const bool other_device = call.params().flag_or("other_device", false);
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto unit, db::Units(call.station().records).find(product, serial));
  bool passed = false;
  if (unit) {
    IMPRINT_TRY(passed, call.station().records.has_passed(unit->id));
  }
  const auto action = passed ? people::Action::reflash_passed : people::Action::rework;
  IMPRINT_CHECK(call.require(action, reason));
  const std::string_view name = people::to_string(action);
  call.about(product + " " + serial, {{"as", name}, {"reason", reason}, {"other_device", other_device}});
  IMPRINT_CHECK(call.change());
  call.station().line.leaves().give(product, serial,
                                    {.leave = {.may_have_passed = passed, .reason = std::string(name) + ": " + reason},
                                     .other_device = other_device,
                                     .by = call.actor()});
  return json::object{{"as", name}};
}

core::Result<json::value> scrap(Call& call) {
  const std::string product = call.params().text("product");
  const std::string serial = call.params().text("serial");
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const db::UnitRow unit, unit_of(call, product, serial));
  call.about(product + " " + serial, {{"reason", reason}});
  IMPRINT_CHECK(call.change([&] { return db::Units(call.station().records).scrap(unit.id, reason, call.actor()); }));
  return true;
}

core::Result<json::value> quarantines(Call& call) {
  const bool lifted = call.params().flag_or("lifted", false);
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto rows, db::Quarantines(call.station().records).list(lifted));
  json::array out;
  for (const db::QuarantineRow& row : rows)
    out.push_back(json::object{{"quarantine", row.id},
                               {"kind", db::to_string(row.kind)},
                               {"subject", core::printable(row.subject)},
                               {"why", core::printable(row.why)},
                               {"since", core::to_iso8601_local(row.since)},
                               {"lifted", time_or_null(row.lifted)},
                               {"lift_reason", core::printable(row.lift_reason)}});
  return json::object{{"quarantines", std::move(out)}};
}

// Who may set aside, and who may lift, by kind.
struct KindActions {
  db::QuarantineKind kind;
  people::Action add;
  people::Action lift;
};
constexpr KindActions kKinds[] = {
    {db::QuarantineKind::unit, people::Action::rework, people::Action::lift_unit_quarantine},
    {db::QuarantineKind::slot, people::Action::lift_slot_quarantine, people::Action::lift_slot_quarantine},
    {db::QuarantineKind::signer, people::Action::withdraw_signer, people::Action::lift_signer_quarantine},
    {db::QuarantineKind::image, people::Action::withdraw_image, people::Action::lift_image_quarantine},
};

// What the records know it by. One that nothing is called would be set aside without an effect.
core::Result<std::string> subject_of(const Call& call, db::QuarantineKind kind, const std::string& text,
                                     const std::string& product) {
  const auto unknown = [&](const char* what) {
    return api::fail("api.params-invalid", what).with("parameter", "subject").with("actual", text);
  };
  switch (kind) {
    case db::QuarantineKind::unit: {
      IMPRINT_TRY(const db::UnitRow unit, unit_of(call, product, text));
      return db::unit_subject(unit.id);
    }
    case db::QuarantineKind::slot:
      for (const SlotStatus& slot : call.station().line.slots())
        if (slot.slot == text) return text;
      return unknown("the station has no such slot");
    case db::QuarantineKind::image: {
      IMPRINT_TRY(const auto record, call.station().images.find(text));
      return record.digest;
    }
    case db::QuarantineKind::signer:
      break;
  }
  IMPRINT_TRY(const auto images, call.station().images.list());
  for (const images::ImageRecord& image : images)
    if (image.signer == text) return text;
  return unknown("no image of the store has this signer; imprint station images list shows them");
}

core::Result<json::value> add_quarantine(Call& call) {
  const std::string kind = call.params().text("kind");
  std::string subject = call.params().text("subject");
  const std::string product = call.params().text_or("product", {});
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  for (const KindActions& entry : kKinds) {
    if (db::to_string(entry.kind) != kind) continue;
    IMPRINT_CHECK(call.require(entry.add, reason));
    call.about(kind + " " + subject, {{"reason", reason}});
    IMPRINT_TRY(subject, subject_of(call, entry.kind, subject, product));
    db::QuarantineId id = 0;
    IMPRINT_CHECK(call.change([&]() -> core::Status {
      IMPRINT_TRY(id, db::Quarantines(call.station().records).add(entry.kind, subject, reason, call.actor()));
      return {};
    }));
    return json::object{{"quarantine", id}};
  }
  return api::fail("api.params-invalid", "unit, slot, signer or image").with("parameter", "kind");
}

core::Result<json::value> lift_quarantine(Call& call) {
  const std::int64_t id = call.params().number("quarantine", 1, INT64_MAX);
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  const db::Quarantines all(call.station().records);
  IMPRINT_TRY(const auto rows, all.list(true));
  for (const db::QuarantineRow& row : rows) {
    if (row.id != id) continue;
    for (const KindActions& entry : kKinds)
      if (entry.kind == row.kind) IMPRINT_CHECK(call.require(entry.lift, reason));
    call.about(std::string(db::to_string(row.kind)) + " " + row.subject, {{"reason", reason}});
    IMPRINT_CHECK(call.change([&] { return all.lift(id, reason, call.actor()); }));
    return true;
  }
  return api::fail("api.params-invalid", "there is no such quarantine").with("parameter", "quarantine");
}

core::Result<json::value> waive(Call& call) {
  db::NewWaiver waiver;
  waiver.check = call.params().text("check");
  const std::string product = call.params().text("product");
  const std::string serial = call.params().text_or("serial", {});
  const std::string expires = call.params().text("expires");
  waiver.reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto until, time_of(expires, "expires"));
  const core::UtcTime now = call.station().clock.now();
  if (!until || *until <= now || *until > now + kLongestWaiver)
    return api::fail("api.params-invalid", "it is not within the next year").with("parameter", "expires");
  if (std::ranges::none_of(all_error_rows(), [&](const core::ErrorRow& row) { return row.id == waiver.check; }))
    return api::fail("api.params-invalid", "no check has this id; imprint errors lists them")
        .with("parameter", "check");
  waiver.expires = *until;
  if (serial.empty()) {
    waiver.product = product;
  } else {
    IMPRINT_TRY(const db::UnitRow unit, unit_of(call, product, serial));
    waiver.unit = unit.id;
  }
  waiver.role = people::to_string(call.standing()->role);
  waiver.by = call.actor();
  call.about(waiver.check, {{"product", product}, {"serial", serial}, {"expires", expires}, {"reason", waiver.reason}});
  db::WaiverId id = 0;
  IMPRINT_CHECK(call.change([&]() -> core::Status {
    IMPRINT_TRY(id, db::Rulings(call.station().records).waive(waiver));
    return {};
  }));
  return json::object{{"waiver", id}};
}

core::Result<json::value> waivers(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const auto rows, db::Rulings(call.station().records).all_waivers());
  json::array out;
  for (const db::WaiverRow& row : rows)
    out.push_back(json::object{{"waiver", row.id},
                               {"check", core::printable(row.waiver.check)},
                               {"product", core::printable(row.waiver.product)},
                               {"unit", row.waiver.unit ? json::value(*row.waiver.unit) : json::value(nullptr)},
                               {"reason", core::printable(row.waiver.reason)},
                               {"role", core::printable(row.waiver.role)},
                               {"given", core::to_iso8601_local(row.at)},
                               {"expires", core::to_iso8601_local(row.waiver.expires)},
                               {"revoked", time_or_null(row.revoked)}});
  return json::object{{"waivers", std::move(out)}};
}

core::Result<json::value> revoke(Call& call) {
  const db::WaiverId id = call.params().number("waiver", 1, INT64_MAX);
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  call.about(std::to_string(id), {{"reason", reason}});
  IMPRINT_CHECK(call.change([&] { return db::Rulings(call.station().records).revoke(id, reason, call.actor()); }));
  return true;
}

constexpr NamedHandler kHandlers[] = {
    {"units.history", history},
    {"units.allow", allow},
    {"units.scrap", scrap},
    {"quarantine.list", quarantines},
    {"quarantine.add", add_quarantine},
    {"quarantine.lift", lift_quarantine},
    {"findings.waive", waive},
    {"findings.waivers", waivers},
    {"findings.revoke", revoke},
};

}  // namespace

Handler unit_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
