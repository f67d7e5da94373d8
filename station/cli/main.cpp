// SPDX-License-Identifier: GPL-3.0-or-later
// The command line of `imprint`: words and options to the functions of commands.hpp.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string_view>

#include "flash/core/errors.hpp"
#include "station/cli/commands.hpp"
#include "station/cli/device_options.hpp"
#include "station/cli/ffu_options.hpp"
#include "station/cli/station_client.hpp"
#include "station/cli/station_options.hpp"
#include "station/cli/workspace_path.hpp"
#include "station/errors.hpp"
#include "station/version.hpp"

namespace imprint::station::cli {
namespace {

void add_inspect(CLI::App& app, Chosen& chosen) {
  CLI::App* inspect =
      app.add_subcommand("inspect", "Rules over an FFU, a raw disk image or a disk; nothing is written to it");
  inspect->require_subcommand(1);
  auto options = std::make_shared<InspectOptions>();
  const auto add_common = [options](CLI::App* command) {
    command->add_option("SOURCE", options->source, "An FFU, a raw disk image or a block device")->required();
    command->add_flag("--json", options->json, "One JSON object");
  };

  auto layout_file = std::make_shared<std::filesystem::path>();
  auto platform_file = std::make_shared<std::optional<std::filesystem::path>>();
  CLI::App* layout = inspect->add_subcommand("layout", "Partition tables and partitions against DeviceLayout.xml");
  add_common(layout);
  layout->add_option("--layout", *layout_file, "DeviceLayout.xml")->required();
  layout->add_option("--platform", *platform_file, "OEMDevicePlatform.xml");
  layout->callback([&chosen, options, layout_file, platform_file] {
    chosen = [=] { return inspect_layout_command(*options, *layout_file, *platform_file); };
  });

  CLI::App* bcd = inspect->add_subcommand("bcd", "Boot configuration: every object and element (a BCD file works too)");
  add_common(bcd);
  bcd->callback([&chosen, options] { chosen = [=] { return inspect_bcd_command(*options); }; });

  auto profile = std::make_shared<std::string>();
  CLI::App* recovery = inspect->add_subcommand("recovery", "The recovery partition, its files and the boot settings");
  add_common(recovery);
  recovery->add_option("--profile", *profile, "iot-mmos or winre")
      ->required()
      ->check(CLI::IsMember({"iot-mmos", "winre"}));
  recovery->callback(
      [&chosen, options, profile] { chosen = [=] { return inspect_recovery_command(*options, *profile); }; });
}

void add_report(CLI::App& app, Chosen& chosen) {
  CLI::App* report = app.add_subcommand("report", "Reports of the station that runs here, or of a file of records");
  report->require_subcommand(1);
  auto options = std::make_shared<ReportOptions>();
  options->socket = kUsualSocket;
  auto json = std::make_shared<bool>(false);
  const auto add = [&](const char* name, const char* help, const std::vector<std::string>& formats,
                       ExitStatus (*run)(const ReportOptions&)) {
    CLI::App* command = report->add_subcommand(name, help);
    command->add_option("--db", options->database, "A file of records that is read instead of asking the station");
    command->add_option("--socket", options->socket, "The station's socket")
        ->envname(kSocketVariable)
        ->capture_default_str();
    command->add_option("--config", options->config,
                        "With --db: folder of the station's configuration, for its id, zone and shifts");
    command->add_option("--station", options->station, "With --db: the station's id");
    command->add_option("--from", options->from, "First moment, ISO 8601 (2026-11-21 or 2026-11-21T06:00:00+01:00)");
    command->add_option("--to", options->to, "First moment after the period, ISO 8601");
    command->add_option("--format", options->format, "How it is written")
        ->check(CLI::IsMember(formats))
        ->capture_default_str();
    command->add_flag("--json", *json, "The same as --format json");
    command->callback([&chosen, options, json, run] {
      chosen = [=] {
        if (*json) options->format = "json";
        return run(*options);
      };
    });
    return command;
  };
  const std::vector<std::string> formats{"table", "csv", "json"};
  add("yield", "First-pass and final yield, and failures by error id", formats, report_yield)
      ->add_option("--by", options->by, "all, product, slot, day, image or platform")
      ->check(CLI::IsMember({"all", "product", "slot", "day", "image", "platform"}));
  add("failures", "What failed, most often first: error, fault class and step", formats, report_failures)
      ->add_option("--by", options->by, "error, slot, product, order, step, class, image or day")
      ->check(CLI::IsMember({"error", "slot", "product", "order", "step", "class", "image", "day"}));
  add("slots", "How each slot did: results, rates, failures in a row, quarantines", formats, report_slots);
  CLI::App* shift =
      add("shift", "The whole account of a shift, with the signed head of the records; since midnight unless told",
          formats, report_shift);
  shift->add_option("--shift", options->shift, "Name of a shift in station.toml");
  shift->add_option("--date", options->date, "The day on which it began (2026-11-21)");
  add("units", "Every attempt with every unit, failures included; jsonl and openhtf with all steps",
      {"table", "csv", "json", "jsonl", "openhtf"}, report_units);
}

void add_demo(CLI::App& app, Chosen& chosen, const char* program) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* demo =
      app.add_subcommand("demo", "The whole way with eight virtual devices: build, sign, flash, prove, report");
  options->workspace = default_sample_workspace(program);
  demo->add_option("--workspace", options->workspace, "OEM workspace to build the image from")->capture_default_str();
  demo->add_option("--out", options->out, "Folder for the results; its former results are replaced")
      ->capture_default_str();
  demo->callback([&chosen, options] { chosen = [options] { return run_demo(*options); }; });
}

// Options are not parsed when they are wrong, so whether JSON is wanted is looked up in the words themselves.
bool wants_json(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc, [](const char* word) { return std::string_view(word) == "--json"; });
}

ExitStatus run(CLI::App& app, const Chosen& chosen, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return chosen();
  } catch (const CLI::Success& done) {
    app.exit(done);
    return ExitStatus::good;
  } catch (const CLI::ParseError& error) {
    return report_error(imprint::station::fail("usage.invalid", error.what()).error(), wants_json(argc, argv));
  } catch (const std::bad_alloc&) {
    return report_error(imprint::core::fail("io.out-of-memory").error(), false);
  } catch (const std::exception& error) {
    return report_error(imprint::station::fail("station.internal-error", error.what()).error(), wants_json(argc, argv));
  }
}

}  // namespace

static int run_imprint(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the write, not the end of a flash in progress
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a log that is followed shows each line as it is said
  CLI::App app{"Imprint: factory flashing station and provisioning appliance", "imprint"};
  app.set_version_flag("--version", std::string("imprint ") + imprint::station::kVersion);
  app.require_subcommand(1);
  // For the station, which reads it when it runs this program as a job.
  app.add_option_function<int>(
         "--progress-fd", [](int fd) { set_progress_pipe(fd); }, "Descriptor for progress")
      ->check(CLI::Range(3, 1023))
      ->group("");
  Chosen chosen;
  add_ffu(app, chosen);
  add_inspect(app, chosen);
  add_report(app, chosen);
  add_device_commands(app, chosen);
  add_station_commands(app, chosen);
  auto errors_json = std::make_shared<bool>(false);
  CLI::App* errors = app.add_subcommand("errors", "Every error id, what it means and what to do");
  errors->add_flag("--json", *errors_json, "A JSON array");
  errors->callback([&chosen, errors_json] { chosen = [=] { return list_errors(*errors_json); }; });
  add_demo(app, chosen, argv[0]);
  return static_cast<int>(finish_output(run(app, chosen, argc, argv)));
}

}  // namespace imprint::station::cli

int main(int argc, char** argv) { return imprint::station::cli::run_imprint(argc, argv); }
