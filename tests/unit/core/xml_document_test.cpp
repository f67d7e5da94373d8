// SPDX-License-Identifier: GPL-3.0-or-later
// Settings files as people and hostile tools write them: the encodings, the line that an error names, what is refused.
#include "flash/core/xml_document.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "flash/core/text.hpp"

using imprint::core::XmlDocument;
using namespace std::string_literals;

namespace {
std::string problem_of(std::string_view xml) {
  const auto document = XmlDocument::parse(xml, "settings.xml");
  return document ? "" : document.error().detail;
}
}  // namespace

TEST_CASE("a document is read in each encoding that settings come in") {
  const std::string xml = "<a:root xmlns:a=\"urn:x\">\n\n<leaf/></a:root>";
  const std::string texts[] = {xml, "\xEF\xBB\xBF" + xml, "\xFF\xFE" + imprint::core::utf16le_from_utf8(xml).value()};
  for (const std::string& text : texts) {
    const auto document = XmlDocument::parse(text, "settings.xml");
    REQUIRE(document.has_value());
    CHECK(XmlDocument::local_name(document->root()) == "root");
    CHECK(document->root_namespace() == "urn:x");
    CHECK(document->line_of(document->root()) == 1);
    CHECK(document->line_of(document->root().first_child()) == 3);
  }
}

TEST_CASE("nodes outlive a move of their document") {
  auto document = XmlDocument::parse("<root><leaf/></root>", "settings.xml");
  REQUIRE(document.has_value());
  const pugi::xml_node leaf = document->root().first_child();
  const XmlDocument moved = *std::move(document);
  CHECK(moved.root().first_child() == leaf);
}

TEST_CASE("malformed XML is refused with its line") {
  const auto document = XmlDocument::parse("<root>\n<leaf>\n</root>", "settings.xml");
  REQUIRE_FALSE(document.has_value());
  CHECK(document.error().line == 3);
}

TEST_CASE("every truncation of a document is refused") {
  const std::string xml = "<root a=\"b\"><leaf>text</leaf></root>";
  for (std::size_t size = 0; size < xml.size(); ++size) CHECK_FALSE(problem_of(xml.substr(0, size)).empty());
}

TEST_CASE("a NUL does not hide what follows it") { CHECK_FALSE(problem_of("<root/>\0<more/>"s).empty()); }

TEST_CASE("text that is not UTF-8 is refused") { CHECK_FALSE(problem_of("<root>\xE9t\xE9</root>").empty()); }

TEST_CASE("two roots are refused") { CHECK(problem_of("<one/><two/>") == "there is more than one root element"); }

TEST_CASE("a file that is no settings file by its size is refused before it is parsed") {
  CHECK(problem_of("<root/>" + std::string(16U << 20, ' ')) == "the file is too large for settings");
}

TEST_CASE("a name from outside cannot break a line of the log") {
  const auto document = XmlDocument::parse("<root/>", "a\nb.xml");
  REQUIRE(document.has_value());
  CHECK(document->name() == "a?b.xml");
}
