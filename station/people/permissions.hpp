// SPDX-License-Identifier: GPL-3.0-or-later
// Who may do what: one table, asked by the daemon before anything is done, shown by the kiosk, printed in the manual.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "flash/core/result.hpp"

namespace imprint::station::people {

enum class Role : std::uint8_t { operator_, qa, manager, engineer };
inline constexpr std::array kRoles{Role::operator_, Role::qa, Role::manager, Role::engineer};
// "operator", "qa", "manager", "engineer": as the records have them.
[[nodiscard]] std::string_view to_string(Role role);
[[nodiscard]] std::optional<Role> parse_role(std::string_view text);

enum class Action : std::uint8_t {
  arm,
  disarm,
  scan,
  cancel,
  type_serial,
  reflash_passed,
  rework,
  waive_finding,
  lift_unit_quarantine,
  lift_slot_quarantine,
  lift_image_quarantine,
  lift_signer_quarantine,
  create_order,
  close_order,
  scrap,
  admit_image,
  withdraw_image,
  withdraw_signer,
  remove_image,
  build_image,
  flash_once,
  inspect_image,
  cancel_job,
  manage_people,
  unlock_person,
  see_status,
  see_reports,
  export_records,
  correct_record,
  change_recipes,
  backup,
  shut_down,
};

struct Permission {
  Action action = Action::see_status;
  std::string_view name;  // "arm", "lift-slot-quarantine": as the API and the audit log have it
  bool operator_may = false;
  bool qa_may = false;
  bool manager_may = false;
  bool engineer_may = false;
  bool needs_pin = false;     // who only showed a badge has to give the PIN first
  bool needs_reason = false;  // a sentence that goes into the records
};

// In the order of Action.
inline constexpr auto kPermissions = std::to_array<Permission>({
    // action, name, operator, qa, manager, engineer, PIN, reason
    {Action::arm, "arm", true, false, true, true, true, false},
    {Action::disarm, "disarm", true, true, true, true, false, false},
    {Action::scan, "scan", true, true, true, true, false, false},
    {Action::cancel, "cancel", true, true, true, true, false, false},
    {Action::type_serial, "type-serial", true, true, true, true, true, false},
    {Action::reflash_passed, "reflash-passed", false, true, false, true, true, true},
    {Action::rework, "rework", false, true, false, true, true, true},
    {Action::waive_finding, "waive-finding", false, true, false, false, true, true},
    {Action::lift_unit_quarantine, "lift-unit-quarantine", false, true, false, true, true, true},
    {Action::lift_slot_quarantine, "lift-slot-quarantine", false, false, true, true, true, true},
    {Action::lift_image_quarantine, "lift-image-quarantine", false, true, false, false, true, true},
    {Action::lift_signer_quarantine, "lift-signer-quarantine", false, true, false, false, true, true},
    {Action::create_order, "create-order", false, false, true, true, true, false},
    {Action::close_order, "close-order", false, false, true, true, true, true},
    {Action::scrap, "scrap", false, true, true, true, true, true},
    {Action::admit_image, "admit-image", false, false, false, true, true, false},
    {Action::withdraw_image, "withdraw-image", false, true, false, true, true, true},
    {Action::withdraw_signer, "withdraw-signer", false, true, false, true, true, true},
    {Action::remove_image, "remove-image", false, false, false, true, true, true},
    {Action::build_image, "build-image", false, false, false, true, true, false},
    {Action::flash_once, "flash-once", false, false, false, true, true, false},
    {Action::inspect_image, "inspect-image", false, true, false, true, false, false},
    {Action::cancel_job, "cancel-job", false, false, false, true, false, false},
    {Action::manage_people, "manage-people", false, false, true, true, true, false},
    {Action::unlock_person, "unlock-person", false, false, true, true, true, true},
    {Action::see_status, "see-status", true, true, true, true, false, false},
    {Action::see_reports, "see-reports", false, true, true, true, false, false},
    {Action::export_records, "export-records", false, true, true, true, true, false},
    {Action::correct_record, "correct-record", false, true, false, true, true, true},
    {Action::change_recipes, "change-recipes", false, false, false, true, true, false},
    {Action::backup, "backup", false, false, true, true, true, false},
    {Action::shut_down, "shut-down", false, false, true, true, true, false},
});

[[nodiscard]] const Permission& permission(Action action);
[[nodiscard]] std::string_view to_string(Action action);
[[nodiscard]] std::optional<Action> parse_action(std::string_view text);
[[nodiscard]] bool may(Role role, Action action);

// How somebody is there: what they showed, and what they said.
struct Standing {
  Role role = Role::operator_;
  bool gave_pin = false;  // false: a badge or a name alone
};
// `people.not-allowed` first, then `people.pin-needed`, `people.reason-needed` (a reason of blanks is none).
[[nodiscard]] core::Status check_permission(const Standing& standing, Action action, std::string_view reason = {});

}  // namespace imprint::station::people
