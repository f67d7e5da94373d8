// SPDX-License-Identifier: GPL-3.0-or-later
// Numbers to the right, words to the left.
#include "station/reports/text_table.hpp"

#include <algorithm>

namespace imprint::station::reports {

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string left(std::string_view text, std::size_t width) {
  std::string out(text);
  out.append(width - std::min(width, width_of(text)), ' ');
  return out;
}

std::string right(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, width_of(text)), ' ') + std::string(text);
}

std::string wrapped(std::string_view text, std::size_t indent) {
  const std::size_t room = kPageWidth - std::min(indent, kPageWidth - 20);
  const std::string margin(indent, ' ');
  std::string out;
  while (!text.empty()) {
    std::size_t bytes = 0;
    std::size_t width = 0;
    std::size_t blank = 0;
    while (bytes < text.size() && width <= room) {
      if (text[bytes] == ' ') blank = bytes;
      do {
        ++bytes;
      } while (bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80);
      ++width;
    }
    if (width <= room) return out + margin + std::string(text) + "\n";
    std::size_t end = blank;
    if (end == 0) {
      end = bytes;
      do {
        --end;
      } while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
    }
    out += margin + std::string(text.substr(0, end)) + "\n";
    text.remove_prefix(end);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return out;
}

std::string aligned_table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  widths.reserve(columns.size());
  for (const Column& column : columns) widths.push_back(width_of(column.head));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  const auto line = [&](const auto& cell) {
    std::string out;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i != 0) out += "  ";
      out += columns[i].align == Align::left ? left(cell(i), widths[i]) : right(cell(i), widths[i]);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out + "\n";
  };
  std::string out = line([&](std::size_t i) -> const std::string& { return columns[i].head; });
  out += line([&](std::size_t i) { return std::string(widths[i], '-'); });
  for (const auto& row : rows) out += line([&](std::size_t i) -> const std::string& { return row[i]; });
  return out;
}

}  // namespace imprint::station::reports
