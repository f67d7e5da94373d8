// SPDX-License-Identifier: GPL-3.0-or-later
// What people read: slot lines, tables, moments, exit statuses.
#include <catch2/catch.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "flash/core/errors.hpp"
#include "flash/ffu/errors.hpp"
#include "station/cli/console.hpp"
#include "station/cli/slot_lines.hpp"
#include "station/cli/station_client.hpp"
#include "station/cli/tables.hpp"
#include "station/errors.hpp"
#include "station/period.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::cli;

TEST_CASE("a slot's line says phase, bytes, rate and time left, and afterwards the word and what to do") {
  SlotStatus status;
  status.slot = "3";
  CHECK(slot_line(status) == "Slot 3   empty");
  status.phase = SlotPhase::write;
  status.done = 48ULL << 20;
  status.due = 96ULL << 20;
  status.rate = 41.2e6;
  status.left = std::chrono::seconds(2);
  const std::string line = slot_line(status);
  CHECK(line.find("write") != std::string::npos);
  CHECK(line.find("48.0 of 96.0 MiB") != std::string::npos);
  CHECK(line.find("41.2 MB/s") != std::string::npos);
  CHECK(line.find("2 s left") != std::string::npos);
  status.phase = SlotPhase::done;
  status.verdict = db::AttemptVerdict::passed;
  status.proof = db::ProofLevel::inspected;
  CHECK(slot_line(status) == "Slot 3   PASS (inspected), remove");
  status.verdict = db::AttemptVerdict::refused;
  status.error_id = "device.platform-mismatch";
  status.message = "Wrong. Remove it.";
  CHECK(slot_line(status) == "Slot 3   REFUSED  device.platform-mismatch: Wrong. Remove it.");
}

TEST_CASE("columns of a table are as wide as their widest cell") {
  CHECK(format_table({"A", "Long"}, {{"wide cell", "x"}, {"\xC3\xA9", "y"}}) ==
        "A          Long\n---------  ----\nwide cell  x\n\xC3\xA9          y\n");
}

TEST_CASE("an answer's lines of its own stay lines, and nothing in them reaches the terminal") {
  const boost::json::object key{{"kind", "file"}, {"public_key", "-----BEGIN\nAB\x1b[2J\n-----END\n"}};
  CHECK(answer_text(key) == "Kind               file\nPublic key\n-----BEGIN\nAB?[2J\n-----END\n");
}

TEST_CASE("a station that was armed answers with its status") {
  const boost::json::object status{
      {"armed", true}, {"product", "lamp"}, {"since", "now"}, {"slots", boost::json::array()}};
  CHECK(answer_text(status).find("Armed     lamp since now\n") != std::string::npos);
}

TEST_CASE("moments are read with a zone, with an offset, and as days") {
  CHECK(core::to_iso8601(parse_moment("2026-11-21T06:00:00+01:00").value()) == "2026-11-21T05:00:00.000Z");
  CHECK(core::to_iso8601(parse_moment("2026-11-21T06:00Z").value()) == "2026-11-21T06:00:00.000Z");
  CHECK(parse_moment("2026-11-21").has_value());
  for (const char* text : {"", "yesterday", "2026-13-01", "2026-02-30", "2026-11-21T25:00Z", "2026-11-21T06:00:00+1",
                           "2026-11-21 06:00"}) {
    INFO(text);
    CHECK(parse_moment(text).error().id() == "usage.invalid");
  }
}

TEST_CASE("exit statuses follow the contract") {
  const auto status = [](const core::Failure& failure) { return exit_status(failure.error()); };
  CHECK(status(ffu::fail("image.hash-mismatch")) == ExitStatus::not_good);
  CHECK(status(core::fail("format.truncated")) == ExitStatus::not_good);
  CHECK(status(core::fail("io.not-found")) == ExitStatus::environment);
  CHECK(status(core::fail("io.disk-full")) == ExitStatus::environment);
  CHECK(status(ffu::fail("ffu.store-missing")) == ExitStatus::usage);
  CHECK(status(station::fail("usage.invalid")) == ExitStatus::usage);
  CHECK(status(station::fail("report.no-rows")) == ExitStatus::nothing);
}
