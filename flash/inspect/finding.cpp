// SPDX-License-Identifier: GPL-3.0-or-later
// What a report adds up to, and the words for it.
#include "flash/inspect/finding.hpp"

#include <algorithm>
#include <utility>

namespace imprint::inspect {

std::string_view to_string(FindingVerdict verdict) {
  switch (verdict) {
    case FindingVerdict::pass:
      return "pass";
    case FindingVerdict::fail:
      return "fail";
    case FindingVerdict::not_checked:
      return "not-checked";
  }
  return "not-checked";
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
  }
  return "error";
}

std::string_view to_string(ReportVerdict verdict) {
  switch (verdict) {
    case ReportVerdict::pass:
      return "pass";
    case ReportVerdict::fail:
      return "fail";
    case ReportVerdict::incomplete:
      return "incomplete";
  }
  return "incomplete";
}

ReportVerdict Report::verdict() const {
  const auto any_error = [&](FindingVerdict verdict) {
    return std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
      return finding.severity == Severity::error && finding.verdict == verdict;
    });
  };
  if (any_error(FindingVerdict::fail)) return ReportVerdict::fail;
  if (findings.empty() || any_error(FindingVerdict::not_checked)) return ReportVerdict::incomplete;
  return ReportVerdict::pass;
}

void Report::append(Report other) {
  if (source.empty()) source = std::move(other.source);
  for (Finding& finding : other.findings) {
    // Rules share their first steps (the table, the BCD store): what was said in the same words is not counted twice.
    if (std::find(findings.begin(), findings.end(), finding) == findings.end()) findings.push_back(std::move(finding));
  }
}

}  // namespace imprint::inspect
