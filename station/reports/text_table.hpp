// SPDX-License-Identifier: GPL-3.0-or-later
// Tables and paragraphs of a page that is 80 characters wide.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace imprint::station::reports {

inline constexpr std::size_t kPageWidth = 80;
// Stands in every text that is made of records of training.
inline constexpr std::string_view kTrainingLine = "TRAINING: simulated devices; no unit of this report exists.";

// Characters as a terminal counts them, near enough for the text that tables hold: code points.
[[nodiscard]] std::size_t width_of(std::string_view text);
// Filled up with blanks; never cut.
[[nodiscard]] std::string left(std::string_view text, std::size_t width);
[[nodiscard]] std::string right(std::string_view text, std::size_t width);
// Lines that fit the page behind so many blanks, broken at blanks where there are any.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t indent);

enum class Align { left, right };
struct Column {
  std::string head;
  Align align = Align::left;
};
// Columns as wide as their widest cell, a rule under the head, no blanks at a line's end; cells are printable.
[[nodiscard]] std::string aligned_table(const std::vector<Column>& columns,
                                        const std::vector<std::vector<std::string>>& rows);

}  // namespace imprint::station::reports
