// SPDX-License-Identifier: GPL-3.0-or-later
// Errors: their rows, what they carry, how they read, and how they pass from function to function.
#include "flash/core/errors.hpp"

#include <catch2/catch.hpp>
#include <cerrno>
#include <regex>
#include <set>

using namespace imprint::core;

namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail("format.truncated", "an odd number").with("value", value);
  return value / 2;
}
Result<int> quarter(int value) {
  IMPRINT_TRY(const int once, half(value));
  IMPRINT_TRY(const int twice, half(once));
  return twice;
}
Status check_quarter(int value) {
  IMPRINT_CHECK(quarter(value));
  return {};
}

}  // namespace

TEST_CASE("every row of core has an id of area and problem, one sentence and a remedy") {
  std::set<std::string_view> seen;
  const std::regex form("[a-z]+\\.[a-z]+(-[a-z]+)*");
  for (const ErrorRow& row : kErrorRows) {
    CAPTURE(row.id);
    CHECK(std::regex_match(std::string(row.id), form));
    CHECK(seen.insert(row.id).second);
    CHECK_FALSE(row.text.empty());
    CHECK(row.text.back() != '.');
    CHECK(row.remedy.ends_with("."));
    CHECK(to_string(row.fault) != "");
  }
}

TEST_CASE("fault classes have the names that records and reports use") {
  CHECK(to_string(FaultClass::unit) == "unit");
  CHECK(to_string(FaultClass::image) == "image");
  CHECK(to_string(FaultClass::station) == "station");
  CHECK(to_string(FaultClass::operator_) == "operator");
}

TEST_CASE("an error carries its row, detail and context in order") {
  const Status status =
      fail("job.deadline", "the device's answer").with("slot", "7").with("limit_ms", 500).with("rate", 1.5);
  REQUIRE_FALSE(status);
  CHECK(status.error().id() == "job.deadline");
  CHECK(status.error().detail() == "the device's answer");
  CHECK(status.error().context_value("slot") == "7");
  CHECK(status.error().context_value("limit_ms") == "500");
  CHECK(status.error().context_value("nothing") == "");
  CHECK(status.error().context().front().first == "slot");
  CHECK(status.error().cause() == nullptr);
}

TEST_CASE("a message is one line with detail, context and causes") {
  Error cause = fail("io.read-failed", "Input/output error").with("offset", 512).error();
  const Status status = fail("job.cancelled").with("slot", "3").caused_by(std::move(cause));
  REQUIRE_FALSE(status);
  CHECK(status.error().message() ==
        "The job was cancelled (slot 3); cause: io.read-failed: Reading failed: Input/output error (offset 512)");
  REQUIRE(status.error().cause() != nullptr);
  CHECK(status.error().cause()->id() == "io.read-failed");
}

TEST_CASE("a hostile detail cannot break the line of a message") {
  const Status status = fail("process.failed", "a\nb\x1B[31m").with("file", "c\rd");
  CHECK(status.error().message() == "A program that was called failed: a?b?[31m (file c?d)");
  CHECK(status.error().detail() == "a\nb\x1B[31m");
}

TEST_CASE("errors pass through the macros and values come out of them") {
  CHECK(quarter(12) == 3);
  CHECK(check_quarter(12));
  const Status failed = check_quarter(6);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().context_value("value") == "3");
  CHECK(failed.error().detail() == "an odd number");
}

TEST_CASE("a copied error keeps its cause") {
  const Error cause = fail("io.not-found").error();
  Error first = fail("io.open-failed").error();
  first.set_cause(cause);
  const Error second = first;
  REQUIRE(second.cause() != nullptr);
  CHECK(second.cause()->id() == "io.not-found");
}

TEST_CASE("errno gives the row that says what to do") {
  const auto id_of = [](int number) { return std::string(fail_errno(number, "io.read-failed", "x").error().id()); };
  CHECK(id_of(ENOENT) == "io.not-found");
  CHECK(id_of(ENOTDIR) == "io.not-found");
  CHECK(id_of(EACCES) == "io.permission");
  CHECK(id_of(EPERM) == "io.permission");
  CHECK(id_of(EROFS) == "io.permission");
  CHECK(id_of(ENOSPC) == "io.disk-full");
  CHECK(id_of(EDQUOT) == "io.disk-full");
  CHECK(id_of(EIO) == "io.read-failed");
  const Error error = fail_errno(EIO, "io.write-failed", "disk.img").error();
  CHECK(error.context_value("file") == "disk.img");
  CHECK_FALSE(error.detail().empty());
}
