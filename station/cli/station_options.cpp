// SPDX-License-Identifier: GPL-3.0-or-later
// Parses the commands that have to do with a station as a whole.
#include "station/cli/station_options.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "station/cli/station_commands.hpp"

namespace imprint::station::cli {
namespace {

void add_check(CLI::App& station, Chosen& chosen) {
  auto options = std::make_shared<StationCheckOptions>();
  CLI::App* check = station.add_subcommand(
      "check", "Everything that is wrong with the configuration, with file, line and what to write");
  check->add_option("--config", options->folders,
                    "Folder with station.toml, products/*.toml and slots.d, may be given again; a later one's file "
                    "hides an earlier one's; /usr/share/imprint and /etc/imprint otherwise");
  check->add_flag("--json", options->json, "One JSON object");
  check->callback([&chosen, options] { chosen = [options] { return station_check(*options); }; });
}

void add_common(CLI::App* command, ImagesOptions& images) {
  command->add_option("--store", images.store, "The store's folder")->capture_default_str();
  command->add_flag("--json", images.json, "JSON");
}

void add_admit(CLI::App& images, Chosen& chosen) {
  auto options = std::make_shared<AdmitOptions>();
  CLI::App* admit = images.add_subcommand("admit", "Copy an image into the store, verify the copy, and seal it");
  admit->add_option("FILE", options->file, "The FFU")->required();
  admit->add_option("--policy", options->policy, "Who may have signed it: retail, test or none")
      ->check(CLI::IsMember({"retail", "test", "none"}))
      ->capture_default_str();
  admit->add_option("--trust", options->trust, "Folder of trusted roots")->capture_default_str();
  add_common(admit, options->images);
  admit->callback([&chosen, options] { chosen = [options] { return images_admit(*options); }; });
}

void add_change(CLI::App& images, Chosen& chosen, const char* name, const char* help, bool with_reason,
                ExitStatus (*run)(const ImageChangeOptions&)) {
  auto options = std::make_shared<ImageChangeOptions>();
  CLI::App* command = images.add_subcommand(name, help);
  command->add_option("DIGEST", options->digest, "The image's identity, or its first 8 digits or more")->required();
  if (with_reason) command->add_option("--reason", options->reason, "Why; it stays with the image")->required();
  add_common(command, options->images);
  command->callback([&chosen, options, run] { chosen = [options, run] { return run(*options); }; });
}

void add_images(CLI::App& station, Chosen& chosen) {
  CLI::App* images = station.add_subcommand("images", "The images that this station may flash");
  images->require_subcommand(1);
  add_admit(*images, chosen);
  auto list_options = std::make_shared<ImagesOptions>();
  CLI::App* list = images->add_subcommand("list", "What was admitted, withdrawn images included");
  add_common(list, *list_options);
  list->callback([&chosen, list_options] { chosen = [list_options] { return images_list(*list_options); }; });
  add_change(*images, chosen, "withdraw", "No device gets this image any more", true, images_withdraw);
  add_change(*images, chosen, "reinstate", "Undo a withdrawal", false, images_reinstate);
  add_change(*images, chosen, "remove", "Take an image out of the store", false, images_remove);
}

}  // namespace

void add_station_commands(CLI::App& app, Chosen& chosen) {
  CLI::App* station = app.add_subcommand("station", "The station as a whole: its configuration and its images");
  station->require_subcommand(1);
  add_check(*station, chosen);
  add_images(*station, chosen);
}

}  // namespace imprint::station::cli
