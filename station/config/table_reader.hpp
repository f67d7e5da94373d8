// SPDX-License-Identifier: GPL-3.0-or-later
// Takes settings out of a TOML table one by one, complains of those that have the wrong form, and in the end of those
// that nobody asked for.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "station/config/toml_value.hpp"

namespace imprint::station::config {

// Where complaints go. One for each file.
class FileNotes {
 public:
  explicit FileNotes(std::filesystem::path file) : file_(std::move(file)) {}
  void add(ErrorId id, Place place, std::string_view what, std::string_view write);
  void add(core::Error error, Place place, std::string_view write = {});
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  // In the order of the file.
  [[nodiscard]] Complaints take();

 private:
  std::filesystem::path file_;
  Complaints complaints_;
};

// Every getter leaves `out` as it is where the key is not there or its value is no good.
class TableReader {
 public:
  // Of the whole file (`name` empty), or of the table [name]. Both outlive the reader.
  TableReader(const TomlTable& table, std::string name, Place place, FileNotes& notes)
      : table_(table), name_(std::move(name)), place_(place), notes_(notes) {}

  // Answer whether a value was taken.
  bool text(std::string_view key, std::string& out, std::size_t most_bytes = 256);
  bool flag(std::string_view key, bool& out);
  bool number(std::string_view key, std::uint64_t least, std::uint64_t most, std::uint64_t& out);
  bool number(std::string_view key, unsigned least, unsigned most, unsigned& out);
  // "500 ms", "30 s", "5 min", "2 h", "90 d". A bare number is refused: nobody remembers of what.
  bool duration(std::string_view key, std::chrono::milliseconds least, std::chrono::milliseconds most,
                std::chrono::milliseconds& out);
  // "512", "64 KiB", "1 MiB", "2 GiB": a text or a number of bytes.
  bool size(std::string_view key, std::uint64_t least, std::uint64_t most, std::uint64_t& out);
  // Relative to the file's folder. Nothing is opened.
  bool path(std::string_view key, std::filesystem::path& out);
  bool path(std::string_view key, std::optional<std::filesystem::path>& out);
  bool texts(std::string_view key, std::vector<std::string>& out);
  // A table of texts, in the order of the file.
  bool pairs(std::string_view key, std::vector<std::pair<std::string, std::string>>& out);

  // One of a list of words; `parse` answers nothing for others.
  template <class T, class Parse>
  bool word(std::string_view key, const std::vector<std::string_view>& words, const Parse& parse, T& out) {
    std::string said;
    if (!text(key, said)) return false;
    const auto value = parse(std::string_view(said));
    if (!value) {
      complain_of_word(key, said, words);
      return false;
    }
    out = *value;
    return true;
  }

  // The table under the key, where there is one.
  [[nodiscard]] std::optional<TableReader> table(std::string_view key);
  // The tables [[key]], in the order of the file.
  [[nodiscard]] std::vector<TableReader> tables(std::string_view key);
  // `config.key-missing` where it is not there. `example`: a line that would do.
  void require(std::string_view key, std::string_view example);
  // `config.key-unknown` for every key that was not asked for, with the one that it probably means.
  void finish();

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  // Of the key's value, or of the table where the key is not there.
  [[nodiscard]] Place place_of(std::string_view key) const;
  void complain(std::string_view key, std::string_view what, std::string_view write);
  void complain(std::string_view key, core::Error error, std::string_view write = {});
  void conflict(std::string_view key, std::string_view what, std::string_view write);
  void complain_of_word(std::string_view key, std::string_view said, const std::vector<std::string_view>& words);
  [[nodiscard]] FileNotes& notes() const { return notes_; }

 private:
  [[nodiscard]] const TomlEntry* find(std::string_view key) const;
  const TomlValue* ask(std::string_view key);
  [[nodiscard]] std::string full_name(std::string_view key) const;
  void wrong_kind(std::string_view key, const TomlValue& value, std::string_view wanted, std::string_view example);

  const TomlTable& table_;
  std::string name_;
  Place place_;
  FileNotes& notes_;
  std::set<std::string, std::less<>> asked_;
};

// The word that `said` probably means: within a third of its letters; nothing where none is near.
[[nodiscard]] std::optional<std::string_view> probable_word(std::string_view said,
                                                            const std::vector<std::string_view>& words);
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
// "500 ms", "30 s", "5 min" ...: the largest unit that loses nothing.
[[nodiscard]] std::string to_string(std::chrono::milliseconds duration);

}  // namespace imprint::station::config
