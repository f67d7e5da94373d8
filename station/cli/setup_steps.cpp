// SPDX-License-Identifier: GPL-3.0-or-later
// Each step looks first, then does what is missing through systemd's own programs, or by itself.
#include "station/cli/setup_steps.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "devices/usb/slot_rules.hpp"
#include "flash/core/atomic_file.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/pkcs11_uri.hpp"
#include "station/cli/secret_prompt.hpp"
#include "station/daemon/head_key.hpp"
#include "station/errors.hpp"
#include "station/slot_map.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kLongestAnswer{60};
constexpr const char* kFolders[] = {
    "etc/imprint/products",    "etc/imprint/slots.d",     "etc/imprint/trust/production", "var/lib/imprint/records",
    "var/lib/imprint/backups", "var/lib/imprint/scratch", "var/lib/imprint/images",       "var/lib/imprint/incoming"};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error) && !error;
}

// What the daemon is to own is made as its user: a file that root made in a folder of somebody else's could be a link
// to anywhere by the time that it is given away.
class AsUser {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<AsUser>> become(const Account& account) {
    std::unique_ptr<AsUser> as(new AsUser);
    if (account.uid == ::geteuid()) return as;
    if (::setegid(account.gid) != 0 || ::seteuid(account.uid) != 0)
      return core::fail_errno(errno, "io.permission", "becoming the station's user");
    return as;
  }
  ~AsUser() {
    if (::geteuid() == uid_ && ::getegid() == gid_) return;
    // There is no way on without the rights that this process began with.
    if (::seteuid(uid_) != 0 || ::setegid(gid_) != 0) std::abort();
  }
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;

 private:
  AsUser() = default;
  uid_t uid_ = ::geteuid();
  gid_t gid_ = ::getegid();
};

// `text` with the value of the line `key = ...` in table [station]; the shipped file has each such line once.
std::string with_value(const std::string& text, std::string_view key, std::string_view value) {
  std::istringstream lines(text);
  std::string out;
  bool in_table = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('[')) in_table = line == "[station]";
    if (in_table && line.starts_with(std::string(key) + " = ")) line = fmt::format("{} = {}", key, value);
    out += line + "\n";
  }
  return out;
}

std::string ask(const char* question) {
  if (::isatty(STDIN_FILENO) == 0) return {};
  fmt::print(stderr, "{}", question);
  std::string answer;
  std::getline(std::cin, answer);
  return std::string(core::trimmed(answer));
}

core::Failure told(const api::RemoteError& error) {
  return core::fail("process.failed", "the station refused: " + error.message + " (" + error.id + ")");
}

}  // namespace

SetupSteps::SetupSteps(const SetupOptions& options, core::ProcessRunner& processes)
    : options_(options), processes_(processes) {
  machine_.root = options.root;
}

fs::path SetupSteps::in_root(const fs::path& path) const { return options_.root / path.relative_path(); }

core::Status SetupSteps::run(std::vector<std::string> arguments) {
  IMPRINT_TRY(const std::string said, processes_.run({.arguments = std::move(arguments), .environment = {}}));
  static_cast<void>(said);
  return {};
}

core::Status SetupSteps::check_installed(const char* file) const {
  constexpr const char* kPlaces[] = {"etc", "run", "usr/local/lib", "usr/lib", "lib"};
  if (std::ranges::any_of(kPlaces, [&](const char* place) { return is_there(options_.root / place / file); }))
    return {};
  return core::fail("io.not-found", "the product is not installed: run cmake --install with prefix /usr or /usr/local")
      .with("file", std::string("lib/") + file);
}

std::vector<fs::path> SetupSteps::config_folders() const {
  if (runs_here()) return config::usual_config_folders();
  for (const char* share : {"usr/local/share/imprint", "usr/share/imprint"})
    if (is_there(options_.root / share)) return {options_.root / share, options_.root / "etc/imprint"};
  return {options_.root / "etc/imprint"};
}

core::Result<config::Configuration> SetupSteps::configuration() const {
  return config::load_configuration(config_folders());
}

core::Result<SetupStep> SetupSteps::make_accounts() {
  const auto all_there = [this] {
    return find_user(machine_, kStationUser) && find_group(machine_, kStationUser) &&
           find_group(machine_, kMetricsGroup);
  };
  const std::string what = fmt::format("user {0}, groups {0} and {1}", kStationUser, kMetricsGroup);
  if (all_there()) return SetupStep{SetupOutcome::there, what};
  IMPRINT_CHECK(check_installed("sysusers.d/imprint.conf"));
  if (options_.dry_run) return SetupStep{SetupOutcome::due, what + ", by systemd-sysusers"};
  IMPRINT_CHECK(run({"systemd-sysusers", rooted(), "imprint.conf"}));
  if (!all_there()) return core::fail("process.failed", "systemd-sysusers made no user imprint");
  return SetupStep{SetupOutcome::done, what};
}

core::Result<SetupStep> SetupSteps::make_folders() {
  const std::string what = "/etc/imprint, /var/lib/imprint, and what belongs into them";
  const auto all_there = [this] {
    return std::ranges::all_of(kFolders, [this](const char* folder) { return is_there(options_.root / folder); });
  };
  IMPRINT_CHECK(check_installed("tmpfiles.d/imprint.conf"));
  const bool were_there = all_there();
  if (options_.dry_run)
    return SetupStep{were_there ? SetupOutcome::there : SetupOutcome::due, what + ", by systemd-tmpfiles"};
  // In any case: it mends owners and modes.
  IMPRINT_CHECK(run({"systemd-tmpfiles", rooted(), "--create", "imprint.conf"}));
  if (!all_there()) return core::fail("process.failed", "systemd-tmpfiles did not make all folders");
  return SetupStep{were_there ? SetupOutcome::there : SetupOutcome::done, what};
}

core::Result<std::string> SetupSteps::shipped_configuration() const {
  const fs::path file = config_folders().front() / "station.toml";
  if (!is_there(file))
    return core::fail("io.not-found", "run cmake --install with prefix /usr or /usr/local first")
        .with("file", file.native());
  return core::read_text_file(file);
}

core::Result<std::string> SetupSteps::choose_id() const {
  if (!options_.id.empty()) return options_.id;
  if (options_.dry_run) return std::string("ID");
  std::string id = ask("This station's id (it stands in the records; letters, digits, '-', '_', '.'): ");
  if (id.empty()) return fail("usage.invalid", "the station needs an id: give --id");
  return id;
}

core::Result<SetupStep> SetupSteps::write_configuration() {
  const fs::path file = in_root("/etc/imprint/station.toml");
  const std::string name = "/etc/imprint/station.toml";
  if (is_there(file)) {
    IMPRINT_TRY(const auto configuration, this->configuration());
    const std::string& id = configuration.station.id;
    if (!options_.id.empty() && id != options_.id)
      return fail("usage.invalid", fmt::format("{} is there already and says id = \"{}\": change it there, if the "
                                               "station is to be called otherwise from now on",
                                               name, id));
    return SetupStep{SetupOutcome::there, fmt::format("{}, of station {}", name, id)};
  }
  IMPRINT_TRY(const std::string id, choose_id());
  IMPRINT_TRY(const std::string shipped, shipped_configuration());
  std::string text = with_value(shipped, "id", "\"" + id + "\"");
  if (options_.training) text = with_value(text, "training", "true");
  const auto parsed = config::parse_station_file(text, name);
  if (!parsed.value) return std::unexpected(config::as_error(parsed.complaints));
  if (parsed.value->id != id) return fail("usage.invalid", "this cannot be an id: " + core::printable(id));
  const std::string what = fmt::format("{}, of station {}{}", name, id, options_.training ? ", for training" : "");
  if (options_.dry_run) return SetupStep{SetupOutcome::due, what};
  IMPRINT_CHECK(core::write_file(file, core::as_bytes(text)));
  if (::chmod(file.c_str(), 0644) != 0) return core::fail_errno(errno, "io.write-failed", file.native());
  return SetupStep{SetupOutcome::done, what};
}

// A token's security officer makes its keys, and nobody else has the PIN; what is left is to say how.
static core::Result<SetupStep> token_step(const std::string& uri) {
  IMPRINT_TRY(const auto place, trust::Pkcs11Uri::parse(uri));
  const std::string token = place.token.value_or("LABEL");
  const std::string pin = place.pin_source.value_or(fs::path()).native();
  return SetupStep{
      SetupOutcome::open,
      fmt::format(
          "the key is on token {0}. Where it has none yet: pkcs11-tool --module {1} --token-label {0} --login "
          "--keypairgen --key-type EC:prime256v1 --id 01 --label {2}. Write the user's PIN into {3}, mode 0600, "
          "of user {4}. Then keep what imprint station audit key says elsewhere: it proves the records",
          core::printable(token),
          place.module_path ? core::printable(place.module_path->native()) : std::string("MODULE.so"),
          core::printable(place.object.value_or("station")), core::printable(pin), kStationUser)};
}

core::Result<SetupStep> SetupSteps::make_key() {
  fs::path records = config::StationFile().records;
  std::string key;
  if (is_there(in_root("/etc/imprint/station.toml"))) {
    IMPRINT_TRY(const auto configuration, this->configuration());
    records = configuration.station.records;
    key = configuration.station.key;
  }
  if (trust::is_pkcs11_uri(key)) return token_step(key);
  const fs::path named = key.empty() ? records / "station.key" : fs::path(key);
  const fs::path file = in_root(named);
  const std::string what = named.native();
  if (is_there(file)) return SetupStep{SetupOutcome::there, what};
  if (options_.dry_run) return SetupStep{SetupOutcome::due, what + ", a new Ed25519 key"};
  const auto account = find_user(machine_, kStationUser);
  if (!account) return core::fail_errno(ENOENT, "io.not-found", "user imprint");
  IMPRINT_TRY(const auto as_user, AsUser::become(*account));
  IMPRINT_CHECK(daemon::HeadKey::make(file));
  return SetupStep{SetupOutcome::done, what + "; keep a copy of " + what + ".pub elsewhere: it proves the records"};
}

core::Result<SetupStep> SetupSteps::look_at_trust() {
  const fs::path folder = in_root("/etc/imprint/trust");
  std::error_code error;
  std::size_t roots = 0;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".pem") ++roots;
  if (roots > 0)
    return SetupStep{SetupOutcome::there, fmt::format("/etc/imprint/trust, with {} files of certificates", roots)};
  // Whom to trust is nobody's to decide but the integrator's.
  return SetupStep{SetupOutcome::open,
                   "/etc/imprint/trust/production is empty: put the roots of who signs your images there, as *.pem; no "
                   "image is accepted before"};
}

core::Status SetupSteps::load_rules() {
  if (!runs_here() || !is_there("/run/udev/control")) return {};
  IMPRINT_CHECK(run({"udevadm", "control", "--reload"}));
  return run({"udevadm", "trigger", "--action=add", "--subsystem-match=usb", "--subsystem-match=block"});
}

core::Result<SetupStep> SetupSteps::write_slot_rules() {
  const std::string name = std::string("/") + kSlotRules;
  std::vector<fs::path> folders = config_folders();
  for (fs::path& folder : folders) folder /= "slots.d";
  IMPRINT_TRY(const auto slots, SlotMap::load(folders));
  const fs::path file = options_.root / kSlotRules;
  if (slots.empty() && !is_there(file))
    return SetupStep{SetupOutcome::open,
                     "no slot is named yet: imprint devices --learn /etc/imprint/slots.d/50-line.conf, "
                     "then this again"};
  std::vector<std::string> ports;
  for (const SlotRule& rule : slots.rules()) ports.insert(ports.end(), rule.ports.begin(), rule.ports.end());
  IMPRINT_TRY(const std::string due, usb::make_slot_rules(ports));
  const auto now = core::read_text_file(file);
  const std::string what = fmt::format("{}, for {} lines of slots", name, slots.rules().size());
  if (now && *now == due) return SetupStep{SetupOutcome::there, what};
  if (options_.dry_run) return SetupStep{SetupOutcome::due, what};
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  IMPRINT_CHECK(core::write_file(file, core::as_bytes(due)));
  if (::chmod(file.c_str(), 0644) != 0) return core::fail_errno(errno, "io.write-failed", file.native());
  IMPRINT_CHECK(load_rules());
  return SetupStep{SetupOutcome::done, what};
}

core::Result<SetupStep> SetupSteps::enable_units() {
  HealthChecks checks;
  check_accounts(machine_, checks);
  const auto units = std::ranges::find(checks, "service.units", &HealthCheck::id);
  const std::string what = fmt::format("{}, {} and {} at boot", kUnits[0], kUnits[1], kUnits[2]);
  if (units != checks.end() && units->health == Health::ok) return SetupStep{SetupOutcome::there, what};
  if (options_.dry_run) return SetupStep{SetupOutcome::due, what + ", by systemctl enable"};
  IMPRINT_CHECK(run({"systemctl", rooted(), "enable", kUnits[0], kUnits[1], kUnits[2]}));
  return SetupStep{SetupOutcome::done, what};
}

core::Result<SetupStep> SetupSteps::start_units() {
  const std::string what = fmt::format("{}, {} and {}", kUnits[0], kUnits[1], kUnits[2]);
  if (!runs_here() || !is_there("/run/systemd/system")) {
    return SetupStep{SetupOutcome::left_out,
                     "systemd does not run here, so the daemon was not started; it starts when the system boots"};
  }
  // Not a restart: a station that works is not to be disturbed.
  if (run({"systemctl", "is-active", kUnits[0], kUnits[1], kUnits[2]})) return SetupStep{SetupOutcome::there, what};
  if (options_.dry_run) return SetupStep{SetupOutcome::due, what + ", by systemctl start"};
  IMPRINT_CHECK(run({"systemctl", "daemon-reload"}));
  IMPRINT_CHECK(run({"systemctl", "start", kUnits[0], kUnits[1], kUnits[2]}));
  return SetupStep{SetupOutcome::done, what};
}

// Nothing where there is neither a file nor a terminal.
core::Result<std::optional<trust::Secret>> SetupSteps::choose_pin() const {
  if (options_.pin_file) {
    IMPRINT_TRY(auto secret, trust::Secret::read_line(*options_.pin_file));
    return std::optional(std::move(secret));
  }
  IMPRINT_TRY(auto pin, ask_secret("PIN of the first engineer: "));
  if (!pin) return std::optional<trust::Secret>();
  IMPRINT_TRY(const auto again, ask_secret("The same PIN again: "));
  if (!again || std::string_view(pin->c_str()) != again->c_str())
    return fail("usage.invalid", "the two PINs are not the same");
  return pin;
}

core::Result<SetupStep> SetupSteps::make_first_engineer() {
  constexpr const char* kHow = "as root: imprint station people first NAME";
  if (options_.dry_run) return SetupStep{SetupOutcome::due, "the first engineer, with a PIN that is asked for"};
  if (!runs_here() || !is_there("/run/systemd/system"))
    return SetupStep{SetupOutcome::left_out, std::string("once the daemon runs, ") + kHow};
  IMPRINT_TRY(const auto configuration, this->configuration());
  IMPRINT_TRY(const auto client, api::Client::connect(configuration.station.api_socket));
  // No rule takes this PIN, so nobody is made by it; the answer tells whether there is somebody.
  IMPRINT_TRY(const auto probe, client->call("people.first", {{"name", "nobody"}, {"pin", "0"}}, kLongestAnswer));
  if (const auto* error = std::get_if<api::RemoteError>(&probe)) {
    if (error->id == "people.first-done") return SetupStep{SetupOutcome::there, "the station has people"};
    if (error->id != "people.pin-refused") return told(*error);
  }
  const std::string name = options_.first.empty() ? ask("Name of the first engineer: ") : options_.first;
  if (name.empty())
    return SetupStep{SetupOutcome::left_out, std::string("nobody was named (--first NAME, --pin-file FILE); ") + kHow};
  IMPRINT_TRY(const auto pin, choose_pin());
  if (!pin)
    return SetupStep{SetupOutcome::left_out,
                     std::string("there is no terminal to ask for a PIN: give --pin-file, or ") + kHow};
  IMPRINT_TRY(const auto made, client->call("people.first", {{"name", name}, {"pin", pin->c_str()}}, kLongestAnswer));
  if (const auto* error = std::get_if<api::RemoteError>(&made)) return told(*error);
  return SetupStep{SetupOutcome::done, "engineer " + core::printable(name)};
}

}  // namespace imprint::station::cli
