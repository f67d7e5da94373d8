// SPDX-License-Identifier: GPL-3.0-or-later
// People at the station. An operator is a number and a role inside the chain; name, badge and PIN hash stand outside of
// it, so that a person can be erased and the records stay provable.
#pragma once

#include "db/records.hpp"

namespace imprint::db {

struct Person {
  OperatorId id = 0;
  std::string role;  // as last given
  bool active = true;
  std::string name;   // empty once erased
  std::string badge;  // empty without one, or once erased
};

struct SessionRow {
  SessionId id = 0;
  OperatorId operator_id = 0;
  std::string from;
  core::UtcTime opened{};
  std::optional<core::UtcTime> closed;
  std::string closed_reason;
};

// Thread-safe, as Records is.
class People {
 public:
  explicit People(const Records& records) : records_(records) {}

  // Name and badge are unique among those who have one: `records.exists`. `records.value-unusable` for an empty name.
  [[nodiscard]] core::Result<OperatorId> add(const std::string& role, const std::string& name, const std::string& badge,
                                             const Actor& by) const;
  // Replaces them; the old ones are gone from the file, for they are no records. `records.unknown`, `records.exists`.
  [[nodiscard]] core::Status set_name(OperatorId person, const std::string& name, const std::string& badge) const;
  // The hash is opaque text (never a PIN); the newest wins. `records.unknown`.
  [[nodiscard]] core::Status set_credential(OperatorId person, const std::string& hash) const;
  [[nodiscard]] core::Status set_role(OperatorId person, const std::string& role, const std::string& reason,
                                      const Actor& by) const;
  // Takes part no more, or again; ends no session. A row with reason and name of who did it.
  [[nodiscard]] core::Status set_active(OperatorId person, bool active, const std::string& reason,
                                        const Actor& by) const;
  // Name, badge and hashes are overwritten in the file and gone from its log; the number and its rows stay, disabled.
  // Backups made before still hold them. `records.unknown`; `records.erase-pending` when a reader keeps the log from
  // being emptied: the rows are gone then, and a later call or the next start empties it. Within together() the log
  // is left to finish_erasure(), to be called behind it.
  [[nodiscard]] core::Status erase(OperatorId person, const std::string& reason, const Actor& by) const;
  [[nodiscard]] core::Status finish_erasure(OperatorId person) const;  // `records.erase-pending`

  // `records.unknown`.
  [[nodiscard]] core::Result<Person> get(OperatorId person) const;
  // Nothing when nobody has it. Erased people have neither.
  [[nodiscard]] core::Result<std::optional<Person>> find_by_name(std::string_view name) const;
  [[nodiscard]] core::Result<std::optional<Person>> find_by_badge(std::string_view badge) const;
  [[nodiscard]] core::Result<std::vector<Person>> list() const;
  // The newest; nothing when there is none.
  [[nodiscard]] core::Result<std::optional<std::string>> credential(OperatorId person) const;

  // `from`: kiosk, socket peer, program. `records.unknown`, `records.person-disabled`.
  [[nodiscard]] core::Result<SessionId> open_session(OperatorId person, const std::string& from) const;
  // `records.unknown`; closing twice changes nothing.
  [[nodiscard]] core::Status close_session(SessionId session, const std::string& reason) const;
  [[nodiscard]] core::Result<std::vector<SessionRow>> open_sessions() const;

 private:
  const Records& records_;
};

}  // namespace imprint::db
