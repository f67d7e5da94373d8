// SPDX-License-Identifier: GPL-3.0-or-later
// Collects what the rules found out about each check, and words one finding for each.
#include "flash/inspect/check_list.hpp"

#include <algorithm>
#include <utility>

#include "flash/core/text.hpp"

namespace imprint::inspect {
namespace {

// A layout may have more partitions than a line of a report should name.
constexpr std::size_t kNamedSubjects = 8;

template <class Items, class Member>
std::string joined(const Items& items, FindingVerdict verdict, Member member) {
  std::string out;
  std::size_t named = 0;
  std::size_t left_off = 0;
  for (const auto& item : items) {
    const std::string& text = item.*member;
    if (item.verdict != verdict || text.empty()) continue;
    if (named == kNamedSubjects) {
      ++left_off;
      continue;
    }
    if (named++ > 0) out += "; ";
    out += text;
  }
  if (left_off > 0) out += "; and " + std::to_string(left_off) + " more";
  return core::printable(out);
}

const core::Error& root_cause(const core::Error& error) {
  const core::Error* at = &error;
  while (at->cause() != nullptr) at = at->cause();
  return *at;
}

}  // namespace

bool says_contents_are_bad(const core::Error& error) {
  const std::string_view id = root_cause(error).id();
  if (id == "io.out-of-range" || id == "format.truncated") return true;
  constexpr std::string_view kStructures[] = {"layout.", "volume.", "bcd."};
  return std::any_of(std::begin(kStructures), std::end(kStructures),
                     [&](std::string_view area) { return id.starts_with(area); });
}

CheckList::CheckList(std::string source, const std::vector<Entry>& checks) : source_(std::move(source)) {
  checks_.reserve(checks.size());
  for (const Entry& entry : checks) checks_.push_back({&entry.id.row(), entry.severity, {}});
}

void CheckList::add(ErrorId check, Item item) {
  const auto found =
      std::find_if(checks_.begin(), checks_.end(), [&](const Check& c) { return c.row == &check.row(); });
  if (found != checks_.end()) found->items.push_back(std::move(item));
}

void CheckList::pass(ErrorId check, std::string expected, std::string actual) {
  add(check, {FindingVerdict::pass, std::move(expected), std::move(actual), {}});
}

void CheckList::fail(ErrorId check, std::string expected, std::string actual, std::string detail) {
  add(check, {FindingVerdict::fail, std::move(expected), std::move(actual), std::move(detail)});
}

void CheckList::not_checked(ErrorId check, std::string reason, std::string expected) {
  add(check, {FindingVerdict::not_checked, std::move(expected), {}, std::move(reason)});
}

void CheckList::judge(ErrorId check, bool good, std::string expected, std::string actual) {
  if (good) {
    pass(check, std::move(expected), std::move(actual));
  } else {
    fail(check, std::move(expected), std::move(actual));
  }
}

void CheckList::fail_or_skip(ErrorId check, std::string expected, const core::Error& error, std::string_view subject) {
  const std::string prefix = subject.empty() ? std::string() : std::string(subject) + ": ";
  std::string what = prefix + std::string(error.id()) + ": " + error.message();
  if (says_contents_are_bad(error)) {
    fail(check, std::move(expected), prefix + std::string(error.id()), std::move(what));
  } else {
    not_checked(check, std::move(what), std::move(expected));
  }
}

Finding CheckList::conclude(const Check& check, std::string_view reason) {
  const auto any = [&](FindingVerdict verdict) {
    return std::any_of(check.items.begin(), check.items.end(),
                       [&](const Item& item) { return item.verdict == verdict; });
  };
  Finding finding;
  finding.check = check.row->id;
  finding.severity = check.severity;
  finding.verdict = any(FindingVerdict::fail)                                 ? FindingVerdict::fail
                    : any(FindingVerdict::not_checked) || check.items.empty() ? FindingVerdict::not_checked
                                                                              : FindingVerdict::pass;
  finding.expected = joined(check.items, finding.verdict, &Item::expected);
  finding.actual = joined(check.items, finding.verdict, &Item::actual);
  std::string detail = joined(check.items, finding.verdict, &Item::detail);
  switch (finding.verdict) {
    case FindingVerdict::pass:
      break;
    case FindingVerdict::fail:
      finding.message = std::string(check.row->text) + (detail.empty() ? "" : ": " + detail);
      finding.remedy = check.row->remedy;
      break;
    case FindingVerdict::not_checked:
      finding.message = "Not checked: " + (detail.empty() ? core::printable(reason) : detail);
      finding.remedy = "Mend what stopped this check, then inspect again.";
      break;
  }
  return finding;
}

Report CheckList::finish(std::string_view reason_for_the_rest) {
  Report report;
  report.source = source_;
  report.findings.reserve(checks_.size());
  for (const Check& check : checks_) report.findings.push_back(conclude(check, reason_for_the_rest));
  return report;
}

}  // namespace imprint::inspect
