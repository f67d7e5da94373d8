// SPDX-License-Identifier: GPL-3.0-or-later
// The words that stand for the values of an enum in a file. Private to this folder.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace imprint::station::config {

template <class T, std::size_t N>
struct Words {
  std::array<std::pair<T, std::string_view>, N> rows;

  [[nodiscard]] constexpr std::string_view of(T value) const {
    for (const auto& [known, word] : rows) {
      if (known == value) return word;
    }
    return rows[0].second;
  }
  [[nodiscard]] std::optional<T> parse(std::string_view text) const {
    for (const auto& [value, word] : rows) {
      if (word == text) return value;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::vector<std::string_view> all() const {
    std::vector<std::string_view> words;
    words.reserve(rows.size());
    for (const auto& [value, word] : rows) words.push_back(word);
    return words;
  }
};

}  // namespace imprint::station::config
