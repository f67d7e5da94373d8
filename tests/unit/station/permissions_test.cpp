// SPDX-License-Identifier: GPL-3.0-or-later
// The table of who may do what, written out once more: a change to it has to be made twice, and on purpose.
#include "station/people/permissions.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <string>

using namespace imprint;
using namespace imprint::station::people;

namespace {

// o: operator, q: QA, m: manager, e: engineer; P: with a PIN, R: with a reason.
constexpr std::string_view kTable = R"(
arm                     o.me P
disarm                  oqme
scan                    oqme
cancel                  oqme
type-serial             oqme P
reflash-passed          .q.e PR
rework                  .q.e PR
waive-finding           .q.. PR
lift-unit-quarantine    .q.e PR
lift-slot-quarantine    ..me PR
lift-image-quarantine   .q.. PR
lift-signer-quarantine  .q.. PR
create-order            ..me P
close-order             ..me PR
scrap                   .qme PR
admit-image             ...e P
withdraw-image          .q.e PR
withdraw-signer         .q.e PR
remove-image            ...e PR
build-image             ...e P
flash-once              ...e P
inspect-image           .q.e
cancel-job              ...e
manage-people           ..me P
unlock-person           ..me PR
see-status              oqme
see-reports             .qme
export-records          .qme P
correct-record          .q.e PR
change-recipes          ...e P
backup                  ..me P
shut-down               ..me P
)";

std::string printed() {
  std::string out = "\n";
  for (const Permission& row : kPermissions) {
    std::string line(row.name);
    line.resize(24, ' ');
    line += row.operator_may ? 'o' : '.';
    line += row.qa_may ? 'q' : '.';
    line += row.manager_may ? 'm' : '.';
    line += row.engineer_may ? 'e' : '.';
    if (row.needs_pin || row.needs_reason) line += ' ';
    if (row.needs_pin) line += 'P';
    if (row.needs_reason) line += 'R';
    out += line + "\n";
  }
  return out;
}

// The table of the operators' page, whose rows begin with a word in code marks.
std::string page_table() {
  std::ifstream file(std::string(IMPRINT_SOURCE_DIR) + "/docs/operator.md");
  std::string out;
  bool is_there = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) is_there = line == "## Who may do what";
    if (is_there && line.starts_with("| `")) out += line + "\n";
  }
  return out;
}

std::string id_of(const core::Status& status) { return status ? "" : std::string(status.error().id()); }

}  // namespace

TEST_CASE("who may do what is what the table says") { CHECK(printed() == kTable); }

TEST_CASE("the operators' page has the same table, row by row") {
  std::string expected;
  for (const Permission& row : kPermissions) {
    expected += "| `" + std::string(row.name) + "` |";
    for (const bool yes :
         {row.operator_may, row.qa_may, row.manager_may, row.engineer_may, row.needs_pin, row.needs_reason})
      expected += yes ? " yes |" : "  |";
    expected += "\n";
  }
  CHECK(page_table() == expected);
}

TEST_CASE("every action and role has a name of its own that is read back") {
  std::set<std::string_view> names;
  for (const Permission& row : kPermissions) {
    CHECK(names.insert(row.name).second);
    CHECK(parse_action(row.name) == row.action);
    CHECK(to_string(row.action) == row.name);
  }
  for (const Role role : kRoles) CHECK(parse_role(to_string(role)) == role);
  CHECK_FALSE(parse_role("root"));
  CHECK_FALSE(parse_action(""));
}

TEST_CASE("a role that may not is refused, whatever else it brings, and hears who may") {
  const auto refused = check_permission({Role::operator_, true}, Action::waive_finding, "because");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().id() == "people.not-allowed");
  CHECK(refused.error().context_value("may") == "qa");
}

TEST_CASE("a badge alone signs nothing") {
  CHECK(id_of(check_permission({Role::operator_, false}, Action::arm)) == "people.pin-needed");
  CHECK(check_permission({Role::operator_, true}, Action::arm));
  CHECK(check_permission({Role::operator_, false}, Action::scan));
  for (const Permission& row : kPermissions) {
    if (!row.needs_reason) continue;
    INFO(row.name);
    CHECK(row.needs_pin);
  }
}

TEST_CASE("what needs a reason is not done without one") {
  CHECK(id_of(check_permission({Role::qa, true}, Action::rework)) == "people.reason-needed");
  CHECK(id_of(check_permission({Role::qa, true}, Action::rework, " \t")) == "people.reason-needed");
  CHECK(check_permission({Role::qa, true}, Action::rework, "returned by the customer"));
}

TEST_CASE("whoever armed may stop: disarming and cancelling are open to all and need no PIN") {
  for (const Role role : kRoles) {
    CHECK(check_permission({role, false}, Action::disarm));
    CHECK(check_permission({role, false}, Action::cancel));
  }
}
