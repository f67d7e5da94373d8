// SPDX-License-Identifier: GPL-3.0-or-later
// Schema 1 as it was released, word for word, with rows of a day's work: what a station that is brought up to date has
// on its disk. Never edited; later schemas get files of their own.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>

namespace imprint::db::test {

inline constexpr const char* kSchema1 = R"sql(
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
CREATE TRIGGER products_no_update BEFORE UPDATE ON products
BEGIN SELECT RAISE(ABORT, 'records are only ever added: products cannot be changed'); END;
CREATE TRIGGER products_no_delete BEFORE DELETE ON products
BEGIN SELECT RAISE(ABORT, 'records are only ever added: products cannot be deleted'); END;
CREATE TRIGGER products_no_replace BEFORE INSERT ON products WHEN EXISTS (SELECT 1 FROM products WHERE id = NEW.id OR name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'records are only ever added: products cannot be replaced'); END;
CREATE TRIGGER images_no_update BEFORE UPDATE ON images
BEGIN SELECT RAISE(ABORT, 'records are only ever added: images cannot be changed'); END;
CREATE TRIGGER images_no_delete BEFORE DELETE ON images
BEGIN SELECT RAISE(ABORT, 'records are only ever added: images cannot be deleted'); END;
CREATE TRIGGER images_no_replace BEFORE INSERT ON images WHEN EXISTS (SELECT 1 FROM images WHERE id = NEW.id OR (sha256 = NEW.sha256 AND signer = NEW.signer AND policy = NEW.policy))
BEGIN SELECT RAISE(ABORT, 'records are only ever added: images cannot be replaced'); END;
CREATE TRIGGER units_no_update BEFORE UPDATE ON units
BEGIN SELECT RAISE(ABORT, 'records are only ever added: units cannot be changed'); END;
CREATE TRIGGER units_no_delete BEFORE DELETE ON units
BEGIN SELECT RAISE(ABORT, 'records are only ever added: units cannot be deleted'); END;
CREATE TRIGGER units_no_replace BEFORE INSERT ON units WHEN EXISTS (SELECT 1 FROM units WHERE id = NEW.id OR (product_id = NEW.product_id AND serial = NEW.serial))
BEGIN SELECT RAISE(ABORT, 'records are only ever added: units cannot be replaced'); END;
CREATE TRIGGER attempt_openings_no_update BEFORE UPDATE ON attempt_openings
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_openings cannot be changed'); END;
CREATE TRIGGER attempt_openings_no_delete BEFORE DELETE ON attempt_openings
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_openings cannot be deleted'); END;
CREATE TRIGGER attempt_openings_no_replace BEFORE INSERT ON attempt_openings WHEN EXISTS (SELECT 1 FROM attempt_openings WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_openings cannot be replaced'); END;
CREATE TRIGGER attempt_identities_no_update BEFORE UPDATE ON attempt_identities
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_identities cannot be changed'); END;
CREATE TRIGGER attempt_identities_no_delete BEFORE DELETE ON attempt_identities
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_identities cannot be deleted'); END;
CREATE TRIGGER attempt_identities_no_replace BEFORE INSERT ON attempt_identities WHEN EXISTS (SELECT 1 FROM attempt_identities WHERE attempt_id = NEW.attempt_id)
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_identities cannot be replaced'); END;
CREATE TRIGGER attempt_closings_no_update BEFORE UPDATE ON attempt_closings
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_closings cannot be changed'); END;
CREATE TRIGGER attempt_closings_no_delete BEFORE DELETE ON attempt_closings
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_closings cannot be deleted'); END;
CREATE TRIGGER attempt_closings_no_replace BEFORE INSERT ON attempt_closings WHEN EXISTS (SELECT 1 FROM attempt_closings WHERE attempt_id = NEW.attempt_id OR (unit_id = NEW.unit_id AND ordinal = NEW.ordinal))
BEGIN SELECT RAISE(ABORT, 'records are only ever added: attempt_closings cannot be replaced'); END;
CREATE TRIGGER steps_no_update BEFORE UPDATE ON steps
BEGIN SELECT RAISE(ABORT, 'records are only ever added: steps cannot be changed'); END;
CREATE TRIGGER steps_no_delete BEFORE DELETE ON steps
BEGIN SELECT RAISE(ABORT, 'records are only ever added: steps cannot be deleted'); END;
CREATE TRIGGER steps_no_replace BEFORE INSERT ON steps WHEN EXISTS (SELECT 1 FROM steps WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'records are only ever added: steps cannot be replaced'); END;
CREATE TRIGGER findings_no_update BEFORE UPDATE ON findings
BEGIN SELECT RAISE(ABORT, 'records are only ever added: findings cannot be changed'); END;
CREATE TRIGGER findings_no_delete BEFORE DELETE ON findings
BEGIN SELECT RAISE(ABORT, 'records are only ever added: findings cannot be deleted'); END;
CREATE TRIGGER findings_no_replace BEFORE INSERT ON findings WHEN EXISTS (SELECT 1 FROM findings WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'records are only ever added: findings cannot be replaced'); END;
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

inline constexpr const char* kRows1 = R"sql(
INSERT INTO products VALUES (1, 'gateway', '2026-05-04T06:00:00.000Z'), (2, 'panel', '2026-05-04T06:00:01.000Z');
INSERT INTO images VALUES (1, 'ab12', 'CN=Test', 'retail', '2026-05-04T06:00:00.000Z');
INSERT INTO units VALUES (1, 1, 'A1', '2026-05-04T06:01:00.000Z'), (2, 1, 'A2', '2026-05-04T06:02:00.000Z'),
                         (3, 2, 'A1', '2026-05-04T06:03:00.000Z');
INSERT INTO attempt_openings VALUES
  (1, 1, 1, '1', '1-2.1', 'r1', 't1', '0.1.0', 0, '2026-05-04T06:01:00.000Z', 120, '2026-05-04'),
  (2, 1, 1, '2', '1-2.2', 'r1', 't1', '0.1.0', 0, '2026-05-04T06:02:00.000Z', 120, '2026-05-04'),
  (3, 2, 1, '1', '1-2.1', 'r2', 't1', '0.1.0', 0, '2026-05-04T06:03:00.000Z', 120, '2026-05-04'),
  (4, 1, 1, '2', '1-2.2', 'r1', 't1', '0.1.0', 0, '2026-05-04T07:04:00.000Z', 120, '2026-05-04'),
  (5, 1, 1, '3', '1-2.3', 'r1', 't1', '0.1.0', 0, '2026-05-04T07:05:00.000Z', 120, '2026-05-04');
INSERT INTO attempt_identities VALUES
  (1, 1, 'dev-1', 'Contoso.Board', 'simple-io', '2026-05-04T06:01:01.000Z'),
  (2, 2, 'dev-2', 'Contoso.Board', 'simple-io', '2026-05-04T06:02:01.000Z'),
  (3, 3, 'dev-3', 'Contoso.Panel', 'ufp', '2026-05-04T06:03:01.000Z'),
  (4, 2, 'dev-2', 'Contoso.Board', 'simple-io', '2026-05-04T07:04:01.000Z');
INSERT INTO attempt_closings VALUES
  (1, 1, 'passed', 'inspected', NULL, NULL, NULL, 1, '2026-05-04T06:01:30.000Z'),
  (2, 2, 'failed', 'none', 'device.disconnected', 'unit', 'at 12 MiB', 1, '2026-05-04T06:02:30.000Z'),
  (3, 3, 'passed', 'read-back', NULL, NULL, NULL, 1, '2026-05-04T06:03:30.000Z'),
  (4, 2, 'passed', 'inspected', NULL, NULL, NULL, 2, '2026-05-04T07:04:30.000Z');
INSERT INTO steps VALUES
  (1, 1, 'write', 1, '2026-05-04T06:01:02.000Z', 1500, 67000000, NULL, NULL),
  (2, 2, 'write', 0, '2026-05-04T06:02:02.000Z', 700, 12582912, 'device.disconnected', 'at 12 MiB');
INSERT INTO findings VALUES (1, 1, 'layout.gpt-backup', 'pass', 'error', 'a', 'a', 'fine');
)sql";

// The file as that version left it; attempt 5 was running when the power went.
inline void make_schema_1(const std::filesystem::path& path) {
  SQLite::Database database(path.native(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("BEGIN");
  database.exec(kSchema1);
  database.exec(kRows1);
  database.exec("PRAGMA application_id = 0x494D5052; PRAGMA user_version = 1; COMMIT");
}

}  // namespace imprint::db::test
