// SPDX-License-Identifier: GPL-3.0-or-later
// Parses the commands that have to do with a station as a whole.
#include "station/cli/station_options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "station/cli/audit_proof.hpp"
#include "station/cli/station_client.hpp"
#include "station/cli/station_commands.hpp"
#include "station/cli/station_doctor.hpp"
#include "station/errors.hpp"
#include "station/methods/method_table.hpp"

namespace imprint::station::cli {
namespace {

void add_station_options(CLI::App* command, StationOptions& options) {
  command->add_option("--socket", options.socket, "The station's socket")
      ->envname(kSocketVariable)
      ->capture_default_str();
  command->add_flag("--json", options.json, "JSON");
}

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

void add_doctor(CLI::App& station, Chosen& chosen) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* doctor = station.add_subcommand(
      "doctor", "What is not right with this computer as a station, and what to do about each thing");
  doctor->add_option("--config", options->folders, "Folder of the configuration, as for check");
  doctor->add_option("--socket", options->socket, "The station's socket, instead of the configuration's");
  doctor->add_flag("--json", options->json, "One JSON object");
  doctor->callback([&chosen, options] { chosen = [options] { return station_doctor(*options); }; });
}

void add_setup(CLI::App& station, Chosen& chosen) {
  auto options = std::make_shared<SetupOptions>();
  CLI::App* setup = station.add_subcommand(
      "setup", "Make a station of this computer, as root: user, folders, configuration, key, units, first engineer");
  setup->add_option("--id", options->id, "The station's id in the records; asked for otherwise");
  setup->add_option("--first", options->first, "Name of the first engineer; asked for otherwise");
  setup->add_option("--pin-file", options->pin_file, "First line of a file that is yours alone; asked for otherwise");
  setup->add_flag("--training", options->training, "Simulated devices only: a new station.toml says so");
  setup->add_option("--root", options->root, "A system that does not run, such as a disk's that is prepared")
      ->capture_default_str();
  setup->add_flag("--dry-run", options->dry_run, "Say what would be done, and change nothing");
  setup->callback([&chosen, options] { chosen = [options] { return station_setup(*options); }; });
}

// The station's own store, through it where it runs; a store that is named, by itself.
struct StoreChoice {
  CLI::Option* store = nullptr;
  std::shared_ptr<StationOptions> station = std::make_shared<StationOptions>();

  [[nodiscard]] std::optional<ExitStatus> through_station(const char* method, boost::json::object params,
                                                          bool json) const {
    if (store->count() > 0) return std::nullopt;
    station->json = json;
    return call_station_if_it_runs(*station, {.method = method, .params = std::move(params)});
  }
};

StoreChoice add_common(CLI::App* command, ImagesOptions& images) {
  StoreChoice choice;
  choice.store = command->add_option("--store", images.store, "A store's folder, instead of the station that runs here")
                     ->capture_default_str();
  command->add_option("--socket", choice.station->socket, "The station's socket")
      ->envname(kSocketVariable)
      ->capture_default_str();
  command->add_flag("--json", images.json, "JSON");
  return choice;
}

void add_admit(CLI::App& images, Chosen& chosen) {
  auto options = std::make_shared<AdmitOptions>();
  CLI::App* admit = images.add_subcommand("admit", "Copy an image into the store, verify the copy, and seal it");
  admit->add_option("FILE", options->file, "The FFU")->required();
  admit->add_option("--policy", options->policy, "Who may have signed it: retail, test or none")
      ->check(CLI::IsMember({"retail", "test", "none"}))
      ->capture_default_str();
  admit->add_option("--trust", options->trust, "Folder of trusted roots")->capture_default_str();
  const StoreChoice choice = add_common(admit, options->images);
  CLI::Option* policy = admit->get_option("--policy");
  CLI::Option* trust = admit->get_option("--trust");
  admit->callback([&chosen, options, choice, policy, trust] {
    chosen = [options, choice, policy, trust] {
      // A station judges by its own trust directory: who names another one means a store of its own.
      if (trust->count() > 0 && choice.store->count() == 0)
        return report_error(fail("usage.invalid", "--trust goes with --store; a station has its own").error(),
                            options->images.json);
      std::error_code error;
      boost::json::object params{{"file", std::filesystem::absolute(options->file, error).native()}};
      if (policy->count() > 0) params["policy"] = options->policy;
      const auto done = choice.through_station("images.admit", std::move(params), options->images.json);
      return done ? *done : images_admit(*options);
    };
  });
}

void add_change(CLI::App& images, Chosen& chosen, const char* name, const char* help, bool needs_reason,
                const char* method, ExitStatus (*run)(const ImageChangeOptions&)) {
  auto options = std::make_shared<ImageChangeOptions>();
  CLI::App* command = images.add_subcommand(name, help);
  command->add_option("DIGEST", options->digest, "The image's identity, or its first 8 digits or more")->required();
  CLI::Option* reason = command->add_option(
      "--reason", options->reason,
      needs_reason ? "Why; it stays with the image" : "Why; the station that runs here wants to know");
  if (needs_reason) reason->required();
  const StoreChoice choice = add_common(command, options->images);
  command->callback([&chosen, options, choice, method, run] {
    chosen = [options, choice, method, run] {
      boost::json::object params{{"digest", options->digest}};
      if (!options->reason.empty()) params["reason"] = options->reason;
      const auto done = choice.through_station(method, std::move(params), options->images.json);
      return done ? *done : run(*options);
    };
  });
}

void add_images(CLI::App& station, Chosen& chosen) {
  CLI::App* images = station.add_subcommand("images", "The images that this station may flash");
  images->require_subcommand(1);
  add_admit(*images, chosen);
  auto list_options = std::make_shared<ImagesOptions>();
  CLI::App* list = images->add_subcommand("list", "What was admitted, withdrawn images included");
  const StoreChoice choice = add_common(list, *list_options);
  list->callback([&chosen, list_options, choice] {
    chosen = [list_options, choice] {
      const auto done = choice.through_station("images.list", {}, list_options->json);
      return done ? *done : images_list(*list_options);
    };
  });
  add_change(*images, chosen, "withdraw", "No device gets this image any more", true, "images.withdraw",
             images_withdraw);
  add_change(*images, chosen, "reinstate", "Undo a withdrawal", false, "images.reinstate", images_reinstate);
  add_change(*images, chosen, "remove", "Take an image out of the store", false, "images.remove", images_remove);
}

// Methods that have commands of their own, or none: what one connection is to remember.
constexpr std::string_view kElsewhere[] = {"station.hello", "station.status", "events.subscribe", "people.resume",
                                           "images.list",   "images.admit",   "images.withdraw",  "images.reinstate",
                                           "images.remove", "training.plug",  "training.unplug",  "devices.list",
                                           "devices.why",   "flash.start"};

// "people sign-in" is "sign-in": what people do all day is one word.
std::vector<std::string> words_of(std::string_view method) {
  const std::size_t dot = method.find('.');
  std::string group(method.substr(0, dot));
  std::string verb(method.substr(dot + 1));
  std::ranges::replace(verb, '_', '-');
  const bool is_daily =
      group == "line" || group == "station" || group == "records" || verb.starts_with("sign-") || verb == "who";
  if (is_daily) return {verb};
  return {group, verb};
}

// What was given for a method's parameters.
struct Given {
  std::map<std::string, std::string, std::less<>> texts;
  std::map<std::string, std::int64_t, std::less<>> numbers;
  std::map<std::string, bool, std::less<>> flags;
  std::map<std::string, std::optional<std::filesystem::path>, std::less<>> files;  // of secrets
  std::vector<CLI::Option*> options;  // in the order of the parameters; nothing for a secret
};

bool is_secret(const methods::Parameter& parameter) { return parameter.name.ends_with("pin"); }

void add_parameter(CLI::App* command, const methods::Parameter& parameter, Given& given) {
  const std::string name(parameter.name);
  const std::string text(parameter.text);
  if (is_secret(parameter)) {
    const std::string option = name == "old_pin" ? "--old-pin-file" : "--pin-file";
    command->add_option(option, given.files[name], "First line of a file that is yours alone; asked for otherwise");
    given.options.push_back(nullptr);
    return;
  }
  std::string flag = name;
  std::ranges::replace(flag, '_', '-');
  const bool is_position = parameter.required && name != "reason";
  std::string place = flag;
  std::ranges::transform(place, place.begin(),
                         [](unsigned char sign) { return static_cast<char>(std::toupper(sign)); });
  const std::string words = is_position ? place : "--" + flag;
  CLI::Option* option = nullptr;
  if (parameter.kind == "number") {
    option = command->add_option(words, given.numbers[name], text);
  } else if (parameter.kind == "boolean" && !is_position) {
    option = command->add_flag(words, given.flags[name], text);
  } else if (parameter.kind == "boolean") {
    option = command->add_option(words, given.flags[name], text);
  } else {
    option = command->add_option(words, given.texts[name], text);
  }
  if (parameter.required) option->required();
  given.options.push_back(option);
}

core::Result<boost::json::object> params_of(const methods::Method& method, const Given& given) {
  boost::json::object params;
  for (std::size_t i = 0; i < method.parameters.size(); ++i) {
    if (given.options[i] == nullptr || given.options[i]->count() == 0) continue;
    const std::string name(method.parameters[i].name);
    if (const auto number = given.numbers.find(name); number != given.numbers.end()) {
      params[name] = number->second;
    } else if (const auto flag = given.flags.find(name); flag != given.flags.end()) {
      params[name] = flag->second;
    } else {
      // A head of the chain is too long to type; nothing else is read from a file.
      params[name] = given.texts.at(name);
      if (name != "head") continue;
      IMPRINT_TRY(const KeptHead head, read_head(given.texts.at(name)));
      params[name] = head.text;
    }
  }
  return params;
}

ExitStatus call_method(const methods::Method& method, const StationOptions& station, const Given& given) {
  auto params = params_of(method, given);
  if (!params) return report_error(params.error(), station.json);
  StationCall call{.method = std::string(method.name), .params = std::move(*params)};
  for (const methods::Parameter& parameter : method.parameters) {
    if (!is_secret(parameter)) continue;
    // Who shows a badge may leave it at that.
    const bool is_optional = call.params.contains("badge") && method.name == "people.sign_in";
    call.secrets.push_back({.name = std::string(parameter.name),
                            .question = parameter.name == "old_pin" ? "PIN so far: " : "PIN: ",
                            .file = given.files.at(std::string(parameter.name)),
                            .is_optional = is_optional});
  }
  return call_station(station, std::move(call));
}

// The proof needs no station: whoever has the file and a head that was kept can make it.
void add_offline_proof(CLI::App* command, Chosen& chosen, const std::shared_ptr<StationOptions>& options,
                       const std::shared_ptr<Given>& given) {
  auto proof = std::make_shared<ProofOptions>();
  CLI::Option* database =
      command->add_option("--db", proof->database, "Records of a station that need not run, opened read-only");
  command->add_option("--key", proof->key, "The station's public key: the head's signature has to be by it");
  add_station_options(command, *options);
  command->callback([&chosen, options, given, proof, database] {
    chosen = [options, given, proof, database] {
      proof->json = options->json;
      const bool has_head = given->options.front()->count() > 0;
      if (has_head) proof->head = given->texts.at("head");
      if (database->count() > 0 || proof->key) return prove_records(*proof, *options);
      return call_method(*methods::find_method("audit.verify"), *options, *given);
    };
  });
}

void add_methods(CLI::App& station, Chosen& chosen) {
  std::map<std::string, CLI::App*, std::less<>> groups;
  for (const methods::Method& method : methods::all_methods()) {
    if (std::ranges::find(kElsewhere, method.name) != std::end(kElsewhere)) continue;
    CLI::App* command = &station;
    const auto words = words_of(method.name);
    if (words.size() > 1) {
      CLI::App*& group = groups[words[0]];
      if (group == nullptr) {
        group = station.add_subcommand(words[0], "Of the station that runs: " + words[0]);
        group->require_subcommand(1);
      }
      command = group;
    }
    command = command->add_subcommand(words.back(), std::string(method.text));
    auto options = std::make_shared<StationOptions>();
    auto given = std::make_shared<Given>();
    for (const methods::Parameter& parameter : method.parameters) add_parameter(command, parameter, *given);
    if (method.name == "audit.verify") {
      add_offline_proof(command, chosen, options, given);
      continue;
    }
    if (method.name == "people.sign_in") command->get_option("--name")->excludes(command->get_option("--badge"));
    add_station_options(command, *options);
    command->callback([&chosen, &method, options, given] {
      chosen = [&method, options, given] { return call_method(method, *options, *given); };
    });
  }
}

void add_status(CLI::App& station, Chosen& chosen) {
  auto status = std::make_shared<StationOptions>();
  CLI::App* show = station.add_subcommand("status", "What is armed, what the slots do, what waits");
  add_station_options(show, *status);
  show->callback([&chosen, status] { chosen = [status] { return show_status(*status); }; });
  auto watch = std::make_shared<WatchOptions>();
  CLI::App* follow = station.add_subcommand("watch", "The same, and then everything that happens, as it happens");
  add_station_options(follow, watch->station);
  follow->add_flag("--once", watch->once_lost, "End when the station goes, instead of waiting for it");
  follow->callback([&chosen, watch] { chosen = [watch] { return watch_station(*watch); }; });
}

}  // namespace

void add_station_commands(CLI::App& app, Chosen& chosen) {
  CLI::App* station = app.add_subcommand(
      "station", "The station: what it does, who works at it, its orders, images, records and configuration");
  station->require_subcommand(1);
  add_status(*station, chosen);
  add_methods(*station, chosen);
  add_check(*station, chosen);
  add_doctor(*station, chosen);
  add_setup(*station, chosen);
  add_images(*station, chosen);
}

}  // namespace imprint::station::cli
