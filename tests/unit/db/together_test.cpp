// SPDX-License-Identifier: GPL-3.0-or-later
// Calls that are kept together or not at all, and audit rows with a beginning and an end.
#include "db/together.hpp"

#include "db/audit.hpp"
#include "db/chain.hpp"
#include "db/orders.hpp"
#include "db/people.hpp"
#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/db/fixture.hpp"

using namespace imprint;
using namespace imprint::db;
using namespace imprint::db::test;

namespace {

core::Status add_order(const Records& records, const std::string& number) {
  auto added = Orders(records).create({.number = number, .product = "lamp", .quantity = 5});
  if (!added) return std::unexpected(added.error());
  return {};
}

core::Status add_row(const Records& records, const NewAudit& row) {
  auto added = Audit(records).add(row);
  if (!added) return std::unexpected(added.error());
  return {};
}

std::size_t orders(const Records& records) { return good(Orders(records).list(true)).size(); }
std::size_t rows(const Records& records) { return good(Audit(records).newest(100)).size(); }
bool is_whole(const Records& records) { return !good(Chain(records).verify()).broken.has_value(); }

}  // namespace

TEST_CASE("calls that stand together are all kept, and stand in the chain once each") {
  const Station station;
  good(together(*station.records, [&]() -> core::Status {
    IMPRINT_CHECK(add_order(*station.records, "WO-1"));
    CHECK(orders(*station.records) == 1);  // seen from within
    return add_row(*station.records, {.action = "orders.create"});
  }));
  CHECK(orders(*station.records) == 1);
  CHECK(rows(*station.records) == 1);
  CHECK(is_whole(*station.records));
}

TEST_CASE("where one of the calls fails and that is the end of it, none of them is kept") {
  const Station station;
  CHECK(error_id(together(*station.records, [&]() -> core::Status {
          IMPRINT_CHECK(add_order(*station.records, "WO-1"));
          return add_row(*station.records, {.action = ""});
        })) == "records.value-unusable");
  CHECK(orders(*station.records) == 0);
  CHECK(is_whole(*station.records));
}

TEST_CASE("a part that failed leaves nothing, and what stands around it is kept with its number given anew") {
  const Station station;
  good(together(*station.records, [&]() -> core::Status {
    const auto part = together(*station.records, [&]() -> core::Status {
      IMPRINT_CHECK(add_order(*station.records, "WO-1"));
      return add_order(*station.records, "WO-1");
    });
    CHECK(error_id(part) == "records.exists");
    return add_order(*station.records, "WO-2");
  }));
  const auto all = good(Orders(*station.records).list(true));
  REQUIRE(all.size() == 1);
  CHECK(all[0].number == "WO-2");
  CHECK(is_whole(*station.records));
}

TEST_CASE(
    "whatever call to the disk fails within, the change and its row are both there or neither, and then all goes on") {
  FaultVfs vfs;
  for (const Fault fault : {Fault::once, Fault::for_good, Fault::disk_full}) {
    bool struck = true;
    for (std::uint64_t nth = 1; struck; ++nth) {
      CAPTURE(nth, static_cast<int>(fault));
      TempFolder folder;
      const HandClock clock;
      const auto records = good(
          Records::open(folder.database(), clock, {.vfs = vfs.name(), .busy_timeout = std::chrono::milliseconds(1)}));
      vfs.fail_at(nth, fault);
      const auto done = together(*records, [&]() -> core::Status {
        IMPRINT_CHECK(add_order(*records, "WO-1"));
        // Whoever goes on after a failure must not be kept by itself.
        static_cast<void>(orders(*records) == 1);
        return add_row(*records, {.action = "orders.create"});
      });
      struck = vfs.failed();
      vfs.heal();
      CHECK(orders(*records) == rows(*records));
      CHECK(orders(*records) == (done ? 1 : 0));
      good(add_order(*records, "WO-2"));
      CHECK(is_whole(*records));
    }
  }
}

TEST_CASE("nothing is kept of calls that went on after the disk had failed one of them") {
  FaultVfs vfs;
  bool struck = true;
  for (std::uint64_t nth = 1; struck; ++nth) {
    CAPTURE(nth);
    TempFolder folder;
    const HandClock clock;
    const auto records = good(
        Records::open(folder.database(), clock, {.vfs = vfs.name(), .busy_timeout = std::chrono::milliseconds(1)}));
    vfs.fail_at(nth, Fault::once);
    const auto done = together(*records, [&]() -> core::Status {
      static_cast<void>(add_order(*records, "WO-1"));
      static_cast<void>(add_row(*records, {.action = "orders.create"}));
      return {};
    });
    struck = vfs.failed();
    vfs.heal();
    CHECK(orders(*records) == rows(*records));
    CHECK(orders(*records) == (done ? 1 : 0));
  }
}

TEST_CASE("a beginning without its end is ended as unknown when the station starts again") {
  const Station station;
  const AuditId ended = good(Audit(*station.records).add({.action = "line.arm", .outcome = AuditOutcome::begun}));
  good(add_row(*station.records,
               {.action = "line.arm", .outcome = AuditOutcome::failed, .error_id = "line.busy", .begun = ended}));
  const AuditId open =
      good(Audit(*station.records).add({.action = "images.admit", .subject = "a.ffu", .outcome = AuditOutcome::begun}));
  good(station.records->close_interrupted());
  good(station.records->close_interrupted());
  const auto all = good(Audit(*station.records).newest(100));
  REQUIRE(all.size() == 4);
  CHECK(all[3].entry.outcome == AuditOutcome::unknown);
  CHECK(all[3].entry.begun == open);
  CHECK(all[3].entry.subject == "a.ffu");
  CHECK(all[3].entry.error_id == "records.interrupted");
  CHECK(is_whole(*station.records));
}

TEST_CASE("an audit row ends a beginning once, and has an error where something went wrong and nowhere else") {
  const Station station;
  const AuditId begun = good(Audit(*station.records).add({.action = "line.arm", .outcome = AuditOutcome::begun}));
  good(add_row(*station.records, {.action = "line.arm", .begun = begun}));
  CHECK_FALSE(add_row(*station.records, {.action = "line.arm", .begun = begun}).has_value());
  CHECK(error_id(add_row(*station.records, {.action = "line.arm", .outcome = AuditOutcome::refused})) ==
        "records.value-unusable");
  CHECK(error_id(add_row(*station.records, {.action = "line.arm", .error_id = "line.busy"})) ==
        "records.value-unusable");
}

TEST_CASE("an erasure within a larger change leaves the log to be emptied behind it") {
  const Station station;
  const OperatorId ada = good(People(*station.records).add("engineer", "Ada Lovelace", "", {}));
  good(together(*station.records, [&] { return People(*station.records).erase(ada, "asked for", {}); }));
  CHECK(good(People(*station.records).get(ada)).name.empty());
  good(People(*station.records).finish_erasure(ada));
  CHECK(std::filesystem::file_size(station.folder.database().native() + "-wal") == 0);
}
