// SPDX-License-Identifier: GPL-3.0-or-later
// What a rule has to say about a disk: one finding a check, whose name is an id of the error table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flash/core/error_table.hpp"

namespace imprint::inspect {

enum class FindingVerdict { pass, fail, not_checked };
enum class Severity { error, warning };
enum class ReportVerdict { pass, fail, incomplete };

[[nodiscard]] std::string_view to_string(FindingVerdict verdict);  // "pass", "fail", "not-checked"
[[nodiscard]] std::string_view to_string(Severity severity);
[[nodiscard]] std::string_view to_string(ReportVerdict verdict);

// One for each check. A check that is made for several subjects (partitions, files) names in `expected` and `actual`
// those that decided. Passed: message and remedy are empty. Not checked: the message says what stopped it.
struct Finding {
  std::string check;  // "layout.gpt-backup"
  FindingVerdict verdict = FindingVerdict::not_checked;
  Severity severity = Severity::error;
  std::string expected;
  std::string actual;
  std::string message;
  std::string remedy;
  friend bool operator==(const Finding&, const Finding&) = default;
};

struct Report {
  std::string source;
  std::vector<Finding> findings;
  // fail: an error-severity finding failed. incomplete: none failed, but one of error severity could not be checked, or
  // there is no finding at all. Warnings do not change a verdict.
  [[nodiscard]] ReportVerdict verdict() const;
  // Adds the other's findings but those that this report has word for word. The source is taken over when there is
  // none.
  void append(Report other);
};

}  // namespace imprint::inspect
