// SPDX-License-Identifier: GPL-3.0-or-later
// Migration 2: orders, people, arming, audit, rulings, serials, the outbox, and the chain over all of it.
#include <fmt/format.h>

#include "db/chained_tables.hpp"
#include "db/schema.hpp"

namespace imprint::db {
namespace {

// {0} stands for the check of a time.
constexpr const char* kPeople = R"sql(
CREATE TABLE operators (
  id INTEGER PRIMARY KEY,
  role TEXT NOT NULL CHECK (role <> ''),
  created_at TEXT NOT NULL CHECK (created_at {0}),
  created_by INTEGER REFERENCES operators (id)
) STRICT;

CREATE TABLE operator_changes (
  id INTEGER PRIMARY KEY,
  operator_id INTEGER NOT NULL REFERENCES operators (id),
  role TEXT NOT NULL CHECK (role <> ''),
  active INTEGER NOT NULL CHECK (active IN (0, 1)),
  reason TEXT NOT NULL,
  changed_at TEXT NOT NULL CHECK (changed_at {0}),
  changed_by INTEGER REFERENCES operators (id)
) STRICT;
CREATE INDEX operator_changes_by_operator ON operator_changes (operator_id);

CREATE TABLE people_names (
  operator_id INTEGER PRIMARY KEY REFERENCES operators (id),
  name TEXT NOT NULL UNIQUE COLLATE NOCASE CHECK (name <> ''),
  badge TEXT UNIQUE CHECK (badge <> '')
) STRICT;

CREATE TABLE credentials (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  operator_id INTEGER NOT NULL REFERENCES operators (id),
  hash TEXT NOT NULL CHECK (hash <> ''),
  created_at TEXT NOT NULL CHECK (created_at {0})
) STRICT;
CREATE INDEX credentials_by_operator ON credentials (operator_id);

CREATE TABLE sessions (
  id INTEGER PRIMARY KEY,
  operator_id INTEGER NOT NULL REFERENCES operators (id),
  opened_from TEXT NOT NULL,
  opened_at TEXT NOT NULL CHECK (opened_at {0})
) STRICT;

CREATE TABLE session_closings (
  session_id INTEGER PRIMARY KEY REFERENCES sessions (id),
  reason TEXT NOT NULL,
  closed_at TEXT NOT NULL CHECK (closed_at {0})
) STRICT;
)sql";

constexpr const char* kOrders = R"sql(
CREATE TABLE work_orders (
  id INTEGER PRIMARY KEY,
  number TEXT NOT NULL UNIQUE CHECK (number <> ''),
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL CHECK (quantity >= 1),
  due_at TEXT CHECK (due_at {0}),
  created_at TEXT NOT NULL CHECK (created_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE work_order_changes (
  id INTEGER PRIMARY KEY,
  work_order_id INTEGER NOT NULL REFERENCES work_orders (id),
  quantity INTEGER NOT NULL CHECK (quantity >= 1),
  due_at TEXT CHECK (due_at {0}),
  reason TEXT NOT NULL,
  changed_at TEXT NOT NULL CHECK (changed_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;
CREATE INDEX work_order_changes_by_order ON work_order_changes (work_order_id);

CREATE TABLE work_order_closings (
  work_order_id INTEGER PRIMARY KEY REFERENCES work_orders (id),
  reason TEXT NOT NULL,
  closed_at TEXT NOT NULL CHECK (closed_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE slots (
  id INTEGER PRIMARY KEY,
  map_digest TEXT NOT NULL CHECK (map_digest <> ''),
  name TEXT NOT NULL,
  ports TEXT NOT NULL,
  created_at TEXT NOT NULL CHECK (created_at {0}),
  UNIQUE (map_digest, name)
) STRICT;

CREATE TABLE armings (
  id INTEGER PRIMARY KEY,
  product_id INTEGER NOT NULL REFERENCES products (id),
  work_order_id INTEGER REFERENCES work_orders (id),
  recipe_digest TEXT NOT NULL,
  image_sha256 TEXT NOT NULL,
  armed_at TEXT NOT NULL CHECK (armed_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE disarmings (
  arming_id INTEGER PRIMARY KEY REFERENCES armings (id),
  reason TEXT NOT NULL,
  disarmed_at TEXT NOT NULL CHECK (disarmed_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE image_admissions (
  id INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL CHECK (sha256 <> ''),
  size INTEGER NOT NULL CHECK (size >= 0),
  signer TEXT NOT NULL,
  policy TEXT NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('admitted', 'refused', 'withdrawn')),
  sealed_by TEXT NOT NULL,
  error_id TEXT CHECK (error_id <> ''),
  detail TEXT,
  decided_at TEXT NOT NULL CHECK (decided_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;
CREATE INDEX image_admissions_by_image ON image_admissions (sha256);
)sql";

constexpr const char* kRulings = R"sql(
CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL CHECK (at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id),
  from_where TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action <> ''),
  subject TEXT NOT NULL,
  detail TEXT CHECK (detail IS NULL OR json_valid(detail)),
  outcome TEXT NOT NULL CHECK (outcome IN ('done', 'begun', 'failed', 'refused', 'unknown')),
  error_id TEXT CHECK (error_id <> ''),
  begun_id INTEGER,
  CHECK ((outcome IN ('failed', 'refused', 'unknown')) = (error_id IS NOT NULL)),
  CHECK (begun_id IS NULL OR outcome IN ('done', 'failed', 'unknown'))
) STRICT;
CREATE INDEX audit_by_time ON audit (at);
CREATE UNIQUE INDEX audit_ends ON audit (begun_id) WHERE begun_id IS NOT NULL;
CREATE INDEX audit_begun ON audit (id) WHERE outcome = 'begun';

CREATE TABLE corrections (
  id INTEGER PRIMARY KEY,
  attempt_id INTEGER REFERENCES attempt_openings (id),
  unit_id INTEGER REFERENCES units (id),
  correct_text TEXT NOT NULL CHECK (correct_text <> ''),
  reason TEXT NOT NULL CHECK (reason <> ''),
  corrected_at TEXT NOT NULL CHECK (corrected_at {0}),
  operator_id INTEGER NOT NULL REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id),
  CHECK ((attempt_id IS NULL) <> (unit_id IS NULL))
) STRICT;
CREATE INDEX corrections_by_attempt ON corrections (attempt_id) WHERE attempt_id IS NOT NULL;
CREATE INDEX corrections_by_unit ON corrections (unit_id) WHERE unit_id IS NOT NULL;

CREATE TABLE waivers (
  id INTEGER PRIMARY KEY,
  check_id TEXT NOT NULL CHECK (check_id <> ''),
  unit_id INTEGER REFERENCES units (id),
  product_id INTEGER REFERENCES products (id),
  reason TEXT NOT NULL CHECK (reason <> ''),
  role TEXT NOT NULL CHECK (role <> ''),
  expires_at TEXT NOT NULL CHECK (expires_at {0}),
  waived_at TEXT NOT NULL CHECK (waived_at {0}),
  operator_id INTEGER NOT NULL REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id),
  CHECK ((product_id IS NULL) <> (unit_id IS NULL))
) STRICT;
CREATE INDEX waivers_by_unit ON waivers (unit_id) WHERE unit_id IS NOT NULL;
CREATE INDEX waivers_by_product ON waivers (product_id) WHERE product_id IS NOT NULL;

CREATE TABLE waiver_revocations (
  waiver_id INTEGER PRIMARY KEY REFERENCES waivers (id),
  reason TEXT NOT NULL CHECK (reason <> ''),
  revoked_at TEXT NOT NULL CHECK (revoked_at {0}),
  operator_id INTEGER NOT NULL REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE quarantines (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('unit', 'slot', 'signer', 'image')),
  subject TEXT NOT NULL CHECK (subject <> ''),
  why TEXT NOT NULL CHECK (why <> ''),
  quarantined_at TEXT NOT NULL CHECK (quarantined_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;
CREATE INDEX quarantines_by_subject ON quarantines (kind, subject);

CREATE TABLE quarantine_liftings (
  quarantine_id INTEGER PRIMARY KEY REFERENCES quarantines (id),
  last_attempt_id INTEGER NOT NULL,
  reason TEXT NOT NULL CHECK (reason <> ''),
  lifted_at TEXT NOT NULL CHECK (lifted_at {0}),
  operator_id INTEGER NOT NULL REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;
)sql";

constexpr const char* kUnits = R"sql(
CREATE TABLE unit_identities (
  id INTEGER PRIMARY KEY,
  unit_id INTEGER NOT NULL REFERENCES units (id),
  kind TEXT NOT NULL CHECK (kind IN ('device-unique-id', 'device-serial', 'mac', 'platform-id')),
  value TEXT NOT NULL CHECK (value <> ''),
  created_at TEXT NOT NULL CHECK (created_at {0}),
  UNIQUE (unit_id, kind, value)
) STRICT;
CREATE INDEX unit_identities_by_value ON unit_identities (value, kind);

CREATE TABLE scraps (
  unit_id INTEGER PRIMARY KEY REFERENCES units (id),
  work_order_id INTEGER REFERENCES work_orders (id),
  reason TEXT NOT NULL CHECK (reason <> ''),
  scrapped_at TEXT NOT NULL CHECK (scrapped_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;
CREATE INDEX scraps_by_order ON scraps (work_order_id) WHERE work_order_id IS NOT NULL;

CREATE TABLE serial_ranges (
  id INTEGER PRIMARY KEY,
  product_id INTEGER NOT NULL REFERENCES products (id),
  first INTEGER NOT NULL CHECK (first >= 0),
  last INTEGER NOT NULL CHECK (last >= first),
  format TEXT NOT NULL,
  created_at TEXT NOT NULL CHECK (created_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE serial_allocations (
  id INTEGER PRIMARY KEY,
  range_id INTEGER NOT NULL REFERENCES serial_ranges (id),
  number INTEGER NOT NULL CHECK (number >= 0),
  attempt_id INTEGER,
  allotted_at TEXT NOT NULL CHECK (allotted_at {0}),
  UNIQUE (range_id, number)
) STRICT;

CREATE TABLE outbox (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind <> ''),
  payload TEXT NOT NULL CHECK (json_valid(payload)),
  created_at TEXT NOT NULL CHECK (created_at {0})
) STRICT;

CREATE TABLE outbox_deliveries (
  outbox_id INTEGER PRIMARY KEY REFERENCES outbox (id),
  receipt TEXT NOT NULL,
  delivered_at TEXT NOT NULL CHECK (delivered_at {0})
) STRICT;
)sql";

constexpr const char* kJobs = R"sql(
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('flash', 'inspect', 'build')),
  title TEXT NOT NULL CHECK (title <> ''),
  parameters TEXT NOT NULL CHECK (json_valid(parameters)),
  asked_at TEXT NOT NULL CHECK (asked_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE job_ends (
  job_id INTEGER PRIMARY KEY REFERENCES jobs (id),
  verdict TEXT NOT NULL CHECK (verdict IN ('done', 'failed', 'cancelled', 'interrupted')),
  started_at TEXT CHECK (started_at {0}),
  result_digest TEXT CHECK (result_digest <> ''),
  error_id TEXT CHECK (error_id <> ''),
  detail TEXT,
  confinement TEXT CHECK (confinement <> ''),
  ended_at TEXT NOT NULL CHECK (ended_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id),
  CHECK (verdict <> 'done' OR (started_at IS NOT NULL AND error_id IS NULL))
) STRICT;
)sql";

constexpr const char* kChain = R"sql(
CREATE TABLE chain (
  seq INTEGER PRIMARY KEY CHECK (seq >= 1),
  table_name TEXT NOT NULL,
  row_id INTEGER NOT NULL,
  row_digest BLOB NOT NULL CHECK (length(row_digest) = 32),
  head BLOB NOT NULL CHECK (length(head) = 32),
  UNIQUE (table_name, row_id)
) STRICT;

CREATE TABLE chain_genesis (
  id INTEGER PRIMARY KEY,
  table_name TEXT NOT NULL UNIQUE,
  row_count INTEGER NOT NULL,
  last_row_id INTEGER NOT NULL,
  digest TEXT NOT NULL CHECK (length(digest) = 64),
  created_at TEXT NOT NULL CHECK (created_at {0})
) STRICT;

CREATE TABLE genesis_digests (
  table_name TEXT NOT NULL,
  row_id INTEGER NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  PRIMARY KEY (table_name, row_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE exported_heads (
  id INTEGER PRIMARY KEY,
  head_text TEXT NOT NULL,
  signature TEXT NOT NULL,
  purpose TEXT NOT NULL,
  exported_at TEXT NOT NULL CHECK (exported_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE retentions (
  id INTEGER PRIMARY KEY,
  before_at TEXT NOT NULL CHECK (before_at {0}),
  policy TEXT NOT NULL,
  reason TEXT NOT NULL CHECK (reason <> ''),
  retired_at TEXT NOT NULL CHECK (retired_at {0}),
  operator_id INTEGER REFERENCES operators (id),
  session_id INTEGER REFERENCES sessions (id)
) STRICT;

CREATE TABLE retired_ranges (
  id INTEGER PRIMARY KEY,
  retention_id INTEGER NOT NULL REFERENCES retentions (id),
  table_name TEXT NOT NULL,
  first_row INTEGER NOT NULL,
  last_row INTEGER NOT NULL CHECK (last_row >= first_row)
) STRICT;
CREATE INDEX retired_ranges_by_row ON retired_ranges (table_name, last_row, first_row);
)sql";

constexpr const char* kColumns = R"sql(
ALTER TABLE attempt_openings ADD COLUMN work_order_id INTEGER REFERENCES work_orders (id);
ALTER TABLE attempt_openings ADD COLUMN session_id INTEGER REFERENCES sessions (id);
ALTER TABLE attempt_openings ADD COLUMN slot_map_digest TEXT;
ALTER TABLE attempt_openings ADD COLUMN rules_digest TEXT;
ALTER TABLE attempt_openings ADD COLUMN reason TEXT;
ALTER TABLE attempt_identities ADD COLUMN device_serial TEXT;
ALTER TABLE attempt_identities ADD COLUMN mac TEXT;
ALTER TABLE attempt_identities ADD COLUMN manual_serial INTEGER NOT NULL DEFAULT 0 CHECK (manual_serial IN (0, 1));
ALTER TABLE attempt_identities ADD COLUMN reason TEXT;
CREATE INDEX attempt_openings_by_order ON attempt_openings (work_order_id) WHERE work_order_id IS NOT NULL;
CREATE INDEX attempt_openings_by_slot ON attempt_openings (slot);
CREATE INDEX attempt_openings_training ON attempt_openings (training) WHERE training = 1;
)sql";

constexpr const char* kViews2 = R"sql(
DROP VIEW attempts;
CREATE VIEW attempts AS
SELECT o.id AS id, i.unit_id AS unit_id, u.serial AS serial, p.name AS product, o.slot AS slot,
       o.port_path AS port_path, i.protocol AS protocol, i.platform_id AS platform_id,
       i.device_unique_id AS device_unique_id, m.sha256 AS image_sha256, m.signer AS image_signer, m.policy AS policy,
       o.opened_at AS opened_at, c.closed_at AS closed_at, o.utc_offset_minutes AS utc_offset_minutes,
       c.verdict AS verdict, c.proof AS proof, c.error_id AS error_id, c.error_class AS error_class,
       c.detail AS detail, o.training AS training, c.ordinal AS ordinal, o.program_version AS program_version,
       o.recipe_digest AS recipe_digest, o.trust_digest AS trust_digest, o.slot_map_digest AS slot_map_digest,
       o.rules_digest AS rules_digest, w.number AS work_order, o.session_id AS session_id,
       s.operator_id AS operator_id, COALESCE(i.reason, o.reason) AS reason, i.device_serial AS device_serial,
       i.mac AS mac, i.manual_serial AS manual_serial
FROM attempt_openings o
JOIN products p ON p.id = o.product_id
JOIN images m ON m.id = o.image_id
LEFT JOIN attempt_identities i ON i.attempt_id = o.id
LEFT JOIN units u ON u.id = i.unit_id
LEFT JOIN attempt_closings c ON c.attempt_id = o.id
LEFT JOIN work_orders w ON w.id = o.work_order_id
LEFT JOIN sessions s ON s.id = o.session_id;

CREATE VIEW operator_states AS
SELECT o.id AS operator_id,
       COALESCE((SELECT c.role FROM operator_changes c WHERE c.operator_id = o.id ORDER BY c.id DESC LIMIT 1), o.role)
         AS role,
       COALESCE((SELECT c.active FROM operator_changes c WHERE c.operator_id = o.id ORDER BY c.id DESC LIMIT 1), 1)
         AS active,
       n.name AS name, n.badge AS badge
FROM operators o LEFT JOIN people_names n ON n.operator_id = o.id;

CREATE VIEW work_order_states AS
SELECT w.id AS id, w.number AS number, p.name AS product,
       COALESCE((SELECT c.quantity FROM work_order_changes c WHERE c.work_order_id = w.id ORDER BY c.id DESC LIMIT 1),
                w.quantity) AS quantity,
       CASE WHEN EXISTS (SELECT 1 FROM work_order_changes c WHERE c.work_order_id = w.id)
            THEN (SELECT c.due_at FROM work_order_changes c WHERE c.work_order_id = w.id ORDER BY c.id DESC LIMIT 1)
            ELSE w.due_at END AS due_at,
       w.operator_id AS created_by, w.created_at AS created_at, e.closed_at AS closed_at, e.reason AS closed_reason
FROM work_orders w
JOIN products p ON p.id = w.product_id
LEFT JOIN work_order_closings e ON e.work_order_id = w.id;
)sql";

// A row that retention has listed may go; the list itself stands in the chain.
std::string delete_only_retired(std::string_view table) {
  return fmt::format(R"sql(
DROP TRIGGER {0}_no_delete;
CREATE TRIGGER {0}_no_delete BEFORE DELETE ON {0}
WHEN NOT EXISTS (SELECT 1 FROM retired_ranges r
                 WHERE r.table_name = '{0}' AND r.last_row >= OLD.rowid AND r.first_row <= OLD.rowid)
BEGIN SELECT RAISE(ABORT, 'records are only ever added: {0} cannot be deleted'); END;
)sql",
                     table);
}

}  // namespace

std::string migration_2() {
  std::string sql;
  for (const char* part : {kPeople, kOrders, kRulings, kUnits, kJobs, kChain}) {
    sql += fmt::format(fmt::runtime(part), R"(GLOB '????-??-??T??:??:??.???Z')");
  }
  sql += kColumns;
  sql += count_tables();
  sql += count_again();
  sql += count_triggers();
  for (const std::string_view table :
       {"operators", "operator_changes", "sessions", "work_order_changes", "armings", "image_admissions", "corrections",
        "waivers", "quarantines", "exported_heads", "retentions", "retired_ranges", "serial_ranges", "outbox", "jobs"}) {
    sql += append_only(table, "id = NEW.id");
  }
  sql += append_only("audit", "id = NEW.id OR begun_id = NEW.begun_id");
  sql += append_only("session_closings", "session_id = NEW.session_id");
  sql += append_only("work_orders", "id = NEW.id OR number = NEW.number");
  sql += append_only("work_order_closings", "work_order_id = NEW.work_order_id");
  sql += append_only("slots", "id = NEW.id OR (map_digest = NEW.map_digest AND name = NEW.name)");
  sql += append_only("job_ends", "job_id = NEW.job_id");
  sql += append_only("disarmings", "arming_id = NEW.arming_id");
  sql += append_only("waiver_revocations", "waiver_id = NEW.waiver_id");
  sql += append_only("quarantine_liftings", "quarantine_id = NEW.quarantine_id");
  sql += append_only("unit_identities",
                     "id = NEW.id OR (unit_id = NEW.unit_id AND kind = NEW.kind AND value = NEW.value)");
  sql += append_only("scraps", "unit_id = NEW.unit_id");
  sql += append_only("serial_allocations", "id = NEW.id OR (range_id = NEW.range_id AND number = NEW.number)");
  sql += append_only("outbox_deliveries", "outbox_id = NEW.outbox_id");
  sql += append_only("chain", "seq = NEW.seq OR (table_name = NEW.table_name AND row_id = NEW.row_id)");
  sql += append_only("chain_genesis", "id = NEW.id OR table_name = NEW.table_name");
  sql += append_only("genesis_digests", "table_name = NEW.table_name AND row_id = NEW.row_id");
  for (const std::string_view table : kRetirableTables) sql += delete_only_retired(table);
  sql += kViews2;
  return sql;
}

}  // namespace imprint::db
