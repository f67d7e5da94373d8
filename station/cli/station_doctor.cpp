// SPDX-License-Identifier: GPL-3.0-or-later
// imprint station doctor.
#include "station/cli/station_doctor.hpp"

#include <fmt/format.h>

#include <boost/json/value.hpp>

#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/cli/health.hpp"
#include "station/cli/machine_checks.hpp"
#include "station/cli/place_checks.hpp"
#include "station/cli/station_check.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kLongestAnswer{10};

void check_config(const CheckedConfiguration& checked, HealthChecks& out) {
  if (checked.complaints.empty()) {
    out.push_back({"config.faults",
                   Health::ok,
                   fmt::format("{} files, {} products: nothing to complain of", checked.configuration.files.size(),
                               checked.configuration.products.size()),
                   {}});
  } else {
    out.push_back({"config.faults", Health::fail,
                   fmt::format("{} faults, the first: {}", checked.complaints.size(), checked.complaints[0].to_line()),
                   "Run imprint station check, and mend what it lists."});
  }
  if (checked.configuration.products.empty())
    out.push_back({"config.products", Health::warn, "no product, so nothing can be armed",
                   "Write one into /etc/imprint/products; share/imprint/products has an example."});
  const config::StationFile usual;
  const std::string& id = checked.configuration.station.id;
  if (id == usual.id) {
    out.push_back({"config.station-id", Health::warn, "the station is called \"" + id + "\", as every new one is",
                   "Write an id of its own in /etc/imprint/station.toml: the records of several stations meet."});
  } else {
    out.push_back({"config.station-id", Health::ok, id, {}});
  }
}

// As the daemon found the key when it last used it: nobody else tries the token's PIN.
void check_signing(const boost::json::object& status, HealthChecks& out) {
  const boost::json::value* key = status.if_contains("key");
  if (key == nullptr || !key->is_object()) return;
  const auto text = [&](std::string_view name) {
    const boost::json::value* value = key->get_object().if_contains(name);
    return value != nullptr && value->is_string() ? core::printable(std::string_view(value->get_string()))
                                                  : std::string();
  };
  const boost::json::value* good = key->get_object().if_contains("good");
  if (text("kind") == "none" || text("kind").empty()) return;
  if (good != nullptr && good->is_bool() && good->get_bool()) {
    out.push_back({"records.signing", Health::ok, "the station's key (" + text("kind") + ") signs heads", {}});
  } else {
    out.push_back({"records.signing", Health::fail, "heads of the records are NOT SIGNED: " + text("error"),
                   "imprint errors says what to do about this id; heads are signed again once it is mended."});
  }
}

void check_daemon(const fs::path& socket, bool training, HealthChecks& out) {
  const auto client = api::Client::connect(socket);
  if (!client) {
    const bool may_not = client.error().id() == "io.permission";
    out.push_back(
        {"service.daemon", may_not ? Health::not_checked : Health::fail, client.error().message(),
         may_not ? "Run this as root, or as a member of group imprint." : std::string(client.error().row().remedy)});
    return;
  }
  const auto answer = (*client)->call("station.status", {}, kLongestAnswer);
  const auto* value = answer ? std::get_if<boost::json::value>(&*answer) : nullptr;
  if (value == nullptr || !value->is_object()) {
    out.push_back({"service.daemon", Health::fail,
                   answer ? std::string("it does not tell its status") : answer.error().message(),
                   "Look at its journal: journalctl -u imprintd."});
    return;
  }
  const boost::json::value* told = value->as_object().if_contains("training");
  const bool is_training = told != nullptr && told->is_bool() && told->as_bool();
  if (is_training != training) {
    out.push_back({"service.daemon", Health::warn,
                   is_training ? "it runs as TRAINING, and the configuration is of production"
                               : "it runs in production, and the configuration is of training",
                   "Start it anew: systemctl restart imprintd."});
  } else {
    out.push_back({"service.daemon", Health::ok, is_training ? "it answers, as TRAINING" : "it answers", {}});
  }
  check_signing(value->get_object(), out);
}

core::Result<HealthChecks> examine(const DoctorOptions& options) {
  const Machine machine = this_machine();
  const auto folders = options.folders.empty() ? config::usual_config_folders() : options.folders;
  IMPRINT_TRY(const auto checked, check_configuration(folders, machine.now));
  config::StationFile station = checked.configuration.station;
  if (options.socket) station.api_socket = *options.socket;
  HealthChecks out;
  check_config(checked, out);
  check_computer(machine, out);
  check_accounts(machine, out);
  check_places(machine, station, out);
  const auto slots = SlotMap::load(checked.configuration.slot_folders);
  if (slots) {
    check_usb(machine, *slots, station.training, out);
  } else {
    out.push_back({"usb.slots", Health::fail, slots.error().message(), std::string(slots.error().row().remedy)});
  }
  check_daemon(station.api_socket, station.training, out);
  return out;
}

}  // namespace

ExitStatus station_doctor(const DoctorOptions& options) {
  for (const fs::path& folder : options.folders) {
    std::error_code error;
    if (fs::is_directory(folder, error)) continue;
    return report_error(core::fail_errno(error ? error.value() : ENOTDIR, "io.not-found", folder.native()).error(),
                        options.json);
  }
  const auto checks = examine(options);
  if (!checks) return report_error(checks.error(), options.json);
  if (options.json) {
    print_line(health_json(*checks));
  } else {
    print(health_text(*checks));
  }
  return verdict_of(*checks) == HealthVerdict::pass ? ExitStatus::good : ExitStatus::not_good;
}

}  // namespace imprint::station::cli
