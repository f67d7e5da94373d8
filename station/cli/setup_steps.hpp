// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of `imprint station setup`, one after the other, each of which can be done again without harm.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "flash/core/process.hpp"
#include "flash/trust/secret.hpp"
#include "station/cli/machine_checks.hpp"
#include "station/cli/station_doctor.hpp"
#include "station/config/configuration.hpp"

namespace imprint::station::cli {

enum class SetupOutcome : std::uint8_t {
  there,     // it was there already
  done,      // it was done now
  due,       // it would be done (--dry-run)
  open,      // for the integrator to do; `said` says what
  left_out,  // it could not be done here; `said` says why and what to do
};

struct SetupStep {
  SetupOutcome outcome = SetupOutcome::there;
  std::string said;
};

// In the order in which they need each other. An error of a step names what to do in its row; later steps are not to be
// called then. One thread: a step changes the process's effective user for a moment.
class SetupSteps {
 public:
  SetupSteps(const SetupOptions& options, core::ProcessRunner& processes);

  // User and groups, by systemd-sysusers from the shipped file.
  [[nodiscard]] core::Result<SetupStep> make_accounts();
  // Folders, by systemd-tmpfiles.
  [[nodiscard]] core::Result<SetupStep> make_folders();
  // /etc/imprint/station.toml: the shipped one with this station's id.
  [[nodiscard]] core::Result<SetupStep> write_configuration();
  // The key with which heads of the records are signed, made as the station's user.
  [[nodiscard]] core::Result<SetupStep> make_key();
  [[nodiscard]] core::Result<SetupStep> look_at_trust();
  // The slots' udev rules, from the slot map.
  [[nodiscard]] core::Result<SetupStep> write_slot_rules();
  [[nodiscard]] core::Result<SetupStep> enable_units();
  [[nodiscard]] core::Result<SetupStep> start_units();
  [[nodiscard]] core::Result<SetupStep> make_first_engineer();

 private:
  [[nodiscard]] bool runs_here() const { return options_.root == "/"; }
  [[nodiscard]] std::filesystem::path in_root(const std::filesystem::path& path) const;
  [[nodiscard]] std::string rooted() const { return "--root=" + options_.root.native(); }
  // systemd's programs do nothing, and some say nothing, where their file is missing.
  [[nodiscard]] core::Status check_installed(const char* file) const;
  [[nodiscard]] core::Status run(std::vector<std::string> arguments);
  [[nodiscard]] std::vector<std::filesystem::path> config_folders() const;
  [[nodiscard]] core::Result<config::Configuration> configuration() const;
  [[nodiscard]] core::Result<std::string> shipped_configuration() const;
  [[nodiscard]] core::Result<std::string> choose_id() const;
  [[nodiscard]] core::Result<std::optional<trust::Secret>> choose_pin() const;
  [[nodiscard]] core::Status load_rules();

  const SetupOptions& options_;
  core::ProcessRunner& processes_;
  Machine machine_;
};

}  // namespace imprint::station::cli
