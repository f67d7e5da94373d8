// SPDX-License-Identifier: GPL-3.0-or-later
// Plays udev rules on devices of the test's own making, so that a test can ask what the rules do and not how they are
// worded. It knows the keys that our rules use, as udev(7) describes them, and throws on any other.
// tests/vm/udev_rules.sh is the same with the real udev.
#pragma once

#include <fnmatch.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace imprint::test {

// What udev knows of a device when its event comes.
struct PlayedDevice {
  std::string subsystem;
  std::string devtype;
  std::string kernel;
  std::map<std::string, std::string> attributes{};
  std::map<std::string, std::string> properties{};
  std::vector<PlayedDevice> parents{};  // nearest first
  std::string action = "add";
};

// What the rules made of it.
struct Verdict {
  std::map<std::string, std::string> properties;
  std::map<std::string, std::string> written;  // into attributes
  std::set<std::string> tags;
  std::set<std::string> options;
  std::string group;
  std::string mode;

  [[nodiscard]] std::string property(const std::string& name) const {
    const auto found = properties.find(name);
    return found == properties.end() ? "" : found->second;
  }
};

class PlayedRules {
 public:
  // One after the other, as udev reads files in the order of their names.
  void add(const std::string& text) {
    std::istringstream lines(text);
    std::vector<Rule> file;
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line[0] != '#') file.push_back(parse(line));
    }
    files_.push_back(std::move(file));
  }

  void add_file(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) throw std::runtime_error("cannot read " + path);
    add(text.str());
  }

  [[nodiscard]] Verdict play(const PlayedDevice& device) const {
    State state{device, {}, {}, {}};
    state.verdict.properties = device.properties;
    state.verdict.properties["DEVTYPE"] = device.devtype;
    for (const auto& file : files_) {
      std::string wanted_label;
      for (const Rule& rule : file) {
        if (!wanted_label.empty() && label_of(rule) != wanted_label) continue;
        wanted_label.clear();
        if (!matches(rule, state)) continue;
        for (const Term& term : rule) assign(term, state, wanted_label);
      }
      if (!wanted_label.empty()) throw std::runtime_error("no label " + wanted_label);
    }
    return state.verdict;
  }

 private:
  struct Term {
    std::string key;
    std::string argument;
    std::string operation;
    std::string value;
    [[nodiscard]] bool is_match() const { return operation == "==" || operation == "!="; }
  };
  using Rule = std::vector<Term>;
  struct State {
    const PlayedDevice& device;
    Verdict verdict;
    bool group_is_final;
    bool mode_is_final;
  };

  static Rule parse(const std::string& line) {
    static const std::regex term(R"re(([A-Z]+)(?:\{([^}]*)\})?(==|!=|\+=|-=|:=|=)"([^"]*)"(?:,\s*|$))re");
    Rule rule;
    auto at = line.cbegin();
    for (std::smatch found; at != line.cend(); at = found[0].second) {
      if (!std::regex_search(at, line.cend(), found, term, std::regex_constants::match_continuous))
        throw std::runtime_error("not a rule: " + line);
      rule.push_back({found[1], found[2], found[3], found[4]});
    }
    return rule;
  }

  static std::string label_of(const Rule& rule) {
    return !rule.empty() && rule[0].key == "LABEL" ? rule[0].value : std::string();
  }

  static bool fits(const Term& term, const std::string& text) {
    bool any = false;
    std::istringstream patterns(term.value);
    for (std::string pattern; std::getline(patterns, pattern, '|');)
      any = any || fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
    if (term.value.empty()) any = text.empty();
    return any == (term.operation == "==");
  }

  // An attribute that is not there fits neither == nor !=.
  static bool attribute_fits(const Term& term, const PlayedDevice& device) {
    const auto found = device.attributes.find(term.argument);
    return found != device.attributes.end() && fits(term, found->second);
  }

  static bool fits_device(const Term& term, const State& state) {
    if (term.key == "ACTION") return fits(term, state.device.action);
    if (term.key == "SUBSYSTEM") return fits(term, state.device.subsystem);
    if (term.key == "KERNEL") return fits(term, state.device.kernel);
    if (term.key == "ENV") return fits(term, state.verdict.property(term.argument));
    if (term.key == "ATTR") return attribute_fits(term, state.device);
    if (term.key == "TEST") return state.device.attributes.contains(term.value) == (term.operation == "==");
    throw std::runtime_error("unknown key " + term.key);
  }

  static bool is_of_parents(const Term& term) {
    return term.key == "SUBSYSTEMS" || term.key == "KERNELS" || term.key == "ATTRS";
  }

  static bool fits_parent(const Term& term, const PlayedDevice& parent) {
    if (term.key == "SUBSYSTEMS") return fits(term, parent.subsystem);
    if (term.key == "KERNELS") return fits(term, parent.kernel);
    return attribute_fits(term, parent);
  }

  static bool matches(const Rule& rule, const State& state) {
    std::vector<Term> of_parents;
    for (const Term& term : rule) {
      if (!term.is_match()) continue;
      if (is_of_parents(term)) {
        of_parents.push_back(term);
      } else if (!fits_device(term, state)) {
        return false;
      }
    }
    // All of them fit one and the same device, this one or one above it.
    const auto fits_all = [&](const PlayedDevice& device) {
      return std::ranges::all_of(of_parents, [&](const Term& term) { return fits_parent(term, device); });
    };
    return fits_all(state.device) || std::ranges::any_of(state.device.parents, fits_all);
  }

  static void set(std::string& value, bool& is_final, const Term& term) {
    if (!is_final) value = term.value;
    is_final = is_final || term.operation == ":=";
  }

  static void change(std::set<std::string>& values, const Term& term) {
    if (term.operation == "-=") {
      values.erase(term.value);
    } else {
      values.insert(term.value);
    }
  }

  static void assign(const Term& term, State& state, std::string& wanted_label) {
    if (term.is_match() || term.key == "LABEL") return;
    if (term.key == "GOTO") {
      wanted_label = term.value;
    } else if (term.key == "ENV") {
      state.verdict.properties[term.argument] = term.value;
    } else if (term.key == "ATTR") {
      state.verdict.written[term.argument] = term.value;
    } else if (term.key == "TAG") {
      change(state.verdict.tags, term);
    } else if (term.key == "OPTIONS") {
      change(state.verdict.options, term);
    } else if (term.key == "GROUP") {
      set(state.verdict.group, state.group_is_final, term);
    } else if (term.key == "MODE") {
      set(state.verdict.mode, state.mode_is_final, term);
    } else {
      throw std::runtime_error("unknown key " + term.key);
    }
  }

  std::vector<std::vector<Rule>> files_;
};

}  // namespace imprint::test
