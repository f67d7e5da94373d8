// SPDX-License-Identifier: GPL-3.0-or-later
// The one table of errors: no id twice, nothing left out, every row fit to be read by a person.
#include "station/error_table.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

using namespace imprint;

TEST_CASE("no error id is declared twice") {
  std::set<std::string_view> ids;
  for (const core::ErrorRow& row : station::all_error_rows()) {
    INFO(row.id);
    CHECK(ids.insert(row.id).second);
  }
  CHECK(ids.size() > 80);
}

TEST_CASE("every row has an id of area and problem, a sentence and a remedy") {
  const std::regex form("[a-z0-9]+\\.[a-z0-9]+(-[a-z0-9]+)*");
  for (const core::ErrorRow& row : station::all_error_rows()) {
    INFO(row.id);
    CHECK(std::regex_match(std::string(row.id), form));
    CHECK(row.text.size() > 10);
    CHECK(row.remedy.size() > 10);
    CHECK(row.remedy.ends_with('.'));
    CHECK_FALSE(row.text.ends_with('.'));
  }
}

TEST_CASE("every folder's rows are in the table") {
  std::set<std::string> ids;
  for (const core::ErrorRow& row : station::all_error_rows()) ids.emplace(row.id);
  const std::regex declared(R"re(\{\s*"([a-z0-9]+\.[a-z0-9-]+)")re");
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(IMPRINT_SOURCE_DIR)) {
    const std::string path = entry.path().lexically_relative(IMPRINT_SOURCE_DIR).generic_string();
    if (entry.path().filename() != "errors.hpp" || path.starts_with("build") || path.starts_with("tests")) continue;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    const std::string content = text.str();
    for (std::sregex_iterator it(content.begin(), content.end(), declared), end; it != end; ++it) {
      INFO(path << " " << (*it)[1]);
      CHECK(ids.contains((*it)[1]));
      ++found;
    }
  }
  CHECK(found == ids.size());
}
