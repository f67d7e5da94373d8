// SPDX-License-Identifier: GPL-3.0-or-later
// docs/api.md says what the table of methods says.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "station/methods/method_table.hpp"

using namespace imprint::station;

namespace {

constexpr std::string_view kBegin = "<!-- methods: begin -->\n";
constexpr std::string_view kEnd = "<!-- methods: end -->";

}  // namespace

TEST_CASE("the methods in docs/api.md are those of the table, word for word") {
  const std::string path = std::string(IMPRINT_SOURCE_DIR) + "/docs/api.md";
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  const std::string text = content.str();
  const auto begin = text.find(kBegin);
  const auto end = text.find(kEnd);
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  const std::string expected = methods::methods_document();
  const std::string written = text.substr(begin + kBegin.size(), end - begin - kBegin.size());
  // IMPRINT_WRITE_API_MD=1 writes the part anew, after a change of the table.
  if (written != expected && std::getenv("IMPRINT_WRITE_API_MD") != nullptr)
    std::ofstream(path) << text.substr(0, begin + kBegin.size()) << expected << text.substr(end);
  CHECK(written == expected);
}

TEST_CASE("methods that read whole images or all records say that they take long, and what a line waits for does not") {
  for (const char* name : {"images.admit", "audit.head", "audit.verify", "records.backup", "reports.yield",
                           "reports.failures", "reports.slots", "reports.shift", "reports.units"})
    CHECK(methods::find_method(name)->takes_long);
  for (const char* name : {"line.scan", "line.cancel", "station.status", "people.sign_in", "station.stop"})
    CHECK_FALSE(methods::find_method(name)->takes_long);
}
