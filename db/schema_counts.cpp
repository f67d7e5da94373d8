// SPDX-License-Identifier: GPL-3.0-or-later
// Counts beside the records, which the yield of a million attempts is read from: their tables, the triggers that keep
// them, and how they are made anew.
#include "db/schema.hpp"

namespace imprint::db {
namespace {

// What can be counted again from the attempts at any time, so it stands outside the chain: which attempts run, and the
// yield of each hour (UTC) by everything that it is grouped by. A million attempts are some ten thousand hours' rows.
constexpr const char* kCounts = R"sql(
CREATE INDEX attempt_closings_by_unit ON attempt_closings (unit_id) WHERE unit_id IS NOT NULL;

CREATE TABLE attempts_open (attempt_id INTEGER PRIMARY KEY REFERENCES attempt_openings (id)) STRICT;

CREATE TABLE yield_hours (
  hour TEXT NOT NULL,
  product_id INTEGER NOT NULL,
  image_id INTEGER NOT NULL,
  slot TEXT NOT NULL,
  local_day TEXT NOT NULL,
  platform TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  aborted INTEGER NOT NULL,
  training INTEGER NOT NULL,
  units INTEGER NOT NULL,
  first_pass INTEGER NOT NULL,
  final_pass INTEGER NOT NULL,
  PRIMARY KEY (hour, product_id, image_id, slot, local_day, platform)
) STRICT, WITHOUT ROWID;

CREATE TABLE yield_failures (
  hour TEXT NOT NULL,
  product_id INTEGER NOT NULL,
  image_id INTEGER NOT NULL,
  slot TEXT NOT NULL,
  local_day TEXT NOT NULL,
  platform TEXT NOT NULL,
  error_id TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  PRIMARY KEY (hour, product_id, image_id, slot, local_day, platform, error_id)
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* kCounting = R"sql(
CREATE TRIGGER attempt_openings_counted AFTER INSERT ON attempt_openings
BEGIN
  INSERT INTO attempts_open (attempt_id) VALUES (NEW.id);
END;

CREATE TRIGGER attempt_closings_counted AFTER INSERT ON attempt_closings
BEGIN
  DELETE FROM attempts_open WHERE attempt_id = NEW.attempt_id;
  INSERT INTO yield_hours
  SELECT substr(o.opened_at, 1, 13), o.product_id, o.image_id, o.slot, o.local_day, COALESCE(i.platform_id, ''), 1,
         NEW.verdict = 'refused', NEW.verdict IN ('aborted', 'interrupted'), o.training, COALESCE(NEW.ordinal = 1, 0),
         COALESCE(NEW.ordinal = 1 AND NEW.verdict = 'passed', 0),
         COALESCE(NEW.ordinal = 1 AND NEW.verdict = 'passed', 0)
  FROM attempt_openings o LEFT JOIN attempt_identities i ON i.attempt_id = o.id WHERE o.id = NEW.attempt_id
  ON CONFLICT DO UPDATE SET attempts = attempts + 1, refused = refused + excluded.refused,
    aborted = aborted + excluded.aborted, training = training + excluded.training, units = units + excluded.units,
    first_pass = first_pass + excluded.first_pass, final_pass = final_pass + excluded.final_pass;
  INSERT INTO yield_failures
  SELECT substr(o.opened_at, 1, 13), o.product_id, o.image_id, o.slot, o.local_day, COALESCE(i.platform_id, ''),
         COALESCE(NEW.error_id, ''), 1
  FROM attempt_openings o LEFT JOIN attempt_identities i ON i.attempt_id = o.id
  WHERE o.id = NEW.attempt_id AND NEW.verdict IN ('failed', 'incomplete')
  ON CONFLICT DO UPDATE SET attempts = attempts + 1;
  UPDATE yield_hours SET final_pass = final_pass + (NEW.verdict = 'passed') - COALESCE((
      SELECT p.verdict = 'passed' FROM attempt_closings p
      WHERE p.unit_id = NEW.unit_id AND p.ordinal = NEW.ordinal - 1), 0)
  WHERE NEW.ordinal > 1 AND (hour, product_id, image_id, slot, local_day, platform) = (
      SELECT substr(o.opened_at, 1, 13), o.product_id, o.image_id, o.slot, o.local_day, COALESCE(i.platform_id, '')
      FROM attempt_closings f JOIN attempt_openings o ON o.id = f.attempt_id
      LEFT JOIN attempt_identities i ON i.attempt_id = o.id WHERE f.unit_id = NEW.unit_id AND f.ordinal = 1);
END;
)sql";

}  // namespace

std::string count_tables() { return kCounts; }
std::string count_triggers() { return kCounting; }

std::string yield_hours_sql() {
  return R"sql(
SELECT substr(o.opened_at, 1, 13), o.product_id, o.image_id, o.slot, o.local_day, COALESCE(i.platform_id, ''),
       COUNT(*), SUM(c.verdict = 'refused'), SUM(c.verdict IN ('aborted', 'interrupted')), SUM(o.training),
       SUM(COALESCE(c.ordinal = 1, 0)), SUM(COALESCE(c.ordinal = 1 AND c.verdict = 'passed', 0)),
       SUM(COALESCE(c.ordinal = 1 AND (SELECT l.verdict FROM attempt_closings l WHERE l.unit_id = c.unit_id
                    AND l.ordinal IS NOT NULL ORDER BY l.ordinal DESC LIMIT 1) = 'passed', 0))
FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id
LEFT JOIN attempt_identities i ON i.attempt_id = o.id GROUP BY 1, 2, 3, 4, 5, 6
)sql";
}

std::string yield_failures_sql() {
  return R"sql(
SELECT substr(o.opened_at, 1, 13), o.product_id, o.image_id, o.slot, o.local_day, COALESCE(i.platform_id, ''),
       COALESCE(c.error_id, ''), COUNT(*)
FROM attempt_openings o JOIN attempt_closings c ON c.attempt_id = o.id
LEFT JOIN attempt_identities i ON i.attempt_id = o.id WHERE c.verdict IN ('failed', 'incomplete')
GROUP BY 1, 2, 3, 4, 5, 6, 7
)sql";
}

std::string count_again() {
  return "DELETE FROM attempts_open; DELETE FROM yield_hours; DELETE FROM yield_failures;"
         "INSERT INTO attempts_open SELECT o.id FROM attempt_openings o WHERE NOT EXISTS (SELECT 1 FROM "
         "attempt_closings "
         "c WHERE c.attempt_id = o.id);"
         "INSERT INTO yield_hours " +
         yield_hours_sql() + "; INSERT INTO yield_failures " + yield_failures_sql() + ";";
}

}  // namespace imprint::db
