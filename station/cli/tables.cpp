// SPDX-License-Identifier: GPL-3.0-or-later
// Text tables of yield and attempts.
#include "station/cli/tables.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "db/yield.hpp"
#include "flash/core/text.hpp"

namespace imprint::station::cli {
namespace {

// Characters as a terminal counts them, near enough for the text that tables hold: code points.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string share_text(std::uint64_t part, std::uint64_t whole) {
  const auto share = db::share(part, whole);
  if (!share) return "no units";
  const db::Interval interval = db::wilson_95(part, whole);
  return fmt::format("{} of {} ({:.1f} %, 95 %: {:.0f} to {:.0f} %)", part, whole, *share * 100, interval.low * 100,
                     interval.high * 100);
}

std::string verdict_word(const db::AttemptRow& row) {
  return row.close ? std::string(db::to_string(row.close->verdict)) : std::string("open");
}

}  // namespace

std::string format_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  widths.reserve(head.size());
  for (const std::string& cell : head) widths.push_back(width_of(cell));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string out;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      out += cells[i];
      if (i + 1 < cells.size()) out += std::string(widths[i] - width_of(cells[i]) + 2, ' ');
    }
    return out + "\n";
  };
  std::string out = line(head);
  std::vector<std::string> rule;
  rule.reserve(widths.size());
  for (const std::size_t width : widths) rule.emplace_back(width, '-');
  out += line(rule);
  for (const auto& row : rows) out += line(row);
  return out;
}

std::string yield_table(std::span<const db::YieldRow> rows) {
  std::string out;
  for (const db::YieldRow& row : rows) {
    if (row.group != "all") out += core::printable(row.group) + "\n";
    out += fmt::format("First-pass yield   {}\n", share_text(row.first_pass, row.units));
    out += fmt::format("Final yield        {}\n", share_text(row.final_pass, row.units));
    if (row.training > 0)
      out += fmt::format("TRAINING           {} of the attempts are with virtual devices\n", row.training);
    out += fmt::format("Attempts           {}, of them refused {}, aborted or interrupted {}\n", row.attempts,
                       row.refused, row.aborted);
    for (const auto& failure : row.failures) {
      out += fmt::format("Failure            {} x {}\n", failure.attempts, failure.error_id);
    }
  }
  return out;
}

std::string attempts_table(std::span<const db::AttemptRow> rows) {
  std::vector<std::vector<std::string>> cells;
  for (const db::AttemptRow& row : rows) {
    cells.push_back({std::to_string(row.id), core::to_iso8601_local(row.opened), core::printable(row.opening.slot),
                     core::printable(row.identity.serial), verdict_word(row),
                     row.close ? std::string(db::to_string(row.close->proof)) : std::string(),
                     row.close ? core::printable(row.close->error_id) : std::string(),
                     row.opening.training ? "training" : ""});
  }
  return format_table({"Attempt", "Opened", "Slot", "Serial", "Verdict", "Proof", "Error", ""}, cells);
}

}  // namespace imprint::station::cli
