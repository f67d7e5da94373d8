// SPDX-License-Identifier: GPL-3.0-or-later
// Reads slot files and matches ports.
#include "station/slot_map.hpp"

#include <algorithm>
#include <map>

#include "flash/core/block_io.hpp"
#include "flash/core/text.hpp"
#include "station/errors.hpp"

namespace imprint::station {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = 1U << 20;
constexpr std::size_t kMaxNameBytes = 32;  // what a screen shows at two metres
constexpr std::size_t kMaxPortBytes = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name(std::string_view text) {
  const auto fits = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' ||
           c == '*';
  };
  return !text.empty() && text.size() <= kMaxNameBytes && std::ranges::all_of(text, fits) &&
         std::ranges::count(text, '*') <= 1;
}

bool is_port_pattern(std::string_view text) {
  const auto star = text.find('*');
  if (star == std::string_view::npos) return is_port_path(text);
  std::string without(text);
  without[star] = '1';
  return is_port_path(without);
}

// What the star of `pattern` stands for in `text`; nothing where they do not fit.
std::optional<std::string> star_in(std::string_view pattern, std::string_view text) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos || text.size() < pattern.size()) return std::nullopt;
  const std::string_view before = pattern.substr(0, star);
  const std::string_view after = pattern.substr(star + 1);
  if (!text.starts_with(before) || !text.ends_with(after)) return std::nullopt;
  const std::string_view middle = text.substr(before.size(), text.size() - before.size() - after.size());
  if (!std::ranges::all_of(middle, [](char c) { return is_digit(c) || c == '.'; })) return std::nullopt;
  return std::string(middle);
}

std::string with_star(std::string_view pattern, std::string_view star) {
  std::string out(pattern);
  if (const auto at = out.find('*'); at != std::string::npos) out.replace(at, 1, star);
  return out;
}

core::Failure invalid(const SlotRule& rule, std::string detail) {
  return fail("station.slot-map-invalid", std::move(detail)).with("file", rule.file.native()).with("line", rule.line);
}

core::Result<std::string> read_text(const fs::path& path) {
  IMPRINT_TRY(const auto file, core::FileSource::open(path));
  if (file->size() > kMaxFileBytes)
    return fail("station.slot-map-invalid", "the file is too large").with("file", path.native());
  IMPRINT_TRY(const auto bytes, file->read(0, file->size()));
  return std::string(core::as_text(bytes));
}

}  // namespace

bool is_port_path(std::string_view text) {
  if (text.size() > kMaxPortBytes) return false;
  const auto dash = text.find('-');
  if (dash == std::string_view::npos || dash == 0) return false;
  bool wants_digit = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool separator = i == dash || (i > dash && text[i] == '.');
    if (separator ? wants_digit : !is_digit(text[i])) return false;
    wants_digit = separator;
  }
  return !wants_digit;
}

core::Status SlotMap::add(SlotRule rule) {
  if (!is_name(rule.name))
    return invalid(rule, "a slot's name is at most 32 letters, digits, '-', '_' and '.', with at most one '*'");
  if (!is_port_pattern(rule.port)) return invalid(rule, "a port looks like 1-2.4, with at most one '*'");
  if ((rule.name.find('*') == std::string::npos) != (rule.port.find('*') == std::string::npos))
    return invalid(rule, "a '*' stands in the slot's name and in its port, or in neither");
  for (const SlotRule& other : rules_) {
    if (other.name == rule.name || other.port == rule.port)
      return invalid(rule, other.name == rule.name ? "the slot has a port already" : "the port has a slot already")
          .with("first", other.file.native() + ":" + std::to_string(other.line));
  }
  rules_.push_back(std::move(rule));
  return {};
}

core::Result<SlotMap> SlotMap::parse(std::string_view text, const fs::path& file) {
  SlotMap map;
  std::size_t number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    SlotRule rule;
    rule.file = file;
    rule.line = ++number;
    std::string_view line = text.substr(start, end - start);
    start = end + 1;
    line = core::trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    if (core::printable(line) != line) return invalid(rule, "the line holds characters that cannot be shown");
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return invalid(rule, "a line is NAME = PORT");
    rule.name = core::trimmed(line.substr(0, equals));
    std::string_view rest = core::trimmed(line.substr(equals + 1));
    const auto blank = std::min(rest.find_first_of(" \t"), rest.size());
    rule.port = rest.substr(0, blank);
    rest = core::trimmed(rest.substr(blank));
    if (rest == "disk") rule.disks = devices::DisksAllowed::removable;
    if (rest == "fixed-disk") rule.disks = devices::DisksAllowed::fixed;
    if (!rest.empty() && rule.disks == devices::DisksAllowed::none)
      return invalid(rule, "after the port, only disk or fixed-disk may stand").with("actual", rest);
    IMPRINT_CHECK(map.add(std::move(rule)));
  }
  return map;
}

core::Result<SlotMap> SlotMap::load(const std::vector<fs::path>& folders) {
  std::map<std::string, fs::path> files;  // by name: a later folder's file hides an earlier one's
  for (const fs::path& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
      if (it->path().extension() == ".conf") files[it->path().filename().string()] = it->path();
    }
    if (error && error != std::errc::no_such_file_or_directory)
      return core::fail_errno(error.value(), "io.read-failed", folder.native());
  }
  SlotMap map;
  for (const auto& [name, path] : files) {
    IMPRINT_TRY(const std::string text, read_text(path));
    IMPRINT_TRY(SlotMap part, parse(text, path));
    for (SlotRule& rule : part.rules_) IMPRINT_CHECK(map.add(std::move(rule)));
  }
  return map;
}

std::optional<SlotOfPort> SlotMap::slot_of(const devices::PortPath& port) const {
  for (const SlotRule& rule : rules_) {
    if (rule.port == port.text) return SlotOfPort{rule.name, rule.disks};
  }
  for (const SlotRule& rule : rules_) {
    if (const auto star = star_in(rule.port, port.text))
      return SlotOfPort{with_star(rule.name, *star), rule.disks};
  }
  return std::nullopt;
}

std::optional<devices::PortPath> SlotMap::port_of(std::string_view slot) const {
  for (const SlotRule& rule : rules_) {
    if (rule.name == slot) return devices::PortPath{rule.port};
  }
  for (const SlotRule& rule : rules_) {
    const auto star = star_in(rule.name, slot);
    if (!star) continue;
    devices::PortPath port{with_star(rule.port, *star)};
    // Another rule may have taken the port, or the star may stand for what no port is.
    const auto back = is_port_path(port.text) ? slot_of(port) : std::nullopt;
    if (back && back->name == slot) return port;
  }
  return std::nullopt;
}

}  // namespace imprint::station
