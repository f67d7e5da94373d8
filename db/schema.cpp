// SPDX-License-Identifier: GPL-3.0-or-later
// Migration 1: products, images, units, the rows of an attempt's life, and the views that readers use.
#include "db/schema.hpp"

#include <fmt/format.h>

namespace imprint::db {
namespace {

constexpr const char* kTables1 = R"sql(
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z')
) STRICT;

CREATE TABLE images (
  id INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL,
  signer TEXT NOT NULL,
  policy TEXT NOT NULL,
  created_at TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
  UNIQUE (sha256, signer, policy)
) STRICT;

CREATE TABLE units (
  id INTEGER PRIMARY KEY,
  product_id INTEGER NOT NULL REFERENCES products (id),
  serial TEXT NOT NULL CHECK (serial <> ''),
  created_at TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
  UNIQUE (product_id, serial)
) STRICT;

CREATE TABLE attempt_openings (
  id INTEGER PRIMARY KEY,
  product_id INTEGER NOT NULL REFERENCES products (id),
  image_id INTEGER NOT NULL REFERENCES images (id),
  slot TEXT NOT NULL,
  port_path TEXT NOT NULL,
  recipe_digest TEXT NOT NULL,
  trust_digest TEXT NOT NULL,
  program_version TEXT NOT NULL,
  training INTEGER NOT NULL CHECK (training IN (0, 1)),
  opened_at TEXT NOT NULL CHECK (opened_at GLOB '????-??-??T??:??:??.???Z'),
  utc_offset_minutes INTEGER NOT NULL,
  local_day TEXT NOT NULL CHECK (local_day GLOB '????-??-??')
) STRICT;
CREATE INDEX attempt_openings_by_time ON attempt_openings (opened_at);

CREATE TABLE attempt_identities (
  attempt_id INTEGER PRIMARY KEY REFERENCES attempt_openings (id),
  unit_id INTEGER NOT NULL REFERENCES units (id),
  device_unique_id TEXT NOT NULL,
  platform_id TEXT NOT NULL,
  protocol TEXT NOT NULL,
  identified_at TEXT NOT NULL CHECK (identified_at GLOB '????-??-??T??:??:??.???Z')
) STRICT;
CREATE INDEX attempt_identities_by_unit ON attempt_identities (unit_id);

CREATE TABLE attempt_closings (
  attempt_id INTEGER PRIMARY KEY REFERENCES attempt_openings (id),
  unit_id INTEGER REFERENCES units (id),
  verdict TEXT NOT NULL CHECK (verdict IN ('passed', 'incomplete', 'failed', 'refused', 'aborted', 'interrupted')),
  proof TEXT NOT NULL CHECK (proof IN ('none', 'device-confirmed', 'read-back', 'inspected')),
  error_id TEXT CHECK (error_id <> ''),
  error_class TEXT CHECK (error_class IN ('unit', 'image', 'station', 'operator')),
  detail TEXT,
  ordinal INTEGER CHECK (ordinal >= 1),
  closed_at TEXT NOT NULL CHECK (closed_at GLOB '????-??-??T??:??:??.???Z'),
  CHECK (verdict <> 'passed' OR (proof <> 'none' AND unit_id IS NOT NULL AND error_id IS NULL AND error_class IS NULL)),
  CHECK ((ordinal IS NOT NULL) = (unit_id IS NOT NULL AND verdict IN ('passed', 'incomplete', 'failed')))
) STRICT;
CREATE UNIQUE INDEX attempt_closings_conclusive ON attempt_closings (unit_id, ordinal) WHERE ordinal IS NOT NULL;
CREATE INDEX attempt_closings_first ON attempt_closings (unit_id, verdict) WHERE ordinal = 1;

CREATE TABLE steps (
  id INTEGER PRIMARY KEY,
  attempt_id INTEGER NOT NULL REFERENCES attempt_openings (id),
  name TEXT NOT NULL,
  ok INTEGER NOT NULL CHECK (ok IN (0, 1)),
  started_at TEXT NOT NULL CHECK (started_at GLOB '????-??-??T??:??:??.???Z'),
  duration_ms INTEGER NOT NULL,
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  error_id TEXT CHECK (error_id <> ''),
  detail TEXT
) STRICT;
CREATE INDEX steps_by_attempt ON steps (attempt_id);

CREATE TABLE findings (
  id INTEGER PRIMARY KEY,
  attempt_id INTEGER NOT NULL REFERENCES attempt_openings (id),
  check_id TEXT NOT NULL CHECK (check_id <> ''),
  verdict TEXT NOT NULL CHECK (verdict IN ('pass', 'fail', 'not-checked')),
  severity TEXT NOT NULL CHECK (severity IN ('error', 'warning')),
  expected TEXT NOT NULL,
  actual TEXT NOT NULL,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX findings_by_attempt ON findings (attempt_id);
)sql";

constexpr const char* kViews1 = R"sql(
CREATE VIEW attempts AS
SELECT o.id AS id, i.unit_id AS unit_id, u.serial AS serial, p.name AS product, o.slot AS slot,
       o.port_path AS port_path, i.protocol AS protocol, i.platform_id AS platform_id,
       i.device_unique_id AS device_unique_id, m.sha256 AS image_sha256, m.signer AS image_signer, m.policy AS policy,
       o.opened_at AS opened_at, c.closed_at AS closed_at, o.utc_offset_minutes AS utc_offset_minutes,
       c.verdict AS verdict, c.proof AS proof, c.error_id AS error_id, c.error_class AS error_class,
       c.detail AS detail, o.training AS training, c.ordinal AS ordinal, o.program_version AS program_version,
       o.recipe_digest AS recipe_digest, o.trust_digest AS trust_digest
FROM attempt_openings o
JOIN products p ON p.id = o.product_id
JOIN images m ON m.id = o.image_id
LEFT JOIN attempt_identities i ON i.attempt_id = o.id
LEFT JOIN units u ON u.id = i.unit_id
LEFT JOIN attempt_closings c ON c.attempt_id = o.id;

CREATE VIEW unit_results AS
SELECT u.id AS unit_id, u.serial AS serial, p.name AS product,
       (SELECT c.verdict FROM attempt_closings c WHERE c.unit_id = u.id AND c.ordinal = 1) AS first_verdict,
       (SELECT c.verdict FROM attempt_closings c WHERE c.unit_id = u.id AND c.ordinal IS NOT NULL
        ORDER BY c.ordinal DESC LIMIT 1) AS last_verdict,
       (SELECT COUNT(*) FROM attempt_identities i WHERE i.unit_id = u.id) AS attempts
FROM units u
JOIN products p ON p.id = u.product_id;
)sql";

std::string migration_1() {
  std::string sql = kTables1;
  sql += append_only("products", "id = NEW.id OR name = NEW.name");
  sql += append_only("images", "id = NEW.id OR (sha256 = NEW.sha256 AND signer = NEW.signer AND policy = NEW.policy)");
  sql += append_only("units", "id = NEW.id OR (product_id = NEW.product_id AND serial = NEW.serial)");
  sql += append_only("attempt_openings", "id = NEW.id");
  sql += append_only("attempt_identities", "attempt_id = NEW.attempt_id");
  sql += append_only("attempt_closings",
                     "attempt_id = NEW.attempt_id OR (unit_id = NEW.unit_id AND ordinal = NEW.ordinal)");
  sql += append_only("steps", "id = NEW.id");
  sql += append_only("findings", "id = NEW.id");
  sql += kViews1;
  return sql;
}

}  // namespace

// INSERT OR REPLACE removes the old row without firing a DELETE trigger unless the connection turned recursive triggers
// on, which a person's sqlite3 does not: hence the third trigger, whose condition names every key of the table.
std::string append_only(std::string_view table, std::string_view same_key) {
  return fmt::format(R"sql(
CREATE TRIGGER {0}_no_update BEFORE UPDATE ON {0}
BEGIN SELECT RAISE(ABORT, 'records are only ever added: {0} cannot be changed'); END;
CREATE TRIGGER {0}_no_delete BEFORE DELETE ON {0}
BEGIN SELECT RAISE(ABORT, 'records are only ever added: {0} cannot be deleted'); END;
CREATE TRIGGER {0}_no_replace BEFORE INSERT ON {0} WHEN EXISTS (SELECT 1 FROM {0} WHERE {1})
BEGIN SELECT RAISE(ABORT, 'records are only ever added: {0} cannot be replaced'); END;
)sql",
                     table, same_key);
}

std::vector<std::string> migrations() { return {migration_1(), migration_2()}; }

}  // namespace imprint::db
