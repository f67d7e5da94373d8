// SPDX-License-Identifier: GPL-3.0-or-later
// Signing in and out, and the people of the station.
#include <unistd.h>

#include "db/people.hpp"
#include "flash/core/text.hpp"
#include "station/api/errors.hpp"
#include "station/line/errors.hpp"
#include "station/methods/call.hpp"
#include "station/people/errors.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::int64_t kMostPeople = 1LL << 40;

json::object to_json(const line::SignedIn& who) {
  json::array may;
  for (const people::Permission& permission : people::kPermissions)
    if (people::check_permission(who.standing, permission.action, "a reason")) may.emplace_back(permission.name);
  return {{"person", who.person},
          {"name", core::printable(who.name)},
          {"role", people::to_string(who.standing.role)},
          {"gave_pin", who.standing.gave_pin},
          {"may", std::move(may)}};
}

core::Result<json::value> sign_in(Call& call) {
  const std::string name = call.params().text_or("name", {});
  const std::string badge = call.params().text_or("badge", {});
  std::string pin = call.params().text_or("pin", {});
  IMPRINT_CHECK(call.params().finish());
  if (name.empty() == badge.empty()) return api::fail("api.params-invalid", "give a name or a badge");
  line::SignIns& sign_ins = call.station().sign_ins;
  std::optional<trust::Secret> secret;
  if (!pin.empty()) secret = trust::Secret::take(std::move(pin));
  if (!name.empty() && !secret) return api::fail("api.params-invalid", "a name needs a PIN").with("parameter", "pin");
  // By user and not by process: another process is another try of the same hands.
  const std::string from = "uid " + std::to_string(call.caller().peer.uid);
  const auto also = [&](const line::SignedIn& person) {
    call.remember(person);
    call.about(std::to_string(person.person), {{"gave_pin", person.standing.gave_pin}});
    return call.add_row();
  };
  IMPRINT_TRY(const line::SignedIn who, name.empty() ? sign_ins.by_badge(badge, secret, from, also)
                                                     : sign_ins.by_name(name, *secret, from, also));
  // The connection was somebody else's before: that sign-in is over here.
  if (!call.caller().token.empty()) static_cast<void>(sign_ins.sign_out(call.caller().token, "somebody else"));
  call.caller().token = who.token;
  json::object out = to_json(who);
  out["token"] = who.token;
  return out;
}

core::Result<json::value> resume(Call& call) {
  const std::string token = call.params().text("token");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const line::SignedIn who, call.station().sign_ins.resume(token));
  call.caller().token = who.token;
  return to_json(who);
}

line::SignIns::Also adds_row(Call& call) {
  return [&call](const line::SignedIn& /*who*/) { return call.add_row(); };
}

core::Result<json::value> sign_out(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  call.about(std::to_string(call.actor().operator_id.value_or(0)));
  IMPRINT_CHECK(call.station().sign_ins.sign_out(call.caller().token, "signed out", adds_row(call)));
  call.caller().token.clear();
  return true;
}

core::Result<json::value> who(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const line::SignedIn person, call.person());
  return to_json(person);
}

core::Result<json::value> first(Call& call) {
  const std::string name = call.params().text("name");
  std::string pin = call.params().text("pin");
  IMPRINT_CHECK(call.params().finish());
  // Whoever owns the machine or the station's files could write the records anyway.
  const uid_t uid = call.caller().peer.uid;
  if (uid != 0 && uid != ::geteuid()) return line::fail("people.first-refused");
  const auto also = [&call](const line::SignedIn& made) {
    call.about(std::to_string(made.person));
    return call.add_row();
  };
  IMPRINT_TRY(const auto person, call.station().sign_ins.make_first(name, trust::Secret::take(std::move(pin)), also));
  return json::object{{"person", person}};
}

core::Result<json::value> list(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  if (call.caller().peer.uid != 0 || call.standing()) IMPRINT_CHECK(call.require(people::Action::manage_people, {}));
  IMPRINT_TRY(const auto all, db::People(call.station().records).list());
  json::array people;
  for (const db::Person& person : all)
    people.push_back(json::object{{"person", person.id},
                                  {"name", core::printable(person.name)},
                                  {"badge", core::printable(person.badge)},
                                  {"role", core::printable(person.role)},
                                  {"active", person.active},
                                  {"locked", call.station().sign_ins.is_locked(person.id)}});
  return json::object{{"people", std::move(people)}};
}

core::Result<std::string> role_of(const std::string& text) {
  if (people::parse_role(text)) return text;
  return api::fail("api.params-invalid", "operator, qa, manager or engineer").with("parameter", "role");
}

// Only engineers make engineers, or change anything about one: whoever sets a PIN can sign as that person. Root owns
// the machine, and helps where nobody can sign in any more.
core::Status may_manage(Call& call, db::OperatorId person, const std::string& new_role = {}) {
  if (call.caller().peer.uid == 0 && !call.standing()) return {};
  IMPRINT_CHECK(call.require(people::Action::manage_people, {}));
  bool is_engineer = new_role == people::to_string(people::Role::engineer);
  if (person != 0) {
    IMPRINT_TRY(const db::Person whom, db::People(call.station().records).get(person));
    is_engineer = is_engineer || whom.role == people::to_string(people::Role::engineer);
  }
  if (is_engineer && call.standing()->role != people::Role::engineer) return people::fail("people.not-allowed");
  return {};
}

// Somebody has to be left who can let others in.
core::Status not_the_last(const Call& call, db::OperatorId person) {
  IMPRINT_TRY(const bool last, call.station().sign_ins.is_last_manager(person));
  if (last) return line::fail("people.last-manager");
  return {};
}

core::Result<json::value> add(Call& call) {
  const std::string name = call.params().text("name");
  const std::string role_text = call.params().text("role");
  const std::string badge = call.params().text_or("badge", {});
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const std::string role, role_of(role_text));
  IMPRINT_CHECK(may_manage(call, 0, role));
  db::OperatorId person = 0;
  IMPRINT_CHECK(call.change([&]() -> core::Status {
    IMPRINT_TRY(person, db::People(call.station().records).add(role, name, badge, call.actor()));
    call.about(std::to_string(person), {{"role", role}});
    return {};
  }));
  return json::object{{"person", person}};
}

db::OperatorId person_of(Call& call) { return call.params().number("person", 1, kMostPeople); }

core::Result<json::value> set_pin(Call& call) {
  const db::OperatorId person = person_of(call);
  std::string pin = call.params().text("pin");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_CHECK(may_manage(call, person));
  call.about(std::to_string(person));
  IMPRINT_CHECK(call.station().sign_ins.set_pin(person, trust::Secret::take(std::move(pin)), adds_row(call)));
  return true;
}

core::Result<json::value> set_name(Call& call) {
  const db::OperatorId person = person_of(call);
  const std::string name = call.params().text("name");
  const std::string badge = call.params().text_or("badge", {});
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_CHECK(may_manage(call, person));
  call.about(std::to_string(person));
  IMPRINT_CHECK(call.change([&] { return db::People(call.station().records).set_name(person, name, badge); }));
  return true;
}

core::Result<json::value> set_role(Call& call) {
  const db::OperatorId person = person_of(call);
  const std::string role_text = call.params().text("role");
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const std::string role, role_of(role_text));
  IMPRINT_CHECK(may_manage(call, person, role));
  if (call.actor().operator_id == person) return line::fail("people.own-role");
  call.about(std::to_string(person), {{"role", role}, {"reason", reason}});
  IMPRINT_CHECK(call.change([&]() -> core::Status {
    if (!people::may(*people::parse_role(role), people::Action::manage_people))
      IMPRINT_CHECK(not_the_last(call, person));
    return db::People(call.station().records).set_role(person, role, reason, call.actor());
  }));
  call.station().sign_ins.end_all_of(person, "another role");
  return true;
}

core::Result<json::value> set_active(Call& call) {
  const db::OperatorId person = person_of(call);
  const bool active = call.params().flag("active");
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_CHECK(may_manage(call, person));
  call.about(std::to_string(person), {{"active", active}, {"reason", reason}});
  IMPRINT_CHECK(call.change([&]() -> core::Status {
    if (!active) IMPRINT_CHECK(not_the_last(call, person));
    return db::People(call.station().records).set_active(person, active, reason, call.actor());
  }));
  if (!active) call.station().sign_ins.end_all_of(person, "disabled");
  return true;
}

core::Result<json::value> erase(Call& call) {
  const db::OperatorId person = person_of(call);
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_CHECK(may_manage(call, person));
  call.about(std::to_string(person), {{"reason", reason}});
  const db::People people(call.station().records);
  IMPRINT_CHECK(call.change([&]() -> core::Status {
    IMPRINT_CHECK(not_the_last(call, person));
    return people.erase(person, reason, call.actor());
  }));
  call.station().sign_ins.end_all_of(person, "erased");
  // Gone from the tables in both cases; a reader may keep the log that still has it.
  return json::object{{"pending", !people.finish_erasure(person)}};
}

// One's own, with the old one: whoever set it for somebody else knew it.
core::Result<json::value> change_pin(Call& call) {
  std::string old_pin = call.params().text("old_pin");
  std::string pin = call.params().text("pin");
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const line::SignedIn who, call.person());
  call.about(std::to_string(who.person));
  const std::string from = "uid " + std::to_string(call.caller().peer.uid);
  IMPRINT_CHECK(call.station().sign_ins.change_pin(who.person, trust::Secret::take(std::move(old_pin)),
                                                   trust::Secret::take(std::move(pin)), from, adds_row(call)));
  call.caller().token.clear();
  return true;
}

core::Result<json::value> unlock(Call& call) {
  const db::OperatorId person = person_of(call);
  const std::string reason = call.params().text("reason");
  IMPRINT_CHECK(call.params().finish());
  if (call.caller().peer.uid != 0 || call.standing())
    IMPRINT_CHECK(call.require(people::Action::unlock_person, reason));
  call.about(std::to_string(person), {{"reason", reason}});
  IMPRINT_CHECK(call.change());
  call.station().sign_ins.unlock(person);
  return true;
}

constexpr NamedHandler kHandlers[] = {
    {"people.sign_in", sign_in},   {"people.resume", resume},         {"people.sign_out", sign_out},
    {"people.who", who},           {"people.first", first},           {"people.list", list},
    {"people.add", add},           {"people.set_pin", set_pin},       {"people.set_name", set_name},
    {"people.set_role", set_role}, {"people.set_active", set_active}, {"people.erase", erase},
    {"people.unlock", unlock},     {"people.change_pin", change_pin},
};

}  // namespace

Handler people_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
