// SPDX-License-Identifier: GPL-3.0-or-later
// One call of a method: who calls, with which parameters, over which parts of the station. Private to this folder.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <optional>
#include <string>

#include "db/audit.hpp"
#include "station/api/rpc.hpp"
#include "station/line/sign_ins.hpp"
#include "station/methods/api.hpp"
#include "station/people/permissions.hpp"

namespace imprint::station::methods {

namespace json = boost::json;

// What a connection remembers from call to call.
struct Caller {
  service::Peer peer;
  std::string from;   // "uid 1000, pid 33"
  std::string token;  // of its sign-in; empty for none
  std::optional<std::uint64_t> listens_from;
};

// One thread.
class Call {
 public:
  Call(const StationParts& station, Caller& caller, const Method& method, const json::object& params)
      : station_(station), caller_(caller), method_(method), params_(params) {}

  [[nodiscard]] const StationParts& station() const { return station_; }
  [[nodiscard]] Caller& caller() { return caller_; }
  [[nodiscard]] api::Params& params() { return params_; }

  // Who is signed in here; `people.session-needed`, `people.session-ended`.
  [[nodiscard]] core::Result<line::SignedIn> person();  // counts as a touch
  // The same without a touch, for methods that need nobody: a screen that asks for the state is nobody at work.
  void look_who();
  // May the one who calls do this? Asked by methods whose parameters decide; the dispatcher asks it of the others.
  [[nodiscard]] core::Status require(people::Action action, std::string_view reason);
  [[nodiscard]] db::Actor actor() const { return actor_; }
  [[nodiscard]] const std::string& person_name() const { return name_; }
  [[nodiscard]] std::optional<people::Standing> standing() const { return standing_; }

  // For the audit row: what the method did it to, and what else is worth keeping. No names of people, no secrets.
  void about(std::string subject, json::object detail = {});
  // Runs `work`, and adds the row, in one transaction of the records: both are kept, or neither. What changes the
  // records is changed in here, or by who calls add_row() within a transaction of its own. `work` takes no lock.
  [[nodiscard]] core::Status change(const std::function<core::Status()>& work = {});
  [[nodiscard]] core::Status add_row();
  // Before anything is changed that is not in the records: files, what is armed. How it ended is a row of its own, by
  // change() for what has rows beside it, by end_badly(), or else by the dispatcher.
  [[nodiscard]] core::Status begin();
  // The same before something is stopped, which nobody is refused for want of a row: on a full disk, say. Whoever asked
  // is told of the row that is missing once it is done.
  void begin_stopping();
  [[nodiscard]] core::Status end_badly(const core::Error& why, const std::function<core::Status()>& work = {});
  // From here on: whoever has just signed in.
  void remember(const line::SignedIn& who);

  // For the dispatcher, once the method has ended.
  [[nodiscard]] core::Status finish_audit(const core::Error* why);
  [[nodiscard]] db::NewAudit row() const;

 private:
  const StationParts& station_;
  Caller& caller_;
  const Method& method_;
  api::Params params_;
  db::Actor actor_;
  std::string name_;
  std::optional<people::Standing> standing_;
  std::string subject_;
  json::object detail_;
  std::optional<db::AuditId> begun_;
  bool audited_ = false;
  bool half_done_ = false;  // what is beyond the records was changed, and its row is not kept
};

using Handler = core::Result<json::value> (*)(Call&);
// Each group's methods by name; nothing where the group does not have it.
[[nodiscard]] Handler station_handler(std::string_view method);
[[nodiscard]] Handler people_handler(std::string_view method);
[[nodiscard]] Handler order_handler(std::string_view method);
[[nodiscard]] Handler unit_handler(std::string_view method);
[[nodiscard]] Handler image_handler(std::string_view method);
[[nodiscard]] Handler job_handler(std::string_view method);
[[nodiscard]] Handler record_handler(std::string_view method);
[[nodiscard]] Handler device_handler(std::string_view method);
[[nodiscard]] Handler report_handler(std::string_view method);

// A name and its function, for the tables of the groups.
struct NamedHandler {
  std::string_view name;
  Handler handler;
};
template <std::size_t kCount>
[[nodiscard]] Handler find_handler(const NamedHandler (&table)[kCount], std::string_view name) {
  for (const NamedHandler& entry : table)
    if (entry.name == name) return entry.handler;
  return nullptr;
}

// "2026-11-21T10:20:30+01:00"; nothing for an empty text. `api.params-invalid` with the parameter's name.
[[nodiscard]] core::Result<std::optional<core::UtcTime>> time_of(const std::string& text, std::string_view parameter);

}  // namespace imprint::station::methods
