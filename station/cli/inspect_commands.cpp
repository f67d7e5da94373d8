// SPDX-License-Identifier: GPL-3.0-or-later
// imprint inspect layout, bcd and recovery.
#include <fmt/format.h>

#include "flash/bcd/store.hpp"
#include "flash/core/text.hpp"
#include "flash/imaging/scratch_folder.hpp"
#include "flash/inspect/bcd_json.hpp"
#include "flash/inspect/bcd_text.hpp"
#include "flash/inspect/report_json.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/inspect_source.hpp"

namespace imprint::station::cli {
namespace {

constexpr std::uint64_t kMaxHiveBytes = 64U << 20;

const char* sign(const inspect::Finding& finding) {
  switch (finding.verdict) {
    case inspect::FindingVerdict::pass:
      return "ok  ";
    case inspect::FindingVerdict::fail:
      return finding.severity == inspect::Severity::error ? "FAIL" : "warn";
    case inspect::FindingVerdict::not_checked:
      return "----";
  }
  return "----";
}

// What was found, where it is good, is a glance and not a study; the JSON has all of it.
std::string shortened(std::string text) {
  constexpr std::size_t kWidth = 90;
  if (text.size() <= kWidth) return text;
  std::size_t end = kWidth;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not in the middle of a character
  return text.substr(0, end) + " ...";
}

void print_report(const inspect::Report& report) {
  for (const inspect::Finding& finding : report.findings) {
    const bool passed = finding.verdict == inspect::FindingVerdict::pass;
    const std::string text = shortened(core::printable(passed ? finding.actual : finding.message));
    print_line(fmt::format("  {} {:<30} {}", sign(finding), core::printable(finding.check), text));
    if (passed) continue;
    if (!finding.expected.empty() || !finding.actual.empty()) {
      print_line(core::printable(fmt::format("         expected {}; found {}", finding.expected, finding.actual)));
    }
    if (!finding.remedy.empty()) print_line(core::printable("         what to do: " + finding.remedy));
  }
  const auto verdict = report.verdict();
  print_line(verdict == inspect::ReportVerdict::pass   ? "Verdict   PASS"
             : verdict == inspect::ReportVerdict::fail ? "Verdict   FAIL"
                                                       : "Verdict   INCOMPLETE: a check could not be made");
}

ExitStatus show(const inspect::Report& report, bool json) {
  if (json) {
    print_line(inspect::to_json(report));
  } else {
    print_line(core::printable("Source    " + report.source));
    print_report(report);
  }
  return report.verdict() == inspect::ReportVerdict::pass ? ExitStatus::good : ExitStatus::not_good;
}

// A file that starts like a registry hive is the store itself.
core::Result<std::optional<bcd::Store>> read_bare_store(const std::filesystem::path& path) {
  IMPRINT_TRY(const auto file, core::FileSource::open(path));
  if (file->size() < 4 || file->size() > kMaxHiveBytes) return std::optional<bcd::Store>{};
  IMPRINT_TRY(const auto start, file->read(0, 4));
  if (core::as_text(start) != "regf") return std::optional<bcd::Store>{};
  IMPRINT_TRY(const auto hive, file->read(0, file->size()));
  IMPRINT_TRY(auto store, bcd::Store::read(hive));
  return std::optional<bcd::Store>{std::move(store)};
}

}  // namespace

ExitStatus inspect_layout_command(const InspectOptions& options, const std::filesystem::path& layout_file,
                                  const std::optional<std::filesystem::path>& platform_file) {
  tell_progress("inspecting the layout");
  const auto run = [&]() -> core::Result<inspect::Report> {
    IMPRINT_TRY(const auto layout, disk::read_device_layout(layout_file));
    std::optional<disk::DevicePlatform> platform;
    if (platform_file) {
      IMPRINT_TRY(platform, disk::read_device_platform(*platform_file));
    }
    IMPRINT_TRY(const auto disk, open_inspect_source(options.source));
    return inspect::inspect_layout(disk, layout, platform);
  };
  const auto report = run();
  return report ? show(*report, options.json) : report_error(report.error(), options.json);
}

ExitStatus inspect_bcd_command(const InspectOptions& options) {
  tell_progress("reading the boot configuration");
  auto bare = read_bare_store(options.source);
  if (!bare) return report_error(bare.error(), options.json);
  core::Result<bcd::Store> store = core::fail("io.not-found");
  if (*bare) {
    store = std::move(**bare);
  } else {
    auto disk = open_inspect_source(options.source);
    if (!disk) return report_error(disk.error(), options.json);
    store = inspect::read_bcd(*disk);
  }
  if (!store) return report_error(store.error(), options.json);
  print_line(options.json ? inspect::to_json(*store, nullptr) : inspect::to_text(*store));
  return ExitStatus::good;
}

ExitStatus inspect_recovery_command(const InspectOptions& options, const std::string& profile) {
  tell_progress("inspecting the recovery");
  const auto run = [&]() -> core::Result<inspect::Report> {
    IMPRINT_TRY(const auto disk, open_inspect_source(options.source));
    std::error_code error;
    const auto temporary = std::filesystem::temp_directory_path(error);
    if (error) return core::fail_errno(error.value(), "io.not-found", "TMPDIR");
    IMPRINT_TRY(const auto scratch, imaging::ScratchFolder::create(temporary));
    const auto kind = profile == "winre" ? inspect::RecoveryProfile::winre : inspect::RecoveryProfile::iot_mmos;
    return inspect::inspect_recovery(disk, kind, scratch.path());
  };
  const auto report = run();
  return report ? show(*report, options.json) : report_error(report.error(), options.json);
}

}  // namespace imprint::station::cli
