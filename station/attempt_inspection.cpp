// SPDX-License-Identifier: GPL-3.0-or-later
// Rules one after the other; the first finding against the unit is what is said.
#include "station/attempt_inspection.hpp"

#include "station/errors.hpp"

namespace imprint::station {
namespace {

std::string deciding_text(const inspect::Report& report, inspect::FindingVerdict verdict) {
  for (const inspect::Finding& finding : report.findings) {
    if (finding.verdict == verdict && finding.severity == inspect::Severity::error)
      return finding.check + ": " + finding.message;
  }
  return "no rule gave an answer";
}

}  // namespace

inspect::Report inspect_unit(const inspect::Disk& disk, const Recipe& recipe, const std::filesystem::path& scratch) {
  inspect::Report report;
  report.source = disk.name;
  if (recipe.layout) report.append(inspect::inspect_layout(disk, *recipe.layout, recipe.platform));
  if (recipe.check_bcd) report.append(inspect::inspect_bcd(disk));
  if (recipe.recovery) report.append(inspect::inspect_recovery(disk, *recipe.recovery, scratch));
  return report;
}

core::Result<inspect::Report> without_waived(inspect::Report report, AttemptRules& rules, db::UnitId unit,
                                             std::string& detail) {
  for (inspect::Finding& finding : report.findings) {
    if (finding.verdict != inspect::FindingVerdict::fail || finding.severity != inspect::Severity::error) continue;
    IMPRINT_TRY(const auto reason, rules.waiver_of(finding.check, unit));
    if (!reason) continue;
    finding.severity = inspect::Severity::warning;
    detail += (detail.empty() ? "waived: " : "\nwaived: ") + finding.check + ": " + *reason;
  }
  return report;
}

core::Status judge(const inspect::Report& report) {
  switch (report.verdict()) {
    case inspect::ReportVerdict::pass:
      return {};
    case inspect::ReportVerdict::fail:
      return fail("inspect.failed", deciding_text(report, inspect::FindingVerdict::fail));
    case inspect::ReportVerdict::incomplete:
      break;
  }
  return fail("inspect.incomplete", deciding_text(report, inspect::FindingVerdict::not_checked));
}

}  // namespace imprint::station
