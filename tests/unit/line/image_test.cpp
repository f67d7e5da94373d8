// SPDX-License-Identifier: GPL-3.0-or-later
// The image that a line is armed with: changed, taken away, admitted or withdrawn behind its back.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/admissions.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

TEST_CASE("an image that is changed in the store under an armed line passes no device") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  const auto file = station.folder / "images" / (station.digest + ".ffu");
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  const auto size = static_cast<off_t>(std::filesystem::file_size(file));
  REQUIRE(::pwrite(fd, "changed", 7, size - 100) == 7);
  ::close(fd);
  REQUIRE(station.plug("A1", 1).has_value());
  const auto rows = station.finished(1);
  CHECK(rows[0].close->verdict == db::AttemptVerdict::failed);
  const std::string error = rows[0].close->error_id;
  CHECK((error == "image.changed" || error == "image.hash-mismatch"));
  REQUIRE(station.line->disarm("", {}).has_value());
}

TEST_CASE("an image that is taken out of the store under an armed line is told with the unit that it was written to") {
  TestStation station;
  REQUIRE(station.line->arm("lamp", "", {}).has_value());
  REQUIRE(std::filesystem::remove(station.folder / "images" / (station.digest + ".ffu")));
  REQUIRE(station.plug("A1", 1).has_value());
  const auto row = station.finished(1).front();
  CHECK(row.close->verdict == db::AttemptVerdict::passed);
  const auto steps = station.records->steps(row.id).value();
  const auto write = std::ranges::find(steps, "write", &db::Step::name);
  REQUIRE(write != steps.end());
  CHECK(write->detail.find("taken away or replaced") != std::string::npos);
  CHECK(station.line->arm("lamp", "", {}).error().id() == "store.image-missing");
}

TEST_CASE("an image that was admitted beside the station stands in the records once the line is armed with it") {
  TestStation station;
  const db::Admissions admissions(*station.records);
  REQUIRE_FALSE(admissions.standing(station.digest)->has_value());
  for (int time = 0; time < 2; ++time) REQUIRE(station.line->arm("lamp", "", {}).has_value());
  const auto rows = admissions.list();
  REQUIRE(rows->size() == 1);
  CHECK(rows->front().admission.sha256 == station.digest);
  CHECK(rows->front().admission.decision == "admitted");
  CHECK(rows->front().admission.policy == "none");
  CHECK(rows->front().admission.detail == "beside the station, at its store");
}

TEST_CASE("a withdrawal stands, whatever becomes of another copy, until the store has the image back") {
  TestStation station;
  const db::Admissions admissions(*station.records);
  db::NewAdmission row{.sha256 = station.digest, .size = 1, .policy = "none"};
  for (const char* decision : {"admitted", "withdrawn"}) {
    row.decision = decision;
    REQUIRE(admissions.add(row).has_value());
  }
  row.decision = "refused";
  row.error_id = "trust.untrusted";
  REQUIRE(admissions.add(row).has_value());
  REQUIRE(station.line->arm("lamp", "", {}).has_value());  // somebody reinstated it at the store
  CHECK(admissions.standing(station.digest).value()->admission.decision == "admitted");
  row.decision = "withdrawn";
  row.error_id.clear();
  REQUIRE(admissions.add(row).has_value());
  row.decision = "refused";
  row.error_id = "trust.untrusted";
  REQUIRE(admissions.add(row).has_value());
  REQUIRE(station.plug("A1", 1).has_value());
  const auto rows = station.finished(1);
  CHECK(rows.front().close->verdict == db::AttemptVerdict::refused);
  CHECK(rows.front().close->error_id == "quarantine.image");
}
