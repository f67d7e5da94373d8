// SPDX-License-Identifier: GPL-3.0-or-later
// Operators and sessions inside the chain, names and hashes outside of it.
#include "db/people.hpp"

#include "db/connection.hpp"

namespace imprint::db {
namespace {

constexpr const char* kColumns =
    "SELECT operator_id, role, active, COALESCE(name, ''), COALESCE(badge, '') FROM operator_states ";

Person person_of(Query& query) {
  return {query.number_at(0), query.text_at(1), query.number_at(2) != 0, query.text_at(3), query.text_at(4)};
}

core::Result<Person> person(SQLite::Database& database, OperatorId id) {
  Query query(database, std::string(kColumns) + "WHERE operator_id = ?");
  if (!query.number(id).next()) return fail("records.unknown").with("operator", id);
  return person_of(query);
}

// Name and badge belong to nobody else.
core::Status check_free(SQLite::Database& database, OperatorId mine, const std::string& name,
                        const std::string& badge) {
  IMPRINT_CHECK(check_filled(name, "name"));
  Query taken(database, "SELECT 1 FROM people_names WHERE operator_id <> ? AND (name = ? OR badge = ?)");
  if (taken.number(mine).text(name).text_or_null(badge).next()) {
    return fail("records.exists", "the name or the badge belongs to somebody else");
  }
  return {};
}

void change(SQLite::Database& database, const Person& to, const std::string& reason, const Actor& by,
            const std::string& now) {
  Query(database,
        "INSERT INTO operator_changes (operator_id, role, active, reason, changed_at, changed_by) "
        "VALUES (?, ?, ?, ?, ?, ?)")
      .number(to.id)
      .text(to.role)
      .number(to.active ? 1 : 0)
      .text(reason)
      .text(now)
      .number_or_null(by.operator_id)
      .run();
}

core::Result<std::optional<Person>> find(const Records& records, const char* condition, std::string_view value) {
  using Row = std::optional<Person>;
  return records.connection().read<Row>([&](SQLite::Database& database) -> core::Result<Row> {
    Query query(database, std::string(kColumns) + condition);
    if (value.empty() || !query.text(value).next()) return Row();
    return Row(person_of(query));
  });
}

}  // namespace

core::Result<OperatorId> People::add(const std::string& role, const std::string& name, const std::string& badge,
                                     const Actor& by) const {
  IMPRINT_CHECK(check_filled(role, "role"));
  Records::Connection& connection = records_.connection();
  return connection.write<OperatorId>([&](SQLite::Database& database) -> core::Result<OperatorId> {
    IMPRINT_CHECK(check_free(database, 0, name, badge));
    Query(database, "INSERT INTO operators (role, created_at, created_by) VALUES (?, ?, ?)")
        .text(role)
        .text(connection.now())
        .number_or_null(by.operator_id)
        .run();
    const OperatorId id = database.getLastInsertRowid();
    Query(database, "INSERT INTO people_names (operator_id, name, badge) VALUES (?, ?, ?)")
        .number(id)
        .text(name)
        .text_or_null(badge)
        .run();
    return id;
  });
}

core::Status People::set_name(OperatorId person_id, const std::string& name, const std::string& badge) const {
  return records_.connection().write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_there(database, "operators", person_id));
    IMPRINT_CHECK(check_free(database, person_id, name, badge));
    Query(database, "DELETE FROM people_names WHERE operator_id = ?").number(person_id).run();
    Query(database, "INSERT INTO people_names (operator_id, name, badge) VALUES (?, ?, ?)")
        .number(person_id)
        .text(name)
        .text_or_null(badge)
        .run();
    return {};
  });
}

core::Status People::set_credential(OperatorId person_id, const std::string& hash) const {
  IMPRINT_CHECK(check_filled(hash, "hash"));
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_there(database, "operators", person_id));
    Query(database, "INSERT INTO credentials (operator_id, hash, created_at) VALUES (?, ?, ?)")
        .number(person_id)
        .text(hash)
        .text(connection.now())
        .run();
    return {};
  });
}

core::Status People::set_role(OperatorId person_id, const std::string& role, const std::string& reason,
                              const Actor& by) const {
  IMPRINT_CHECK(check_filled(role, "role"));
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_TRY(auto who, person(database, person_id));
    who.role = role;
    change(database, who, reason, by, connection.now());
    return {};
  });
}

core::Status People::set_active(OperatorId person_id, bool active, const std::string& reason, const Actor& by) const {
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_TRY(auto who, person(database, person_id));
    who.active = active;
    change(database, who, reason, by, connection.now());
    return {};
  });
}

core::Status People::erase(OperatorId person_id, const std::string& reason, const Actor& by) const {
  Records::Connection& connection = records_.connection();
  IMPRINT_CHECK(connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_TRY(auto who, person(database, person_id));
    Query(database, "DELETE FROM credentials WHERE operator_id = ?").number(person_id).run();
    Query(database, "DELETE FROM people_names WHERE operator_id = ?").number(person_id).run();
    if (who.active) {
      who.active = false;
      change(database, who, reason, by, connection.now());
    }
    return {};
  }));
  return connection.is_within() ? core::Status{} : finish_erasure(person_id);
}

// The log still holds the pages as they were before.
core::Status People::finish_erasure(OperatorId person_id) const {
  if (records_.connection().empty_log()) return {};
  return fail("records.erase-pending").with("operator", person_id);
}

core::Result<Person> People::get(OperatorId person_id) const {
  return records_.connection().read<Person>(
      [&](SQLite::Database& database) -> core::Result<Person> { return person(database, person_id); });
}

core::Result<std::optional<Person>> People::find_by_name(std::string_view name) const {
  return find(records_, "WHERE name = ?", name);
}

core::Result<std::optional<Person>> People::find_by_badge(std::string_view badge) const {
  return find(records_, "WHERE badge = ?", badge);
}

core::Result<std::vector<Person>> People::list() const {
  using Rows = std::vector<Person>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, std::string(kColumns) + "ORDER BY operator_id");
    Rows rows;
    while (query.next()) rows.push_back(person_of(query));
    return rows;
  });
}

core::Result<std::optional<std::string>> People::credential(OperatorId person_id) const {
  using Hash = std::optional<std::string>;
  return records_.connection().read<Hash>([&](SQLite::Database& database) -> core::Result<Hash> {
    Query query(database, "SELECT hash FROM credentials WHERE operator_id = ? ORDER BY id DESC LIMIT 1");
    if (!query.number(person_id).next()) return Hash();
    return Hash(query.text_at(0));
  });
}

core::Result<SessionId> People::open_session(OperatorId person_id, const std::string& from) const {
  Records::Connection& connection = records_.connection();
  return connection.write<SessionId>([&](SQLite::Database& database) -> core::Result<SessionId> {
    IMPRINT_TRY(const auto who, person(database, person_id));
    if (!who.active) return fail("records.person-disabled").with("operator", person_id);
    Query(database, "INSERT INTO sessions (operator_id, opened_from, opened_at) VALUES (?, ?, ?)")
        .number(person_id)
        .text(from)
        .text(connection.now())
        .run();
    return database.getLastInsertRowid();
  });
}

core::Status People::close_session(SessionId session, const std::string& reason) const {
  Records::Connection& connection = records_.connection();
  return connection.write<void>([&](SQLite::Database& database) -> core::Status {
    IMPRINT_CHECK(check_there(database, "sessions", session));
    Query closed(database, "SELECT 1 FROM session_closings WHERE session_id = ?");
    if (closed.number(session).next()) return {};
    Query(database, "INSERT INTO session_closings (session_id, reason, closed_at) VALUES (?, ?, ?)")
        .number(session)
        .text(reason)
        .text(connection.now())
        .run();
    return {};
  });
}

core::Result<std::vector<SessionRow>> People::open_sessions() const {
  using Rows = std::vector<SessionRow>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(
        database,
        "SELECT s.id, s.operator_id, s.opened_from, s.opened_at FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM "
        "session_closings c WHERE c.session_id = s.id) ORDER BY s.id");
    Rows rows;
    while (query.next()) {
      SessionRow row;
      row.id = query.number_at(0);
      row.operator_id = query.number_at(1);
      row.from = query.text_at(2);
      IMPRINT_TRY(row.opened, query.time_at(3));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

}  // namespace imprint::db
