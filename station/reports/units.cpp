// SPDX-License-Identifier: GPL-3.0-or-later
// Every attempt, in pages that a line of the API holds.
#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <utility>

#include "flash/core/text.hpp"
#include "station/reports/report.hpp"
#include "station/reports/report_json.hpp"
#include "station/reports/text_table.hpp"

namespace imprint::station::reports {
namespace {

namespace json = boost::json;

constexpr std::size_t kPageBytes = 512U << 10;

constexpr std::array<std::pair<std::string_view, UnitsForm>, 5> kForms{{{"table", UnitsForm::table},
                                                                        {"csv", UnitsForm::csv},
                                                                        {"json", UnitsForm::json},
                                                                        {"jsonl", UnitsForm::json_lines},
                                                                        {"openhtf", UnitsForm::openhtf}}};

db::UnitsFormat format_of(UnitsForm form) {
  if (form == UnitsForm::json_lines) return db::UnitsFormat::json_lines;
  return form == UnitsForm::openhtf ? db::UnitsFormat::openhtf : db::UnitsFormat::csv;
}

// Columns have a width of their own: nobody knows the widest cell of what has not been read yet.
std::string line_of(std::string_view attempt, std::string_view opened, std::string_view slot, std::string_view serial,
                    std::string_view verdict, std::string_view last) {
  std::string line = right(attempt, 7) + " " + left(opened, 25) + " " + left(slot, 4) + " " + left(serial, 12) + " " +
                     left(verdict, 11) + " " + std::string(last);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

// A pass stands with its proof, everything else with its error.
std::string table_line(const db::AttemptRow& row) {
  std::string last = "";
  if (row.close)
    last = row.close->verdict == db::AttemptVerdict::passed ? std::string(db::to_string(row.close->proof))
                                                            : core::printable(row.close->error_id);
  return line_of(std::to_string(row.id), time_text(row.opened), core::printable(row.opening.slot),
                 core::printable(row.identity.serial),
                 row.close ? std::string(db::to_string(row.close->verdict)) : std::string("open"), last);
}

core::Result<std::string> table_head(const db::Records& records, const Station& station) {
  IMPRINT_TRY(const bool training, records.has_attempts(true));
  std::string text = fmt::format("Attempts at station {}\n", core::printable(station.id));
  if (training || station.training) text += std::string(kTrainingLine) + "\n";
  text += "\n" + line_of("Attempt", "Opened", "Slot", "Serial", "Verdict", "Proof or error");
  return text + line_of("-------", std::string(25, '-'), "----", std::string(12, '-'), std::string(11, '-'),
                        std::string(16, '-'));
}

struct Piece {
  std::string text;
  std::uint64_t attempts = 0;
  std::optional<db::ExportPlace> next;
};

core::Result<Piece> piece_of(const db::Records& records, const db::Period& period, UnitsForm form,
                             const Station& station, const db::ExportPlace& place) {
  if (form != UnitsForm::table && form != UnitsForm::json) {
    IMPRINT_TRY(auto piece, db::units_piece(records, period, format_of(form), station.id, place));
    return Piece{std::move(piece.text), piece.attempts, piece.next};
  }
  IMPRINT_TRY(const auto rows, db::attempts_piece(records, period, place));
  Piece piece{{}, rows.rows.size(), rows.next};
  const bool begins = place.last == 0;
  if (form == UnitsForm::table) {
    if (begins) {
      IMPRINT_TRY(piece.text, table_head(records, station));
    }
    for (const db::AttemptRow& row : rows.rows) piece.text += table_line(row);
    return piece;
  }
  if (begins) piece.text = "[";
  bool first = begins;
  for (const db::AttemptRow& row : rows.rows) {
    piece.text += (first ? "\n" : ",\n") + json::serialize(to_json(row));
    first = false;
  }
  if (!rows.next) piece.text += "\n]\n";
  return piece;
}

}  // namespace

std::optional<UnitsForm> parse_units_form(std::string_view text) {
  for (const auto& [name, form] : kForms)
    if (name == text) return form;
  return std::nullopt;
}

core::Result<UnitsPage> units_page(const db::Records& records, const db::Period& period, UnitsForm form,
                                   const Station& station, const db::ExportPlace& place) {
  UnitsPage page;
  page.next = place;
  while (page.next && page.text.size() < kPageBytes) {
    IMPRINT_TRY(auto piece, piece_of(records, period, form, station, *page.next));
    page.text += piece.text;
    page.attempts += piece.attempts;
    page.next = piece.next;
  }
  return page;
}

}  // namespace imprint::station::reports
