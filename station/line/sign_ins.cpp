// SPDX-License-Identifier: GPL-3.0-or-later
// Signing in and out.
#include "station/line/sign_ins.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "db/audit.hpp"
#include "db/together.hpp"
#include "flash/core/text.hpp"
#include "station/line/errors.hpp"
#include "station/people/errors.hpp"

namespace imprint::station::line {
namespace {

// Nobody types more people in than this at one station; a token costs memory.
constexpr std::size_t kMostSignIns = 256;
constexpr const char* kWrongPin = "people.wrong_pin";
constexpr std::string_view kUnknown = "unknown ";
constexpr std::size_t kLookBack = 20000;  // audit entries: some days of a busy line

core::Result<std::string> new_token() {
  std::array<std::uint8_t, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    return people::fail("people.hash-failed", "no random numbers");
  return core::to_hex(bytes);
}

}  // namespace

SignIns::SignIns(db::Records& records, const SignInRules& rules, const std::function<Clock::time_point()>& now)
    : records_(records), people_(records), rules_(rules), now_(now), limiter_(rules_.attempts, now) {
  restore_counts();
}

// Tries stand in the audit log, so that a restart gives nobody a fresh start.
void SignIns::note_wrong_pin(const std::string& subject, const std::string& from) const {
  const bool is_known = !subject.starts_with(kUnknown);
  // What was typed in place of a name may be a PIN: it is not kept.
  static_cast<void>(db::Audit(records_).add({.from = from,
                                             .action = kWrongPin,
                                             .subject = is_known ? subject : std::string("nobody of this name"),
                                             .outcome = db::AuditOutcome::refused,
                                             .error_id = "people.pin-wrong"}));
}

void SignIns::restore_counts() {
  const auto rows = db::Audit(records_).newest(kLookBack);
  if (!rows) return;  // the records say so themselves at the next call
  std::map<std::string, unsigned> wrong;
  for (const db::AuditRow& row : *rows) {
    if (row.entry.action == kWrongPin) {
      ++wrong[row.entry.subject];
    } else if (row.entry.outcome != db::AuditOutcome::done) {
      continue;  // somebody tried to, who may not
    } else if (row.entry.action == "people.unlock" ||
               (row.entry.action == "people.sign_in" && row.entry.detail == R"({"gave_pin":true})")) {
      wrong.erase(row.entry.subject);
    }
  }
  std::vector<people::AttemptLimiter::Count> counts;
  counts.reserve(wrong.size());
  for (const auto& [subject, count] : wrong)
    counts.push_back({people::AttemptLimiter::Subject::person, subject, count});
  limiter_.restore(counts);
}

SignIns::Entrance SignIns::begin(const std::string& from, const Also& also) const {
  const std::scoped_lock lock(mutex_);
  return {from, endings_, also};
}

core::Result<SignedIn> SignIns::enter(const db::Person& person, bool gave_pin, const Entrance& entrance) {
  // As it is now: checking a PIN takes its time, and somebody may have been disabled meanwhile.
  IMPRINT_TRY(const db::Person now, people_.get(person.id));
  const auto role = people::parse_role(now.role);
  if (!role || !now.active) return people::fail("people.pin-wrong");
  SignedIn who;
  IMPRINT_TRY(who.token, new_token());
  who.person = person.id;
  who.name = person.name;
  who.standing = {*role, gave_pin};
  IMPRINT_CHECK(db::together(records_, [&]() -> core::Status {
    IMPRINT_TRY(who.session, people_.open_session(person.id, entrance.from));
    return entrance.also ? entrance.also(who) : core::Status{};
  }));
  const auto touched = now_();
  const std::scoped_lock lock(mutex_);
  // Disabled, or given another PIN or role, after the records were asked: whoever ended the person's sign-ins found
  // none.
  const auto ended = ended_.find(person.id);
  if (ended != ended_.end() && ended->second > entrance.endings) {
    static_cast<void>(people_.close_session(who.session, "ended while it was made"));
    return people::fail("people.pin-wrong");
  }
  if (entries_.size() >= kMostSignIns) {
    const auto oldest = std::ranges::min_element(entries_, {}, [](const auto& entry) { return entry.second.touched; });
    static_cast<void>(people_.close_session(oldest->second.who.session, "too many sign-ins"));
    entries_.erase(oldest);
  }
  entries_[who.token] = {who, touched};
  return who;
}

// Set anew while the former one was being checked: what was typed is of the past.
core::Status SignIns::check_still(db::OperatorId person, const std::optional<std::string>& stored) const {
  IMPRINT_TRY(const auto now, people_.credential(person));
  if (now != stored) return people::fail("people.pin-wrong");
  return {};
}

core::Status SignIns::check(const std::optional<std::string>& stored, const trust::Secret& pin) {
  IMPRINT_TRY(const bool right, stored ? people::is_pin(pin, *stored) : people::check_nobody(pin));
  if (!right) return people::fail("people.pin-wrong");
  return {};
}

core::Status SignIns::verify(const std::optional<db::Person>& person, const std::string& who, const trust::Secret& pin,
                             const std::string& from) {
  const std::string subject = person ? std::to_string(person->id) : std::string(kUnknown) + who;
  IMPRINT_CHECK(limiter_.begin(subject, from));
  std::optional<std::string> stored;
  if (person && person->active) {
    auto credential = people_.credential(person->id);
    if (!credential) {
      limiter_.withdrawn(subject, from);
      return std::unexpected(std::move(credential).error());
    }
    stored = std::move(*credential);
  }
  core::Status right = check(stored, pin);
  if (right) right = check_still(person->id, stored);
  if (!right) {
    // What is the station's fault is no wrong PIN.
    if (right.error().id() != "people.pin-wrong") {
      limiter_.withdrawn(subject, from);
    } else {
      note_wrong_pin(subject, from);
    }
    return std::unexpected(right.error());
  }
  limiter_.succeeded(subject, from);
  return {};
}

core::Result<SignedIn> SignIns::with_pin(const std::optional<db::Person>& person, const std::string& who,
                                         const trust::Secret& pin, const Entrance& entrance) {
  IMPRINT_CHECK(verify(person, who, pin, entrance.from));
  return enter(*person, true, entrance);
}

core::Status SignIns::change_pin(db::OperatorId person, const trust::Secret& old_pin, const trust::Secret& pin,
                                 const std::string& from, const Also& also) {
  IMPRINT_CHECK(people::check_pin(pin, rules_.pin));
  IMPRINT_TRY(const db::Person who, people_.get(person));
  IMPRINT_CHECK(verify(who, who.name, old_pin, from));
  return set_pin(person, pin, also);
}

core::Result<SignedIn> SignIns::by_name(const std::string& name, const trust::Secret& pin, const std::string& from,
                                        const Also& also) {
  const Entrance entrance = begin(from, also);
  IMPRINT_TRY(const auto person, people_.find_by_name(name));
  return with_pin(person, name, pin, entrance);
}

core::Result<SignedIn> SignIns::by_badge(const std::string& badge, const std::optional<trust::Secret>& pin,
                                         const std::string& from, const Also& also) {
  const Entrance entrance = begin(from, also);
  IMPRINT_TRY(const auto person, people_.find_by_badge(badge));
  if (pin) return with_pin(person, badge, *pin, entrance);
  // Badges can be guessed, too: slowed down the same way.
  const std::string subject = person ? std::to_string(person->id) : std::string(kUnknown) + badge;
  if (!person) {
    IMPRINT_CHECK(limiter_.begin(subject, from));
    return people::fail("people.pin-wrong");
  }
  return enter(*person, false, entrance);
}

core::Result<SignedIn> SignIns::resume(std::string_view token) {
  end_idle();
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(token);
  if (found == entries_.end()) return fail("people.session-ended");
  found->second.touched = now_();
  return found->second.who;
}

core::Result<SignedIn> SignIns::look(std::string_view token) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(token);
  if (found == entries_.end()) return fail("people.session-ended");
  return found->second.who;
}

std::optional<db::Actor> SignIns::at_work() {
  const std::scoped_lock lock(mutex_);
  const auto last = std::ranges::max_element(entries_, {}, [](const auto& entry) { return entry.second.touched; });
  if (last == entries_.end()) return std::nullopt;
  if (rules_.sign_out_after.count() > 0 && now_() - last->second.touched >= rules_.sign_out_after) return std::nullopt;
  last->second.touched = now_();
  return last->second.who.actor();
}

core::Result<bool> SignIns::is_last_manager(db::OperatorId person) const {
  IMPRINT_TRY(const auto all, people_.list());
  for (const db::Person& other : all) {
    const auto role = people::parse_role(other.role);
    if (other.id == person || !other.active || !role || !people::may(*role, people::Action::manage_people)) continue;
    IMPRINT_TRY(const auto credential, people_.credential(other.id));
    if (credential) return false;
  }
  return true;
}

core::Status SignIns::sign_out(std::string_view token, const std::string& why, const Also& also) {
  IMPRINT_TRY(const SignedIn who, look(token));
  IMPRINT_CHECK(db::together(records_, [&]() -> core::Status {
    IMPRINT_CHECK(people_.close_session(who.session, why));
    return also ? also(who) : core::Status{};
  }));
  const std::scoped_lock lock(mutex_);
  entries_.erase(who.token);
  return {};
}

std::size_t SignIns::end_idle() {
  if (rules_.sign_out_after.count() == 0) return 0;
  std::vector<db::SessionId> ended;
  {
    const std::scoped_lock lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      if (now_() - entry->second.touched < rules_.sign_out_after) {
        ++entry;
        continue;
      }
      ended.push_back(entry->second.who.session);
      entry = entries_.erase(entry);
    }
  }
  // The sign-in has ended in any case; a row that could not be written now is closed at the next start.
  for (const db::SessionId session : ended) static_cast<void>(people_.close_session(session, "not used"));
  return ended.size();
}

void SignIns::end_all_of(db::OperatorId person, const std::string& why) {
  std::vector<db::SessionId> ended;
  {
    const std::scoped_lock lock(mutex_);
    ended_[person] = ++endings_;
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      if (entry->second.who.person != person) {
        ++entry;
        continue;
      }
      ended.push_back(entry->second.who.session);
      entry = entries_.erase(entry);
    }
  }
  for (const db::SessionId session : ended) static_cast<void>(people_.close_session(session, why));
}

core::Result<db::OperatorId> SignIns::make_first(const std::string& name, const trust::Secret& pin, const Also& also) {
  const std::scoped_lock lock(first_mutex_);
  IMPRINT_TRY(const auto all, people_.list());
  // Somebody without a PIN is left of a call that failed half way.
  for (const db::Person& person : all) {
    IMPRINT_TRY(const auto credential, people_.credential(person.id));
    if (credential) return fail("people.first-done");
  }
  IMPRINT_CHECK(people::check_pin(pin, rules_.pin));
  IMPRINT_TRY(const std::string hash, people::hash_pin(pin));
  IMPRINT_TRY(const auto former, people_.find_by_name(name));
  SignedIn who;
  who.person = former ? former->id : 0;
  IMPRINT_CHECK(db::together(records_, [&]() -> core::Status {
    const std::string role(people::to_string(people::Role::engineer));
    if (former) {
      IMPRINT_CHECK(people_.set_role(who.person, role, "the first engineer", {}));
      IMPRINT_CHECK(people_.set_active(who.person, true, "the first engineer", {}));
    } else {
      IMPRINT_TRY(who.person, people_.add(role, name, "", {}));
    }
    IMPRINT_CHECK(people_.set_credential(who.person, hash));
    return also ? also(who) : core::Status{};
  }));
  return who.person;
}

core::Status SignIns::set_pin(db::OperatorId person, const trust::Secret& pin, const Also& also) {
  IMPRINT_CHECK(people::check_pin(pin, rules_.pin));
  IMPRINT_TRY(const std::string hash, people::hash_pin(pin));
  SignedIn who;
  who.person = person;
  IMPRINT_CHECK(db::together(records_, [&]() -> core::Status {
    IMPRINT_CHECK(people_.set_credential(person, hash));
    return also ? also(who) : core::Status{};
  }));
  end_all_of(person, "another PIN");
  limiter_.unlock(std::to_string(person));
  return {};
}

void SignIns::unlock(db::OperatorId person) { limiter_.unlock(std::to_string(person)); }
bool SignIns::is_locked(db::OperatorId person) const { return limiter_.is_locked(std::to_string(person)); }

std::vector<SignedIn> SignIns::everybody() const {
  const std::scoped_lock lock(mutex_);
  std::vector<SignedIn> all;
  for (const auto& [token, entry] : entries_) {
    all.push_back(entry.who);
    all.back().token.clear();
  }
  return all;
}

}  // namespace imprint::station::line
