// SPDX-License-Identifier: GPL-3.0-or-later
// The errors of boot settings, with file and line.
#include "flash/bcd/xml_document.hpp"

#include <fmt/format.h>

#include <utility>

#include "flash/core/text.hpp"

namespace imprint::bcd {
namespace {

bool is_text(const pugi::xml_node& node) { return node.type() == pugi::node_pcdata || node.type() == pugi::node_cdata; }

}  // namespace

core::Result<XmlDocument> XmlDocument::parse(std::string_view xml, std::string_view name) {
  auto document = core::XmlDocument::parse(xml, name);
  if (document) return XmlDocument(*std::move(document));
  auto failure = fail("bcd.xml-malformed", document.error().detail).with("file", core::printable(name));
  if (document.error().line) return std::move(failure).with("line", *document.error().line);
  return failure;
}

core::Failure XmlDocument::fail_at(ErrorId id, const pugi::xml_node& node, std::string detail) const {
  return fail(id, std::move(detail)).with("file", name()).with("line", line_of(node));
}

core::Result<std::vector<pugi::xml_node>> XmlDocument::elements(const pugi::xml_node& node) const {
  std::vector<pugi::xml_node> out;
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_element) out.push_back(child);
    if (is_text(child)) {
      return fail_at("bcd.xml-malformed", child, fmt::format("{} holds text beside its elements", local_name(node)));
    }
  }
  return out;
}

core::Result<pugi::xml_node> XmlDocument::only_element(const pugi::xml_node& node) const {
  IMPRINT_TRY(const auto children, elements(node));
  if (children.size() != 1) {
    return fail_at("bcd.xml-malformed", node, fmt::format("{} needs exactly one element inside", local_name(node)));
  }
  return children.front();
}

core::Result<std::string> XmlDocument::text(const pugi::xml_node& node) const {
  std::string out;
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_element) {
      return fail_at("bcd.xml-malformed", child, fmt::format("{} holds text, not elements", local_name(node)));
    }
    if (is_text(child)) out += child.value();
  }
  return out;
}

}  // namespace imprint::bcd
