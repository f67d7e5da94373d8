// SPDX-License-Identifier: GPL-3.0-or-later
// Settings out of tables.
#include "station/config/table_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"

namespace imprint::station::config {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
// From the smallest; in milliseconds and in bytes.
constexpr std::array<Unit, 5> kTimes{{{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 5> kSizes{
    {{"", 1}, {"B", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}}};

// "30 s", with or without the blank.
template <class Units>
std::optional<std::uint64_t> parse_with_unit(std::string_view text, const Units& units) {
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop == text.data()) return std::nullopt;
  const std::string_view name = core::trimmed(text.substr(static_cast<std::size_t>(stop - text.data())));
  for (const Unit& unit : units) {
    std::uint64_t value = 0;
    if (unit.name == name && core::checked_mul(number, unit.factor, value)) return value;
  }
  return std::nullopt;
}

std::string size_text(std::uint64_t bytes) {
  for (auto unit = kSizes.rbegin(); unit != kSizes.rend(); ++unit) {
    if (bytes % unit->factor == 0 && bytes >= unit->factor && unit->factor > 1)
      return fmt::format("{} {}", bytes / unit->factor, unit->name);
  }
  return std::to_string(bytes);
}

bool is_bare(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::string listed(const std::vector<std::string_view>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) out += i + 1 == words.size() ? " or " : ", ";
    out += fmt::format("\"{}\"", words[i]);
  }
  return out;
}

// Inserted, deleted, changed and swapped neighbouring letters; bounded by the length of keys that we know.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> rows(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) rows[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[a.size()][b.size()];
}

// '_' and capitals are the slips that come first.
std::string normal_word(std::string_view word) {
  std::string out = core::to_lower_ascii(word);
  std::ranges::replace(out, '_', '-');
  return out;
}

}  // namespace

std::optional<std::string_view> probable_word(std::string_view said, const std::vector<std::string_view>& words) {
  constexpr std::size_t kLongestWord = 64;
  if (said.empty() || said.size() > kLongestWord) return std::nullopt;
  const std::string normal = normal_word(said);
  std::optional<std::string_view> best;
  std::size_t least = std::max<std::size_t>(1, normal.size() / 3) + 1;
  for (const std::string_view word : words) {
    const std::size_t away = distance(normal, word);
    if (away >= least) continue;
    least = away;
    best = word;
  }
  return best;
}

std::optional<milliseconds> parse_duration(std::string_view text) {
  const auto value = parse_with_unit(text, kTimes);
  // As nanoseconds it still has to fit what clocks count in.
  constexpr std::uint64_t kMost = 36'500ULL * 86'400'000;
  if (!value || *value > kMost) return std::nullopt;
  return milliseconds(static_cast<std::int64_t>(*value));
}

std::optional<std::uint64_t> parse_size(std::string_view text) { return parse_with_unit(text, kSizes); }

std::string to_string(milliseconds duration) {
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count()));
  for (auto unit = kTimes.rbegin(); unit != kTimes.rend(); ++unit) {
    if (count != 0 && count % unit->factor == 0) return fmt::format("{} {}", count / unit->factor, unit->name);
  }
  return fmt::format("{} ms", count);
}

void FileNotes::add(ErrorId id, Place place, std::string_view what, std::string_view write) {
  add(fail(id, core::printable(what)).error(), place, write);
}

void FileNotes::add(core::Error error, Place place, std::string_view write) {
  complaints_.push_back({file_, place, std::move(error), core::printable(write)});
}

Complaints FileNotes::take() {
  std::ranges::stable_sort(complaints_, [](const Complaint& a, const Complaint& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  return std::move(complaints_);
}

const TomlEntry* TableReader::find(std::string_view key) const {
  const auto found = std::ranges::find(table_, key, &TomlEntry::key);
  return found == table_.end() ? nullptr : &*found;
}

const TomlValue* TableReader::ask(std::string_view key) {
  asked_.emplace(key);
  const TomlEntry* entry = find(key);
  return entry == nullptr ? nullptr : &entry->value;
}

std::string TableReader::full_name(std::string_view key) const {
  const std::string last = is_bare(key) ? std::string(key) : fmt::format("\"{}\"", key);
  return name_.empty() ? last : name_ + "." + last;
}

Place TableReader::place_of(std::string_view key) const {
  const TomlEntry* entry = find(key);
  return entry == nullptr ? place_ : entry->value.place;
}

void TableReader::complain(std::string_view key, std::string_view what, std::string_view write) {
  notes_.add("config.value-invalid", place_of(key), fmt::format("{}: {}", full_name(key), what), write);
}

void TableReader::complain(std::string_view key, core::Error error, std::string_view write) {
  notes_.add(std::move(error), place_of(key), write);
}

void TableReader::conflict(std::string_view key, std::string_view what, std::string_view write) {
  notes_.add("config.conflict", place_of(key), fmt::format("{}: {}", full_name(key), what), write);
}

void TableReader::complain_of_word(std::string_view key, std::string_view said,
                                   const std::vector<std::string_view>& words) {
  const auto probable = probable_word(said, words);
  complain(key, fmt::format("\"{}\" is not known", said),
           probable ? fmt::format("did you mean \"{}\"?", *probable) : "write " + listed(words));
}

void TableReader::wrong_kind(std::string_view key, const TomlValue& value, std::string_view wanted,
                             std::string_view example) {
  complain(key, fmt::format("this is {}, and {} is wanted", value.kind(), wanted),
           fmt::format("write {} = {}", is_bare(key) ? std::string(key) : fmt::format("\"{}\"", key), example));
}

bool TableReader::text(std::string_view key, std::string& out, std::size_t most_bytes) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return false;
  const auto* text = std::get_if<std::string>(&value->data);
  if (text == nullptr) {
    wrong_kind(key, *value, "a text", "\"...\"");
    return false;
  }
  if (text->empty() || text->size() > most_bytes || core::printable(*text) != *text) {
    complain(key, fmt::format("a text of 1 to {} printable characters is wanted", most_bytes),
             text->empty() ? "write something, or take the line away" : "shorten it, and leave out control characters");
    return false;
  }
  out = *text;
  return true;
}

bool TableReader::flag(std::string_view key, bool& out) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return false;
  const auto* flag = std::get_if<bool>(&value->data);
  if (flag == nullptr) {
    wrong_kind(key, *value, "true or false", "true");
    return false;
  }
  out = *flag;
  return true;
}

bool TableReader::number(std::string_view key, std::uint64_t least, std::uint64_t most, std::uint64_t& out) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return false;
  const auto* number = std::get_if<std::int64_t>(&value->data);
  if (number == nullptr) {
    wrong_kind(key, *value, "a whole number", std::to_string(least));
    return false;
  }
  if (*number < 0 || static_cast<std::uint64_t>(*number) < least || static_cast<std::uint64_t>(*number) > most) {
    complain(key, fmt::format("{} is out of bounds", *number),
             fmt::format("write a number from {} to {}", least, most));
    return false;
  }
  out = static_cast<std::uint64_t>(*number);
  return true;
}

bool TableReader::number(std::string_view key, unsigned least, unsigned most, unsigned& out) {
  std::uint64_t value = 0;
  if (!number(key, std::uint64_t{least}, std::uint64_t{most}, value)) return false;
  out = static_cast<unsigned>(value);
  return true;
}

bool TableReader::duration(std::string_view key, milliseconds least, milliseconds most, milliseconds& out) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return false;
  const auto* text = std::get_if<std::string>(&value->data);
  if (text == nullptr) {
    wrong_kind(key, *value, "a time with its unit (ms, s, min, h or d)", fmt::format("\"{}\"", to_string(least)));
    return false;
  }
  const auto parsed = parse_duration(*text);
  if (!parsed) {
    complain(key, fmt::format("\"{}\" is no time", *text), "write a whole number and ms, s, min, h or d: \"30 s\"");
    return false;
  }
  if (*parsed < least || *parsed > most) {
    complain(key, fmt::format("\"{}\" is out of bounds", *text),
             fmt::format("write a time from \"{}\" to \"{}\"", to_string(least), to_string(most)));
    return false;
  }
  out = *parsed;
  return true;
}

bool TableReader::size(std::string_view key, std::uint64_t least, std::uint64_t most, std::uint64_t& out) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return false;
  std::optional<std::uint64_t> parsed;
  if (const auto* number = std::get_if<std::int64_t>(&value->data); number != nullptr && *number >= 0)
    parsed = static_cast<std::uint64_t>(*number);
  if (const auto* text = std::get_if<std::string>(&value->data)) parsed = parse_size(*text);
  if (!parsed || *parsed < least || *parsed > most) {
    complain(key, "this is no size that can be used",
             fmt::format("write a size from \"{}\" to \"{}\": a number of bytes, or with KiB, MiB or GiB",
                         size_text(least), size_text(most)));
    return false;
  }
  out = *parsed;
  return true;
}

bool TableReader::path(std::string_view key, std::filesystem::path& out) {
  constexpr std::size_t kMostBytes = 4000;
  std::string said;
  if (!text(key, said, kMostBytes)) return false;
  out = (notes_.file().parent_path() / said).lexically_normal();
  return true;
}

bool TableReader::path(std::string_view key, std::optional<std::filesystem::path>& out) {
  std::filesystem::path taken;
  if (!path(key, taken)) return false;
  out = std::move(taken);
  return true;
}

bool TableReader::texts(std::string_view key, std::vector<std::string>& out) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return false;
  const auto* list = std::get_if<TomlArray>(&value->data);
  if (list == nullptr) {
    wrong_kind(key, *value, "a list of texts", "[\"...\"]");
    return false;
  }
  std::vector<std::string> taken;
  for (const TomlValue& one : *list) {
    const auto* text = std::get_if<std::string>(&one.data);
    if (text == nullptr || text->empty() || core::printable(*text) != *text) {
      notes_.add("config.value-invalid", one.place,
                 fmt::format("{}: this is {}, and a printable text is wanted", full_name(key), one.kind()),
                 "write \"...\"");
      return false;
    }
    if (std::ranges::find(taken, *text) != taken.end()) {
      notes_.add("config.value-invalid", one.place, fmt::format("{}: \"{}\" is there twice", full_name(key), *text),
                 "take one of them away");
      return false;
    }
    taken.push_back(*text);
  }
  out = std::move(taken);
  return true;
}

bool TableReader::pairs(std::string_view key, std::vector<std::pair<std::string, std::string>>& out) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return false;
  const auto* table = std::get_if<TomlTable>(&value->data);
  if (table == nullptr) {
    wrong_kind(key, *value, "a table of texts", "{ \"...\" = \"...\" }");
    return false;
  }
  out.clear();
  bool good = true;
  for (const TomlEntry& entry : *table) {
    const auto* text = std::get_if<std::string>(&entry.value.data);
    if (text == nullptr || text->empty() || core::printable(*text) != *text || entry.key.empty() ||
        core::printable(entry.key) != entry.key) {
      notes_.add("config.value-invalid", entry.value.place,
                 fmt::format("{}: the value of \"{}\" is {}, and a printable text is wanted", full_name(key), entry.key,
                             entry.value.kind()),
                 fmt::format("write \"{}\" = \"...\"", entry.key));
      good = false;
      continue;
    }
    out.emplace_back(entry.key, *text);
  }
  return good;
}

std::vector<TableReader> TableReader::tables(std::string_view key) {
  const TomlValue* value = ask(key);
  std::vector<TableReader> out;
  if (value == nullptr) return out;
  const auto* list = std::get_if<TomlArray>(&value->data);
  if (list == nullptr) {
    complain(key, fmt::format("this is {}, and tables are wanted", value->kind()),
             fmt::format("write [[{}]], once for each", full_name(key)));
    return out;
  }
  for (const TomlValue& one : *list) {
    const auto* table = std::get_if<TomlTable>(&one.data);
    if (table != nullptr) {
      out.emplace_back(*table, full_name(key), one.place, notes_);
    } else {
      notes_.add("config.value-invalid", one.place,
                 fmt::format("{}: this is {}, and a table is wanted", full_name(key), one.kind()),
                 fmt::format("write [[{}]], once for each", full_name(key)));
    }
  }
  return out;
}

std::optional<TableReader> TableReader::table(std::string_view key) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return std::nullopt;
  const auto* table = std::get_if<TomlTable>(&value->data);
  if (table == nullptr) {
    complain(key, fmt::format("this is {}, and a table is wanted", value->kind()),
             fmt::format("write [{}] on a line of its own, and its settings below", full_name(key)));
    return std::nullopt;
  }
  return TableReader(*table, full_name(key), value->place, notes_);
}

void TableReader::require(std::string_view key, std::string_view example) {
  asked_.emplace(key);
  if (has(key)) return;
  notes_.add("config.key-missing", place_, full_name(key), fmt::format("write {}", example));
}

void TableReader::finish() {
  std::vector<std::string_view> known(asked_.begin(), asked_.end());
  for (const TomlEntry& entry : table_) {
    if (asked_.contains(entry.key)) continue;
    const auto probable = probable_word(entry.key, known);
    notes_.add("config.key-unknown", entry.place, full_name(entry.key),
               probable ? fmt::format("did you mean {}?", *probable) : "take the line away");
  }
}

}  // namespace imprint::station::config
