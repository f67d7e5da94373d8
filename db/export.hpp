// SPDX-License-Identifier: GPL-3.0-or-later
// The records for spreadsheets and other systems. CSV: RFC 4180, UTF-8, CRLF, one header line; columns are documented
// in docs/records.md and are only ever added at the end; text that a spreadsheet would run as a formula is made
// harmless. JSON: one object a line.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "db/records.hpp"

namespace imprint::db {

// One field: an apostrophe before a leading = + - @ tab or CR, quotes where RFC 4180 section 2 asks for them.
[[nodiscard]] std::string csv_field(std::string_view text);

// One line an attempt, whatever became of it. Times with the offset of the station's zone when the attempt was opened.
// The header and the lines apart, for a caller who writes a million of them to a stream.
[[nodiscard]] std::string units_csv_header();
[[nodiscard]] std::string units_csv_line(const AttemptRow& row);
[[nodiscard]] std::string units_csv(std::span<const AttemptRow> rows);

// csv: as units_csv. json_lines: everything about an attempt with its steps and findings. openhtf: records as OpenHTF
// writes them (google/openhtf, core/test_record.py), for systems that read those.
enum class UnitsFormat { csv, json_lines, openhtf };

// How far an export is: nothing but what the last piece gave.
struct ExportPlace {
  AttemptId after = 0;  // attempts up to this one are done
  AttemptId last = 0;   // of the period, when the export began; 0: it begins
};
struct UnitsPiece {
  std::string text;  // with the header of a CSV in the first
  std::uint64_t attempts = 0;
  std::optional<ExportPlace> next;  // nothing: that was all
};
struct AttemptsPiece {
  std::vector<AttemptRow> rows;
  std::optional<ExportPlace> next;
};

// Attempts of the period, whatever became of them, in the order in which they were opened, some hundred at a time:
// memory does not grow with them, and the records are held for a piece only. What is opened after the first piece is
// not in the export, and none is there in half. `station` names the station in OpenHTF records.
[[nodiscard]] core::Result<UnitsPiece> units_piece(const Records& records, const Period& period, UnitsFormat format,
                                                   std::string_view station, const ExportPlace& place);
[[nodiscard]] core::Result<AttemptsPiece> attempts_piece(const Records& records, const Period& period,
                                                         const ExportPlace& place);

// Takes the next piece; an error stops the export and is given back.
using ExportSink = std::function<core::Status(std::string_view)>;

// All pieces; how many attempts there were.
[[nodiscard]] core::Result<std::uint64_t> export_units(const Records& records, const Period& period, UnitsFormat format,
                                                       std::string_view station, const ExportSink& sink);

}  // namespace imprint::db
