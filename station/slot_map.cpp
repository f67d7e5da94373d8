// SPDX-License-Identifier: GPL-3.0-or-later
// Reads slot files and matches ports.
#include "station/slot_map.hpp"

#include <algorithm>
#include <map>

#include "devices/protocol/port_path.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/text.hpp"
#include "station/errors.hpp"

namespace imprint::station {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = 1U << 20;
constexpr std::size_t kMaxNameBytes = 32;  // what a screen shows at two metres

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name(std::string_view text) {
  const auto fits = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' ||
           c == '*';
  };
  return !text.empty() && text.size() <= kMaxNameBytes && std::ranges::all_of(text, fits) &&
         std::ranges::count(text, '*') <= 1;
}

bool can_be_shown(std::string_view line) {
  std::string text(line);
  std::ranges::replace(text, '\t', ' ');
  return core::printable(text) == text;
}

core::Failure invalid(const SlotRule& rule, std::string detail) {
  return fail("station.slot-map-invalid", std::move(detail)).with("file", rule.file.native()).with("line", rule.line);
}

// The usual way to mask a file.
bool is_null_device(const fs::path& path) {
  std::error_code error;
  return fs::canonical(path, error) == "/dev/null";
}

core::Result<std::string> read_text(const fs::path& path) {
  if (is_null_device(path)) return std::string();
  IMPRINT_TRY(const auto file, core::FileSource::open(path));
  if (file->size() > kMaxFileBytes)
    return fail("station.slot-map-invalid", "the file is too large").with("file", path.native());
  IMPRINT_TRY(const auto bytes, file->read(0, file->size()));
  return std::string(core::as_text(bytes));
}

// What stands behind the equals sign: ports, and what the slot does with disks.
core::Status read_words(SlotRule& rule, std::string_view rest) {
  while (!rest.empty()) {
    const auto blank = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view word = rest.substr(0, blank);
    rest = core::trimmed(rest.substr(blank));
    if (word == "disk" || word == "fixed-disk") {
      rule.disks = word == "disk" ? devices::DisksAllowed::removable : devices::DisksAllowed::fixed;
      if (!rest.empty()) return invalid(rule, "disk or fixed-disk is the last word").with("actual", rest);
    } else {
      rule.ports.emplace_back(word);
    }
  }
  return {};
}

bool contains(const std::vector<devices::PortPath>& ports, const devices::PortPath& port) {
  return std::ranges::find(ports, port) != ports.end();
}

}  // namespace

core::Status SlotMap::add(SlotRule rule) {
  if (!is_name(rule.name))
    return invalid(rule, "a slot's name is at most 32 letters, digits, '-', '_' and '.', with at most one '*'");
  if (rule.ports.empty()) return invalid(rule, "the slot has no port");
  for (std::size_t i = 0; i < rule.ports.size(); ++i) {
    const std::string& port = rule.ports[i];
    if (!devices::is_port_pattern(port))
      return invalid(rule, "a port looks like 1-2.4, with at most one '*', behind the '-'").with("actual", port);
    if (rule.has_star() != (port.find('*') != std::string::npos))
      return invalid(rule, "a '*' stands in the slot's name and in each of its ports, or nowhere");
    if (std::find(rule.ports.begin(), rule.ports.begin() + static_cast<std::ptrdiff_t>(i), port) !=
        rule.ports.begin() + static_cast<std::ptrdiff_t>(i))
      return invalid(rule, "the line names a port twice").with("actual", port);
  }
  const auto is_taken_by = [&rule](const SlotRule& other) {
    return std::ranges::find_first_of(rule.ports, other.ports) != rule.ports.end();
  };
  for (const SlotRule& other : rules_) {
    if (other.name == rule.name || is_taken_by(other))
      return invalid(rule, other.name == rule.name ? "the slot has its ports already" : "the port has a slot already")
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
    if (!can_be_shown(line)) return invalid(rule, "the line holds characters that cannot be shown");
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return invalid(rule, "a line is NAME = PORT");
    rule.name = core::trimmed(line.substr(0, equals));
    IMPRINT_CHECK(read_words(rule, core::trimmed(line.substr(equals + 1))));
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

std::optional<SlotMap::Match> SlotMap::find(const devices::PortPath& port) const {
  for (const SlotRule& rule : rules_) {
    if (std::ranges::find(rule.ports, port.text) != rule.ports.end()) return Match{&rule, {}};
  }
  for (const SlotRule& rule : rules_) {
    for (const std::string& pattern : rule.ports) {
      if (auto star = devices::star_in(pattern, port.text)) return Match{&rule, std::move(*star)};
    }
  }
  return std::nullopt;
}

std::optional<SlotOfPort> SlotMap::slot_of(const devices::PortPath& port) const {
  const auto match = devices::is_port_path(port) ? find(port) : std::nullopt;
  if (!match) return std::nullopt;
  SlotOfPort slot{devices::with_star_as(match->rule->name, match->star), match->rule->disks};
  if (!contains(ports_of(slot.name), port)) return std::nullopt;
  return slot;
}

std::vector<devices::PortPath> SlotMap::ports_of(std::string_view slot) const {
  std::vector<devices::PortPath> ports;
  for (const SlotRule& rule : rules_) {
    if (rule.name != slot || rule.has_star()) continue;
    for (const std::string& port : rule.ports) ports.push_back({port});
    return ports;
  }
  for (const SlotRule& rule : rules_) {
    const auto star = devices::star_in(rule.name, slot);
    if (!star) continue;
    for (const std::string& pattern : rule.ports) {
      devices::PortPath port{devices::with_star_as(pattern, *star)};
      // Another line may have taken the port, or the star may stand for what no port is.
      const auto match = devices::is_port_path(port) ? find(port) : std::nullopt;
      if (match && match->rule == &rule && match->star == *star) ports.push_back(std::move(port));
    }
    if (!ports.empty()) return ports;
  }
  return ports;
}

}  // namespace imprint::station
