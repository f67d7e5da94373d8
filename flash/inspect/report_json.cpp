// SPDX-License-Identifier: GPL-3.0-or-later
// Writes reports as JSON.
#include "flash/inspect/report_json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "flash/core/text.hpp"
#include "flash/inspect/json_text.hpp"

namespace imprint::inspect {

std::string json_safe(std::string_view text) {
  return core::utf16le_from_utf8(text) ? std::string(text) : core::printable(text);
}

boost::json::array findings_to_json(const Report& report) {
  boost::json::array out;
  out.reserve(report.findings.size());
  for (const Finding& finding : report.findings) {
    out.emplace_back(boost::json::object{{"check", json_safe(finding.check)},
                                         {"verdict", to_string(finding.verdict)},
                                         {"severity", to_string(finding.severity)},
                                         {"expected", json_safe(finding.expected)},
                                         {"actual", json_safe(finding.actual)},
                                         {"message", json_safe(finding.message)},
                                         {"remedy", json_safe(finding.remedy)}});
  }
  return out;
}

std::string serialize_by_line(const boost::json::object& object, std::string_view key) {
  std::string out = "{";
  for (const auto& [name, value] : object) {
    if (out.size() > 1) out += ",";
    out += boost::json::serialize(boost::json::value(name)) + ":";
    if (std::string_view(name.data(), name.size()) != key || !value.is_array()) {
      out += boost::json::serialize(value);
      continue;
    }
    std::string separator = "\n  ";
    out += "[";
    for (const auto& element : value.get_array()) {
      out += separator + boost::json::serialize(element);
      separator = ",\n  ";
    }
    out += value.get_array().empty() ? "]" : "\n]";
  }
  return out + "}\n";
}

std::string to_json(const Report& report) {
  return serialize_by_line({{"source", json_safe(report.source)},
                            {"verdict", to_string(report.verdict())},
                            {"findings", findings_to_json(report)}},
                           "findings");
}

}  // namespace imprint::inspect
