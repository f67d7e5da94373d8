// SPDX-License-Identifier: GPL-3.0-or-later
// A set of checks that is fixed before the disk is looked at. Whatever goes wrong, the report names each of them once,
// so that a check can never vanish from a report and be taken for passed. Used by the rules only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flash/inspect/errors.hpp"
#include "flash/inspect/finding.hpp"

namespace imprint::inspect {

// Not thread-safe; one for each report. Calls name checks of the set; others are ignored, since a rule may serve inputs
// to which some checks do not apply.
class CheckList {
 public:
  struct Entry {
    consteval Entry(const char* check, Severity level = Severity::error)  // NOLINT(google-explicit-constructor)
        : id(check), severity(level) {}
    ErrorId id;
    Severity severity;
  };

  CheckList(std::string source, const std::vector<Entry>& checks);

  // One check may be judged for several subjects (partitions, files): it fails when one fails, is not checked when none
  // fails but one could not be judged, and names those that decided.
  void pass(ErrorId check, std::string expected, std::string actual);
  void fail(ErrorId check, std::string expected, std::string actual, std::string detail = {});
  void not_checked(ErrorId check, std::string reason, std::string expected = {});
  void judge(ErrorId check, bool good, std::string expected, std::string actual);
  // A step behind the check ended with an error: fail when the disk's own contents are at fault, not-checked when they
  // could not be read or this machine is at fault. `subject`: what the error is about, where a check has several.
  void fail_or_skip(ErrorId check, std::string expected, const core::Error& error, std::string_view subject = {});

  // Checks that were never judged become not-checked with this reason.
  [[nodiscard]] Report finish(std::string_view reason_for_the_rest);

 private:
  struct Item {
    FindingVerdict verdict;
    std::string expected;
    std::string actual;
    std::string detail;
  };
  struct Check {
    const core::ErrorRow* row;
    Severity severity;
    std::vector<Item> items;
  };
  void add(ErrorId check, Item item);
  [[nodiscard]] static Finding conclude(const Check& check, std::string_view reason);

  std::string source_;
  std::vector<Check> checks_;
};

// True when the contents of what was read are wrong, false when they could not be read: an error of the machine, of the
// transport or of a cache says nothing about the disk.
[[nodiscard]] bool says_contents_are_bad(const core::Error& error);

}  // namespace imprint::inspect
