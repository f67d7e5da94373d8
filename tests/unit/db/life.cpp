// SPDX-License-Identifier: GPL-3.0-or-later
// The deeds: one call of each kind that changes the records.
#include "tests/unit/db/life.hpp"

#include "db/admissions.hpp"
#include "db/armings.hpp"
#include "db/audit.hpp"
#include "db/chain.hpp"
#include "db/orders.hpp"
#include "db/outbox.hpp"
#include "db/people.hpp"
#include "db/quarantines.hpp"
#include "db/retention.hpp"
#include "db/rulings.hpp"
#include "db/serials.hpp"
#include "db/units.hpp"
#include "tests/unit/db/fixture.hpp"

namespace imprint::db::test {
namespace {

const Actor kAda{1, 1};  // the first person and the first session

template <class T>
core::Status status(const core::Result<T>& result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

std::vector<Deed> deeds_of_people() {
  return {
      {"person", [](const Records& r) { return status(People(r).add("engineer", "Ada", "B1", {})); },
       [](const Records& r) { return !good(People(r).list()).empty(); }},
      {"credential", [](const Records& r) { return People(r).set_credential(1, "hash"); },
       [](const Records& r) {
         const auto people = good(People(r).list());
         const bool erased = !people.empty() && people[0].name.empty();
         return erased || good(People(r).credential(1)).has_value();
       }},
      {"session", [](const Records& r) { return status(People(r).open_session(1, "kiosk")); },
       [](const Records& r) { return !good(People(r).open_sessions()).empty(); }},
      {"order",
       [](const Records& r) {
         return status(Orders(r).create({.number = "W1", .product = "gateway", .quantity = 10, .by = kAda}));
       },
       [](const Records& r) { return !good(Orders(r).list()).empty(); }},
      {"arming",
       [](const Records& r) { return status(Armings(r).arm({.product = "gateway", .work_order = 1, .by = kAda})); },
       [](const Records& r) { return good(Armings(r).last_loaded()).has_value(); }},
      {"audit",
       [](const Records& r) { return status(Audit(r).add({.by = kAda, .from = "kiosk", .action = "slot.release"})); },
       [](const Records& r) { return !good(Audit(r).newest(9)).empty(); }},
      {"image",
       [](const Records& r) {
         return status(Admissions(r).add({.sha256 = "ab12", .size = 5, .decision = "admitted", .by = kAda}));
       },
       [](const Records& r) { return good(Admissions(r).standing("ab12")).has_value(); }},
      {"slot map",
       [](const Records& r) {
         const std::vector<SlotOfMap> slots = {{"1", "1-2.1"}, {"2", "1-2.2"}};
         return Admissions(r).note_slot_map("s1", slots);
       },
       [](const Records& r) {
         const auto slots = good(Admissions(r).slot_map("s1"));
         REQUIRE((slots.empty() || slots.size() == 2));
         return !slots.empty();
       }},
      {"range",
       [](const Records& r) {
         return status(Serials(r).add_range({.product = "gateway", .first = 1, .last = 9, .by = kAda}));
       },
       [](const Records& r) { return !good(Serials(r).ranges("gateway")).empty(); }},
      {"serial", [](const Records& r) { return status(Serials(r).allot("gateway", {})); },
       [](const Records& r) { return good(Serials(r).left("gateway")) == 8; }},
  };
}

std::vector<Deed> deeds_of_attempt() {
  return {
      {"attempt",
       [](Records& r) {
         NewAttempt attempt = opening();
         attempt.work_order = 1;
         attempt.session = 1;
         return status(r.open_attempt(attempt));
       },
       [](const Records& r) { return !good(r.attempts({})).empty(); }},
      {"identity", [](Records& r) { return status(r.identify(1, identity("A1"))); },
       [](const Records& r) { return good(Units(r).find("gateway", "A1")).has_value(); }},
      {"step",
       [](Records& r) {
         const Step step{.name = "write", .ok = true, .started = at("2026-11-21T10:00:00.000Z")};
         return r.add_step(1, step);
       },
       [](const Records& r) {
         const auto attempts = good(r.attempts({}));
         return !attempts.empty() && !good(r.steps(1)).empty();
       }},
      {"findings",
       [](Records& r) {
         const std::vector<FindingRow> findings = {{"layout.gpt-backup", "pass", "error", "", "", ""},
                                                   {"layout.gpt-primary", "pass", "error", "", "", ""}};
         return r.add_findings(1, findings);
       },
       [](const Records& r) {
         if (good(r.attempts({})).empty()) return false;
         const auto findings = good(r.findings(1));
         REQUIRE((findings.empty() || findings.size() == 2));
         return !findings.empty();
       }},
      {"closing", [](Records& r) { return r.close_attempt(1, passed()); },
       [](const Records& r) {
         const auto attempts = good(r.attempts({}));
         const bool closed = !attempts.empty() && attempts[0].close;
         // What systems beyond are told goes with the closing, and the other way round.
         REQUIRE(closed == (raw(r.path()).execAndGet("SELECT COUNT(*) FROM outbox").getInt() == 1));
         if (closed) {
           REQUIRE(attempts[0].unit);
           REQUIRE(attempts[0].close->proof == ProofLevel::inspected);
         }
         return closed;
       }},
      {"delivery", [](const Records& r) { return Outbox(r).mark_delivered(1); },
       [](const Records& r) {
         return raw(r.path()).execAndGet("SELECT COUNT(*) FROM outbox_deliveries").getInt() == 1;
       }},
  };
}

std::vector<Deed> deeds_of_rulings() {
  return {
      {"quarantine",
       [](const Records& r) { return status(Quarantines(r).add(QuarantineKind::slot, "1", "three in a row", {})); },
       [](const Records& r) { return !good(Quarantines(r).list(true)).empty(); }},
      {"lifting", [](const Records& r) { return Quarantines(r).lift(1, "new cable", kAda); },
       [](const Records& r) {
         const auto rows = good(Quarantines(r).list(true));
         return !rows.empty() && rows[0].lifted;
       }},
      {"correction",
       [](const Records& r) {
         return status(Rulings(r).correct({.unit = 1, .text = "board rev C", .reason = "label", .by = kAda}));
       },
       [](const Records& r) { return !good(Rulings(r).corrections(Period())).empty(); }},
      {"waiver",
       [](const Records& r) {
         return status(Rulings(r).waive({.check = "layout.free-space",
                                         .product = "gateway",
                                         .reason = "known",
                                         .role = "qa",
                                         .expires = at("2027-01-01T00:00:00.000Z"),
                                         .by = kAda}));
       },
       [](const Records& r) { return !good(Rulings(r).all_waivers()).empty(); }},
      {"scrap", [](const Records& r) { return Units(r).scrap(1, "burnt", kAda); },
       [](const Records& r) { return good(Units(r).is_scrapped(1)); }},
      {"end of order", [](const Records& r) { return Orders(r).close(1, "done", kAda); },
       [](const Records& r) {
         const auto rows = good(Orders(r).list());
         return !rows.empty() && rows[0].closed;
       }},
      {"exported head",
       [](const Records& r) { return status(Chain(r).export_head("line-3", "shift report", {}, kAda)); },
       [](const Records& r) { return !good(Chain(r).exported()).empty(); }},
      {"second audit",
       [](const Records& r) { return status(Audit(r).add({.by = kAda, .from = "kiosk", .action = "slot.arm"})); },
       [](const Records& r) {
         const auto rows = good(Audit(r).newest(9));
         return !rows.empty() && rows.back().entry.action == "slot.arm";
       }},
      {"retention",
       [](const Records& r) {
         return status(Retention(r).retire(
             {.before = at("2099-01-01T00:00:00.000Z"), .audit = true, .reason = "policy", .by = kAda}));
       },
       [](const Records& r) { return raw(r.path()).execAndGet("SELECT COUNT(*) FROM retentions").getInt() == 1; }},
      {"erased person", [](const Records& r) { return People(r).erase(1, "asked for", {}); },
       [](const Records& r) {
         const auto people = good(People(r).list());
         return !people.empty() && people[0].name.empty();
       }},
  };
}

}  // namespace

std::vector<Deed> deeds() {
  std::vector<Deed> out = deeds_of_people();
  for (const auto& more : {deeds_of_attempt(), deeds_of_rulings()}) out.insert(out.end(), more.begin(), more.end());
  return out;
}

Told live(const std::filesystem::path& database, const std::string& vfs) {
  Told told;
  const HandClock clock;
  const auto records = Records::open(database, clock, {.vfs = vfs, .busy_timeout = std::chrono::milliseconds(1)});
  told.opened = records.has_value();
  if (!records) told.error = records.error().id();
  if (!records) return told;
  for (const Deed& deed : deeds()) {
    const core::Status done = deed.doing(**records);
    if (!done) {
      told.failed = true;
      told.error = done.error().id();
      return told;
    }
    ++told.deeds;
  }
  return told;
}

void check_what_is_left(const std::filesystem::path& database, const Told& told, bool unsure) {
  const HandClock clock;
  const auto records = good(Records::open(database, clock));
  good(records->check_integrity());
  const ChainReport report = good(Chain(*records).verify());
  good(proved(report));
  const auto all = deeds();
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(all[i].name);
    const bool done = all[i].done(*records);
    if (i < told.deeds) REQUIRE(done);
    if (i > told.deeds || (i == told.deeds && !(told.failed && (unsure || told.error == "records.erase-pending"))))
      REQUIRE_FALSE(done);
  }
  const bool running = told.deeds > 10 && told.deeds < 15;  // the attempt is the eleventh
  const auto closed = good(records->close_interrupted());
  if (!unsure) REQUIRE(closed == (running ? 1 : 0));
  for (const AttemptRow& row : good(records->attempts({}))) REQUIRE(row.close);
  REQUIRE(good(People(*records).open_sessions()).empty());
  const auto loaded = good(Armings(*records).last_loaded());
  if (loaded) REQUIRE(loaded->disarmed);
  good(proved(good(Chain(*records).verify())));
}

}  // namespace imprint::db::test
