// SPDX-License-Identifier: GPL-3.0-or-later
// imprint station setup: takes the steps, and tells of each.
#include <fmt/format.h>
#include <unistd.h>

#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/cli/setup_steps.hpp"

namespace imprint::station::cli {
namespace {

struct NamedStep {
  const char* name;
  core::Result<SetupStep> (SetupSteps::*take)();
};
constexpr NamedStep kSteps[] = {
    {"accounts", &SetupSteps::make_accounts},
    {"folders", &SetupSteps::make_folders},
    {"configuration", &SetupSteps::write_configuration},
    {"key", &SetupSteps::make_key},
    {"trust", &SetupSteps::look_at_trust},
    {"slot rules", &SetupSteps::write_slot_rules},
    {"units", &SetupSteps::enable_units},
    {"daemon", &SetupSteps::start_units},
    {"engineer", &SetupSteps::make_first_engineer},
};

const char* word_of(SetupOutcome outcome) {
  switch (outcome) {
    case SetupOutcome::there:
      return "there";
    case SetupOutcome::done:
      return "done";
    case SetupOutcome::due:
      return "would do";
    case SetupOutcome::open:
      return "TO DO";
    case SetupOutcome::left_out:
      break;
  }
  return "LEFT OUT";
}

}  // namespace

ExitStatus station_setup(const SetupOptions& options) {
  if (::geteuid() != 0 && !options.dry_run)
    return report_error(
        core::fail("io.permission", "making a station needs root; --dry-run says what it would do").error(), false);
  core::SystemProcessRunner processes;
  SetupSteps steps(options, processes);
  bool is_whole = true;
  for (const NamedStep& step : kSteps) {
    const auto taken = (steps.*step.take)();
    if (!taken) {
      print_line(fmt::format("{:<9} {:<14} the steps after it were not taken; run this again when it is mended",
                             "FAILED", step.name));
      return report_error(taken.error(), false);
    }
    is_whole = is_whole && taken->outcome != SetupOutcome::left_out;
    print_line(fmt::format("{:<9} {:<14} {}", word_of(taken->outcome), step.name, core::printable(taken->said)));
  }
  print_line(options.dry_run ? "Nothing was changed." : "See imprint station doctor for what is left to do.");
  return is_whole || options.dry_run ? ExitStatus::good : ExitStatus::not_good;
}

}  // namespace imprint::station::cli
