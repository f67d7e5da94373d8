// SPDX-License-Identifier: GPL-3.0-or-later
// Every call of the records to their disk fails in turn while two slots flash. Whatever happens, nothing is called
// passed that the records do not hold, and the slots come to an end.
#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/station/station_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

// Flashes two devices over records that may fail; how many results say passed, by slot.
std::vector<AttemptResult> flash_two(const std::filesystem::path& folder, const std::string& vfs, bool& opened) {
  const core::SystemClock clock;
  db::RecordsOptions options;
  options.vfs = vfs;
  options.busy_timeout = std::chrono::milliseconds(1);
  auto records = db::Records::open(folder / "station.db", clock, options);
  opened = records.has_value();
  if (!opened) return {};
  Line devices;  // for its bus and devices; its own records are not used
  SessionConfig config{recipe(), armed_image(), {{"1", VirtualBus::port(1)}, {"2", VirtualBus::port(2)}}, folder, true};
  const auto session = Session::start(std::move(config), devices.bus, **records, clock);
  REQUIRE(session.has_value());
  for (unsigned slot = 1; slot <= 2; ++slot) {
    REQUIRE(devices.bus.plug(VirtualBus::port(slot), devices.device(slot)).has_value());
  }
  std::vector<AttemptResult> results;
  results.push_back(Line::next(**session));
  results.push_back(Line::next(**session));
  return results;
}

}  // namespace

TEST_CASE("records whose disk fails at any call never leave a PASS that they do not hold") {
  db::test::FaultVfs vfs;
  int failures_seen = 0;
  for (std::uint64_t nth = 1; nth < 3000; nth += 3) {
    INFO("call " << nth);
    const core::test::ScratchFolder folder;
    vfs.fail_at(nth, db::test::Fault::once);
    bool opened = false;
    const auto results = flash_two(folder.path(), vfs.name(), opened);
    const bool failed = vfs.failed();
    vfs.heal();
    const core::SystemClock clock;
    auto records = db::Records::open(folder / "station.db", clock);
    REQUIRE(records.has_value());
    REQUIRE((*records)->check_integrity().has_value());
    const auto rows = (*records)->attempts({});
    REQUIRE(rows.has_value());
    for (const AttemptResult& result : results) {
      if (result.verdict != db::AttemptVerdict::passed) continue;
      const auto row = std::ranges::find_if(*rows, [&](const auto& r) { return r.id == result.id; });
      REQUIRE(row != rows->end());
      REQUIRE(row->close.has_value());
      REQUIRE(row->close->verdict == db::AttemptVerdict::passed);
      REQUIRE(row->close->proof == db::ProofLevel::read_back);
    }
    for (const db::AttemptRow& row : *rows) {
      if (!row.close || row.close->verdict != db::AttemptVerdict::passed) continue;
      const auto result = std::ranges::find_if(results, [&](const auto& r) { return r.id == row.id; });
      REQUIRE(result != results.end());
      REQUIRE(result->verdict == db::AttemptVerdict::passed);
    }
    if (!failed) {
      REQUIRE(results.size() == 2);
      CHECK(failures_seen > 20);
      return;
    }
    ++failures_seen;
  }
  FAIL("two attempts took more calls than they can");
}
