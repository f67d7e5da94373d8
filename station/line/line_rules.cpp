// SPDX-License-Identifier: GPL-3.0-or-later
// The line's questions to a device, in the order in which they cost least.
#include "station/line/line_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "db/admissions.hpp"
#include "db/rulings.hpp"
#include "station/admission/errors.hpp"
#include "station/admission/serial_range.hpp"
#include "station/attempt.hpp"
#include "station/errors.hpp"
#include "station/line/errors.hpp"

namespace imprint::station::line {
namespace {

// The file's word for what a target calls itself.
bool is_protocol(config::Protocol protocol, const engine::DeviceIdentity& identity) {
  return config::to_string(protocol) == identity.protocol ||
         (protocol == config::Protocol::disk && identity.is_bare_disk);
}

}  // namespace

void Leaves::give(const std::string& product, const std::string& serial, GivenLeave leave) {
  const std::scoped_lock lock(mutex_);
  if (leaves_.size() >= kMost) leaves_.erase(leaves_.begin());
  leaves_[{product, serial}] = std::move(leave);
}

bool Leaves::forgives_device(const std::string& product, const std::string& serial) {
  const std::scoped_lock lock(mutex_);
  const auto found = leaves_.find({product, serial});
  return found != leaves_.end() && found->second.other_device;
}

std::optional<GivenLeave> Leaves::take(const std::string& product, const std::string& serial) {
  const std::scoped_lock lock(mutex_);
  auto node = leaves_.extract({product, serial});
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

bool Leaves::has_any(const std::string& product) const {
  const std::scoped_lock lock(mutex_);
  const auto first = leaves_.lower_bound({product, std::string()});
  return first != leaves_.end() && first->first.first == product;
}

LineRules::LineRules(Parts parts, Armed armed, OnQuarantine on_quarantine)
    : parts_(std::move(parts)),
      records_(parts_.records),
      desk_(parts_.desk),
      leaves_(parts_.leaves),
      armed_(std::move(armed)),
      on_quarantine_(std::move(on_quarantine)) {}

void LineRules::arrived(const std::string& slot) {
  if (armed_.product.serial.asks_a_person()) desk_.expect(slot);
}

void LineRules::left(const std::string& slot) { desk_.leave(slot); }

void LineRules::describe(db::NewAttempt& attempt) {
  attempt.work_order = armed_.order;
  const auto who = parts_.at_work && !armed_.once ? parts_.at_work() : armed_.by;
  if (who) attempt.session = who->session;
  attempt.recipe_digest = armed_.recipe_digest;
  attempt.rules_digest = armed_.rules_digest;
  attempt.slot_map_digest = armed_.slot_map_digest;
}

core::Status LineRules::check_protocol(const engine::DeviceIdentity& identity) const {
  const auto& taken = armed_.product.protocols;
  if (std::ranges::any_of(taken, [&](config::Protocol one) { return is_protocol(one, identity); })) return {};
  return fail("line.protocol-refused").with("protocol", identity.protocol);
}

core::Status LineRules::check_quarantine(db::QuarantineKind kind, const std::string& subject) const {
  if (subject.empty()) return {};
  IMPRINT_TRY(const auto found, db::Quarantines(records_).is_quarantined(kind, subject));
  if (!found) return {};
  switch (kind) {
    case db::QuarantineKind::unit:
      return admission::fail("quarantine.unit", found->why);
    case db::QuarantineKind::slot:
      return admission::fail("quarantine.slot", found->why);
    case db::QuarantineKind::signer:
      return fail("quarantine.signer", found->why).with("signer", subject);
    case db::QuarantineKind::image:
      break;
  }
  return fail("quarantine.image", found->why).with("image", subject);
}

// Of two devices for the last unit of an order only one is begun with. False: it has all its units.
core::Result<bool> LineRules::take_place(const std::string& slot) {
  if (!armed_.order) return true;
  const std::scoped_lock lock(mutex_);
  const db::Orders orders(records_);
  IMPRINT_TRY(const auto order, orders.get(*armed_.order));
  if (order.closed) return fail("order.closed", order.closed_reason).with("order", order.number);
  IMPRINT_TRY(const auto progress, orders.progress(*armed_.order));
  if (progress.remaining <= places_.size()) return false;
  places_.insert(slot);
  return true;
}

// As one of the armed order's passes: another of it makes the order no fuller.
core::Result<bool> LineRules::counts_already(const std::string& serial) const {
  if (!armed_.order) return false;
  IMPRINT_TRY(const auto unit, db::Units(records_).find(armed_.product.name, serial));
  if (!unit) return false;
  return db::Orders(records_).counts_as_passed(*armed_.order, unit->id);
}

core::Result<UnitClaim> LineRules::claim(const std::string& slot, const engine::DeviceIdentity& identity,
                                         const std::stop_token& stop) {
  if (closed_) return fail("line.not-armed");
  if (!armed_.once && parts_.at_work && !parts_.at_work()) return fail("people.session-needed");
  IMPRINT_CHECK(check_quarantine(db::QuarantineKind::slot, slot));
  IMPRINT_CHECK(check_protocol(identity));
  IMPRINT_TRY(const bool has_place, take_place(slot));
  // A full order takes units of its own again, where somebody gave leave for one.
  if (!has_place && !leaves_.has_any(armed_.product.name)) return fail("order.quantity-reached");
  IMPRINT_TRY(UnitClaim claim, claim_serial(slot, identity, stop, has_place));
  IMPRINT_TRY(const bool counts_already, this->counts_already(claim.serial));
  if (counts_already) {
    const std::scoped_lock lock(mutex_);
    places_.erase(slot);
  } else if (!has_place) {
    return fail("order.quantity-reached").with("serial", claim.serial);
  }
  return claim;
}

core::Result<UnitClaim> LineRules::claim_serial(const std::string& slot, const engine::DeviceIdentity& identity,
                                                const std::stop_token& stop, bool may_be_new) {
  const admission::SerialRule& rule = armed_.product.serial;
  const admission::DeviceNames device{identity.serial, identity.platform_id};
  UnitClaim claim;
  switch (rule.source) {
    case admission::SerialSource::device:
      claim.serial = identity.serial;
      if (claim.serial.empty()) return station::fail("unit.serial-missing");
      IMPRINT_CHECK(admission::check_serial(rule, claim.serial, false));
      return claim;
    case admission::SerialSource::allocated: {
      IMPRINT_TRY(claim.serial, allocated_serial(identity, may_be_new));
      return claim;
    }
    case admission::SerialSource::scanned:
    case admission::SerialSource::typed:
      break;
  }
  IMPRINT_TRY(const auto scan, desk_.take(slot, armed_.product.deadlines.scan, stop));
  IMPRINT_TRY(admission::LabelText label, admission::read_label(rule, scan.text, scan.manual));
  claim.serial = std::move(label.serial);
  claim.mac = std::move(label.mac);
  claim.manual_serial = scan.manual;
  IMPRINT_CHECK(admission::check_label(rule, claim.serial, device));
  return claim;
}

// A device that had a serial before keeps it; numbers are for new ones.
core::Result<std::string> LineRules::allocated_serial(const engine::DeviceIdentity& identity, bool may_be_new) {
  const db::Units units(records_);
  if (!identity.unique_id.empty() || !identity.serial.empty()) {
    const bool by_id = !identity.unique_id.empty();
    IMPRINT_TRY(const auto known,
                units.find_by(by_id ? db::IdentityKind::device_unique_id : db::IdentityKind::device_serial,
                              by_id ? identity.unique_id : identity.serial, db::Seen::at_all));
    for (const db::UnitRow& unit : known)
      if (unit.product == armed_.product.name) return unit.serial;
  }
  if (!may_be_new) return fail("order.quantity-reached");  // a number would be gone, and again at each plug-in
  if (!armed_.product.serial.range) return admission::fail("serial.range-invalid", "the product's file has none");
  return admission::allot_serial(*armed_.product.serial.range,
                                 [this](const admission::SerialRange&) -> core::Result<std::optional<std::uint64_t>> {
                                   auto allotted =
                                       db::Serials(records_).allot_from(armed_.range.value_or(0), std::nullopt);
                                   if (allotted) return allotted->number;
                                   if (allotted.error().id() == "records.range-exhausted") return std::nullopt;
                                   return std::unexpected(std::move(allotted).error());
                                 });
}

// A device that the records know under another serial: its label came off another one, or the label is wrong.
core::Status LineRules::check_device_of_unit(const UnitClaim& claim, const engine::DeviceIdentity& identity) const {
  if (armed_.product.serial.source == admission::SerialSource::device || identity.unique_id.empty()) return {};
  IMPRINT_TRY(const auto known, db::Units(records_).find_by(db::IdentityKind::device_unique_id, identity.unique_id));
  for (const db::UnitRow& unit : known)
    if (unit.product == armed_.product.name && unit.serial != claim.serial)
      return fail("unit.device-of-another").with("serial", claim.serial).with("recorded", unit.serial);
  return {};
}

core::Status LineRules::check_mac(const UnitClaim& claim) const {
  if (claim.mac.empty()) return {};
  // An address is one device's in the world, whatever the product.
  IMPRINT_TRY(const auto known, db::Units(records_).find_by(db::IdentityKind::mac, claim.mac));
  for (const db::UnitRow& unit : known)
    if (unit.product != armed_.product.name || unit.serial != claim.serial)
      return station::fail("unit.mac-duplicate").with("mac", claim.mac).with("recorded", unit.serial);
  return {};
}

core::Result<Leave> LineRules::admit(const std::string& /*slot*/, const UnitClaim& claim,
                                     const engine::DeviceIdentity& identity) {
  IMPRINT_CHECK(check_quarantine(db::QuarantineKind::image, armed_.image));
  IMPRINT_CHECK(check_quarantine(db::QuarantineKind::signer, armed_.signer));
  IMPRINT_TRY(const auto decision, db::Admissions(records_).standing(armed_.image));
  if (decision && decision->admission.decision == "withdrawn")
    return fail("quarantine.image", decision->admission.detail).with("image", armed_.image);
  const db::Units units(records_);
  IMPRINT_TRY(const auto unit, units.find(armed_.product.name, claim.serial));
  IMPRINT_CHECK(check_mac(claim));  // which no leave for another device forgives
  const core::Status right_device = check_device_of_unit(claim, identity);
  if (!unit && right_device) return Leave{};  // a new one
  // A leave is for a unit: that another device carries its label is forgiven only where that was meant.
  if (!right_device && !leaves_.forgives_device(armed_.product.name, claim.serial))
    return std::unexpected(right_device.error());
  if (!unit) return leave_or(claim, right_device.error());
  IMPRINT_TRY(const bool scrapped, units.is_scrapped(unit->id));
  if (scrapped) return fail("unit.scrapped").with("serial", claim.serial);
  IMPRINT_CHECK(check_quarantine(db::QuarantineKind::unit, db::unit_subject(unit->id)));
  IMPRINT_TRY(const bool passed_before, records_.has_passed(unit->id));
  if (!right_device) return leave_or(claim, right_device.error());
  if (!passed_before) return leave_or(claim, std::nullopt);
  IMPRINT_TRY(const auto history, units.history(armed_.product.name, claim.serial));
  return leave_or(claim,
                  station::fail("unit.serial-duplicate", earlier_text(history)).with("serial", claim.serial).error());
}

// A leave is for the next attempt of the unit, needed or not: the reason stands in its record.
core::Result<Leave> LineRules::leave_or(const UnitClaim& claim, std::optional<core::Error> refusal) {
  if (auto given = leaves_.take(armed_.product.name, claim.serial)) return given->leave;
  if (refusal) return std::unexpected(std::move(*refusal));
  return Leave{};
}

core::Result<std::optional<std::string>> LineRules::waiver_of(const std::string& check, db::UnitId unit) {
  IMPRINT_TRY(const auto waivers, db::Rulings(records_).waivers(armed_.product.name, unit, parts_.clock.now()));
  for (const db::WaiverRow& row : waivers)
    if (row.waiver.check == check) return fmt::format("{} (waiver {})", row.waiver.reason, row.id);
  return std::nullopt;
}

// The order counts it now: its place is another one's.
void LineRules::recorded(const std::string& slot) {
  const std::scoped_lock lock(mutex_);
  places_.erase(slot);
}

void LineRules::ended(const AttemptResult& result, std::optional<db::UnitId> unit) {
  desk_.leave(result.slot);
  {
    const std::scoped_lock lock(mutex_);
    places_.erase(result.slot);
    if (result.verdict == db::AttemptVerdict::passed) failing_.erase(result.slot);
  }
  if (result.verdict != db::AttemptVerdict::failed || !result.error) return;
  if (unit) judge_unit(result, *unit);
  judge_slot(result);
}

// What could not be counted is counted at the next failure: the counts come out of the records each time.
void LineRules::judge_unit(const AttemptResult& result, db::UnitId unit) {
  if (!admission::counts_against_unit(result.error->row().fault)) return;
  const db::Quarantines quarantines(records_);
  const auto failures = quarantines.failures(unit);
  if (!failures) return;
  const auto why = admission::judge_unit(armed_.quarantine, result.serial, static_cast<unsigned>(*failures));
  if (!why) return;
  const std::string subject = db::unit_subject(unit);
  if (quarantines.add(db::QuarantineKind::unit, subject, why->message(), {}))
    on_quarantine_(db::QuarantineKind::unit, result.serial, *why);
}

void LineRules::judge_slot(const AttemptResult& result) {
  if (!admission::counts_against_slot(result.error->row().fault)) return;
  const db::Quarantines quarantines(records_);
  const auto in_a_row = quarantines.consecutive_failures(result.slot);
  if (!in_a_row) return;
  admission::SlotFailures failures{.in_a_row = static_cast<unsigned>(*in_a_row)};
  {
    const std::scoped_lock lock(mutex_);
    auto& serials = failing_[result.slot];
    serials.insert(result.serial.empty() ? fmt::format("attempt {}", result.id.value_or(0)) : result.serial);
    failures.units = static_cast<unsigned>(serials.size());
  }
  const auto why = admission::judge_slot(armed_.quarantine, result.slot, failures);
  if (!why) return;
  if (quarantines.add(db::QuarantineKind::slot, result.slot, why->message(), {}))
    on_quarantine_(db::QuarantineKind::slot, result.slot, *why);
}

}  // namespace imprint::station::line
