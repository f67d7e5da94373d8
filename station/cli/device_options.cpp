// SPDX-License-Identifier: GPL-3.0-or-later
// Parses the commands that have to do with devices.
#include "station/cli/device_options.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "station/cli/device_commands.hpp"
#include "station/training/faults.hpp"

namespace imprint::station::cli {
namespace {

constexpr const char* kSlotsHelp =
    "Folder of slot files (*.conf), may be given again; /usr/share/imprint/slots.d and /etc/imprint/slots.d otherwise";

void add_devices(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<DevicesOptions>();
  CLI::App* command = app.add_subcommand("devices", "What is plugged in where, how fast, and in which slot");
  auto* slots = command->add_option("--slots", options->slot_folders, kSlotsHelp);
  command->add_option("--socket", options->socket, "The station's socket: where it runs, it is asked")
      ->envname(kSocketVariable)
      ->capture_default_str();
  auto* why = command->add_option("--why", options->why, "Why the device at this port (1-2.4) cannot be used");
  auto* rules = command->add_flag("--udev-rules", options->udev_rules, "Print the udev rules for the slots' ports");
  auto* learn = command
                    ->add_option_function<std::string>(
                        "--learn", [options](const std::string& file) { options->learn = file; },
                        "Write a slot file from devices that are plugged in one by one")
                    ->type_name("[FILE]")
                    ->expected(0, 1)
                    ->default_str(kLearnedSlots);
  auto* json = command->add_flag("--json", options->json, "One JSON object");
  why->excludes(rules)->excludes(learn);
  rules->excludes(learn);
  learn->excludes(json);
  command->callback([&chosen, options, slots] {
    options->own_slots = slots->count() > 0;
    chosen = [options] { return list_devices(*options); };
  });
}

void add_flash(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<FlashOptions>();
  CLI::App* command = app.add_subcommand("flash", "Flash devices that are plugged in now, read them back, record it");
  command
      ->add_option(
          "IMAGE", options->image,
          "The FFU; where the station runs, also the digest of an image of its store, or 8 digits of it or more")
      ->required();
  command->add_option("--slot", options->slots, "A slot by its name; may be given again");
  command->add_option("--device", options->devices, "A disk by its node (/dev/sdb); may be given again");
  command->add_option("--serial", options->serials,
                      "The unit's serial, where a disk has none or only its reader's; one for each --device");
  command->add_flag("--all", options->all, "Every slot that holds a device");
  auto* policy = command
                     ->add_option("--policy", options->policy,
                                  "Who may have signed the image: retail, test or none; a station's own unless told")
                     ->check(CLI::IsMember({"retail", "test", "none"}))
                     ->capture_default_str();
  std::vector<CLI::Option*> own;  // things of a bench without a station
  own.push_back(command->add_option("--trust", options->trust, "Folder of trusted roots")->capture_default_str());
  own.push_back(
      command->add_option("--db", options->records,
                          "The records; the station's own in /var/lib/imprint/records unless told, training.db with "
                          "--training"));
  command->add_option("--product", options->product, "Product that the records name")->capture_default_str();
  own.push_back(command->add_option("--slots", options->slot_folders, kSlotsHelp));
  command->add_option("--socket", options->socket, "The station's socket: where it runs, it is the one that flashes")
      ->envname(kSocketVariable)
      ->capture_default_str();
  auto* name = command->add_option("--name", options->name, "Signs in at the station for this; asks for the PIN");
  command->add_option("--badge", options->badge, "The same, by badge")->excludes(name);
  command->add_option("--pin-file", options->pin_file, "First line of a file that is yours alone; asked for otherwise");
  command->add_flag("--training", options->training, "Simulated devices, and no others, with records of their own");
  command->add_flag("--reboot", options->reboot, "Reboot each device that passed (a disk is ejected)");
  command
      ->add_option("--read-back", options->read_back,
                   "required, where-possible (a device that cannot be read passes by its own confirmation), off; "
                   "bare disks are always read back")
      ->check(CLI::IsMember({"required", "where-possible", "off"}))
      ->capture_default_str();
  command->add_option("--capture", options->capture,
                      "Record every transfer into this new file (pcapng, for Wireshark)");
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([&chosen, options, policy, own] {
    options->policy_told = policy->count() > 0;
    for (const CLI::Option* option : own)
      if (option->count() > 0) options->own_things = option->get_name();
    chosen = [options] { return flash_devices(*options); };
  });
}

void add_replay(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* command =
      app.add_subcommand("replay", "Recorded devices in place of devices: is still done what was done?");
  command->add_option("FILE", options->file, "The recording (pcapng)")->required();
  command->add_option("IMAGE", options->image, "The FFU that was flashed; without it devices are only identified");
  command->add_option("--port", options->port, "Only this port of the recording");
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([&chosen, options] { chosen = [options] { return replay_recording(*options); }; });
}

void add_slot_of_station(CLI::App* command, PlugOptions& options) {
  command->add_option("SLOT", options.slot, "The slot's name")->required();
  command->add_option("--socket", options.station.socket, "The station's socket")
      ->envname(kSocketVariable)
      ->capture_default_str();
  command->add_flag("--json", options.station.json, "One JSON object");
}

void add_plug(CLI::App& group, Chosen& chosen) {
  auto options = std::make_shared<PlugOptions>();
  CLI::App* plug = group.add_subcommand("plug", "Put a simulated device into a slot of a training station that runs");
  add_slot_of_station(plug, *options);
  plug->add_option("--number", options->number,
                   "Which device: the same number is the same one, with its serial and what its disk holds")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  plug->add_option("--serial", options->serial, "Its serial, a GUID; by its number unless told");
  plug->add_option("--protocol", options->protocol, "simple-io (unless told) or ufp")
      ->check(CLI::IsMember({"simple-io", "ufp"}));
  plug->add_option("--platform", options->platform_id, "Platform id; the armed image's unless told");
  plug->add_option("--disk-size", options->disk_bytes, "Bytes of its disk; as the armed image needs unless told");
  plug->add_option("--sector-size", options->sector_size, "512 or 4096; the armed image's unless told")
      ->check(CLI::IsMember({512, 4096}));
  plug->add_option("--fault", options->faults, training::kFaultHelp);
  plug->add_option("--rate", options->bytes_per_second, "Bytes a second of its link; as fast as it goes unless told");
  plug->add_option("--latency", options->latency_ms, "Milliseconds of each transfer")->check(CLI::Range(0, 60000));
  plug->callback([&chosen, options] { chosen = [options] { return plug_virtual_device(*options); }; });
  auto out = std::make_shared<PlugOptions>();
  CLI::App* unplug = group.add_subcommand("unplug", "Take it out again");
  add_slot_of_station(unplug, *out);
  unplug->callback([&chosen, out] { chosen = [out] { return unplug_virtual_device(*out); }; });
}

void add_virtual_device(CLI::App& app, Chosen& chosen) {
  CLI::App* group = app.add_subcommand("virtual-device", "Simulated devices for training and tests");
  group->require_subcommand(1);
  add_plug(*group, chosen);
  auto options = std::make_shared<VirtualDeviceOptions>();
  CLI::App* serve = group->add_subcommand("serve", "Offer simulated devices over USB/IP until Ctrl-C");
  serve->add_option("--protocol", options->protocol, "simple-io or ufp")
      ->check(CLI::IsMember({"simple-io", "ufp"}))
      ->capture_default_str();
  serve->add_option("--count", options->count, "How many")->check(CLI::Range(1, 64))->capture_default_str();
  serve
      ->add_option("--first", options->first,
                   "Number of the first device; the same number is the same device, with its serial, in every run")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  serve->add_option("--platform", options->platform_id, "Platform id")->capture_default_str();
  serve->add_option("--disk-size", options->disk_bytes, "Bytes of each device's disk")->capture_default_str();
  serve->add_option("--sector-size", options->sector_size, "Of simple-io: 512 or 4096")
      ->check(CLI::IsMember({512, 4096}))
      ->capture_default_str();
  serve->add_option("--rate", options->bytes_per_second, "Bytes a second of each link; 0: as fast as it goes")
      ->capture_default_str();
  serve->add_option("--latency", options->latency_ms, "Milliseconds of each transfer, beside the time of its bytes")
      ->check(CLI::Range(0, 60000))
      ->capture_default_str();
  serve->add_option("--contents", options->contents, "A file that each disk holds at first; it is not changed");
  serve->add_option("--fault", options->faults, training::kFaultHelp);
  serve->add_option("--listen", options->listen, "Address and port")->capture_default_str();
  serve->add_option("--storage", options->storage, "Folder for the disks, which are gone at the end");
  serve->callback([&chosen, options] { chosen = [options] { return serve_virtual_devices(*options); }; });
}

}  // namespace

void add_device_commands(CLI::App& app, Chosen& chosen) {
  add_devices(app, chosen);
  add_flash(app, chosen);
  add_replay(app, chosen);
  add_virtual_device(app, chosen);
}

}  // namespace imprint::station::cli
