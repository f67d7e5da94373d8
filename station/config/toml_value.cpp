// SPDX-License-Identifier: GPL-3.0-or-later
// From toml++ to values of our own: the one file that includes it.
#include "station/config/toml_value.hpp"

#define TOML_EXCEPTIONS 0         // NOLINT(cppcoreguidelines-macro-usage): how the library is set
#define TOML_ENABLE_FORMATTERS 0  // NOLINT(cppcoreguidelines-macro-usage)
#include <toml++/toml.h>

#include <algorithm>

#include "flash/core/text.hpp"

namespace imprint::station::config {
namespace {

Place place_of(const toml::source_region& region) {
  return {static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
}

TomlTable convert_table(const toml::table& table);

// Depth is bounded by the library (256).
// NOLINTNEXTLINE(misc-no-recursion)
TomlValue convert(const toml::node& node) {
  TomlValue out{TomlDate{}, place_of(node.source())};
  if (const auto* text = node.as_string()) out.data = text->get();
  if (const auto* number = node.as_integer()) out.data = number->get();
  if (const auto* number = node.as_floating_point()) out.data = number->get();
  if (const auto* flag = node.as_boolean()) out.data = flag->get();
  if (const auto* array = node.as_array()) {
    TomlArray values;
    for (const toml::node& value : *array) values.push_back(convert(value));
    out.data = std::move(values);
  }
  if (const auto* table = node.as_table()) out.data = convert_table(*table);
  return out;
}

// NOLINTNEXTLINE(misc-no-recursion)
TomlTable convert_table(const toml::table& table) {
  TomlTable out;
  for (const auto& [key, value] : table)
    out.push_back({std::string(key.str()), place_of(key.source()), convert(value)});
  std::ranges::sort(out, [](const TomlEntry& a, const TomlEntry& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  return out;
}

Complaint malformed(const std::filesystem::path& file, Place place, std::string_view why) {
  return {file, place, fail("config.toml-malformed", core::printable(why)).error(), {}};
}

}  // namespace

std::string_view TomlValue::kind() const {
  constexpr std::array<std::string_view, 7> kKinds{
      "a text", "a number", "a number with a point", "true or false", "a date", "a list", "a table"};
  return kKinds.at(data.index());
}

Parsed<TomlTable> parse_toml(std::string_view text, const std::filesystem::path& file) {
  if (text.size() > kMaxTomlBytes) return {std::nullopt, {malformed(file, {}, "it is larger than 1 MiB")}};
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    return {std::nullopt, {malformed(file, place_of(error.source()), error.description())}};
  }
  return {convert_table(result.table()), {}};
}

Places places_of(const TomlTable& root) {
  Places places;
  for (const TomlEntry& entry : root) {
    places[entry.key] = entry.place;
    const auto* table = std::get_if<TomlTable>(&entry.value.data);
    if (table == nullptr) continue;
    for (const TomlEntry& inner : *table) places[entry.key + "." + inner.key] = inner.place;
  }
  return places;
}

}  // namespace imprint::station::config
