// SPDX-License-Identifier: GPL-3.0-or-later
// Looks things up in the table.
#include "station/people/permissions.hpp"

#include <utility>

#include "flash/core/text.hpp"
#include "station/people/errors.hpp"

namespace imprint::station::people {
namespace {

// permission() takes an action's number for its place in the table.
consteval bool is_in_order() {
  for (std::size_t i = 0; i < kPermissions.size(); ++i) {
    if (static_cast<std::size_t>(kPermissions.at(i).action) != i) return false;
  }
  return kPermissions.size() == static_cast<std::size_t>(Action::shut_down) + 1;
}
static_assert(is_in_order());

constexpr std::array<std::pair<Role, std::string_view>, 4> kRoleNames{{
    {Role::operator_, "operator"},
    {Role::qa, "qa"},
    {Role::manager, "manager"},
    {Role::engineer, "engineer"},
}};

}  // namespace

std::string_view to_string(Role role) { return kRoleNames.at(static_cast<std::size_t>(role)).second; }

std::optional<Role> parse_role(std::string_view text) {
  for (const auto& [role, name] : kRoleNames) {
    if (name == text) return role;
  }
  return std::nullopt;
}

const Permission& permission(Action action) { return kPermissions.at(static_cast<std::size_t>(action)); }

std::string_view to_string(Action action) { return permission(action).name; }

std::optional<Action> parse_action(std::string_view text) {
  for (const Permission& row : kPermissions) {
    if (row.name == text) return row.action;
  }
  return std::nullopt;
}

bool may(Role role, Action action) {
  const Permission& row = permission(action);
  switch (role) {
    case Role::operator_:
      return row.operator_may;
    case Role::qa:
      return row.qa_may;
    case Role::manager:
      return row.manager_may;
    case Role::engineer:
      return row.engineer_may;
  }
  return false;
}

core::Status check_permission(const Standing& standing, Action action, std::string_view reason) {
  const Permission& row = permission(action);
  if (!may(standing.role, action)) {
    std::string who;
    for (const Role role : kRoles) {
      if (may(role, action)) who += (who.empty() ? "" : ", ") + std::string(to_string(role));
    }
    return fail("people.not-allowed").with("action", row.name).with("role", to_string(standing.role)).with("may", who);
  }
  if (row.needs_pin && !standing.gave_pin) return fail("people.pin-needed").with("action", row.name);
  if (row.needs_reason && core::trimmed(reason).empty()) return fail("people.reason-needed").with("action", row.name);
  return {};
}

}  // namespace imprint::station::people
