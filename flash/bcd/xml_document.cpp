// SPDX-License-Identifier: GPL-3.0-or-later
// Parsing with pugixml, and the line of each node. pugixml takes any bytes for text and stops at a NUL, so both are
// refused before it runs.
#include "flash/bcd/xml_document.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"

namespace imprint::bcd {
namespace {

constexpr std::size_t kMaxXmlSize = 16U << 20;

bool is_text(const pugi::xml_node& node) { return node.type() == pugi::node_pcdata || node.type() == pugi::node_cdata; }

}  // namespace

std::string_view local_name(const pugi::xml_node& node) {
  const std::string_view name = node.name();
  const auto colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

core::Result<XmlDocument> XmlDocument::parse(std::string_view xml, std::string_view name) {
  XmlDocument out;
  out.name_ = core::printable(name);
  if (xml.size() > kMaxXmlSize)
    return fail("bcd.xml-malformed", "the file is too large for settings").with("file", out.name_);
  if (xml.starts_with("\xFF\xFE")) {
    out.source_ = core::utf8_from_utf16le(core::as_bytes(xml.substr(2)));
  } else {
    out.source_ = xml.starts_with("\xEF\xBB\xBF") ? xml.substr(3) : xml;
  }
  if (!core::utf16le_from_utf8(out.source_) || out.source_.find('\0') != std::string::npos) {
    return fail("bcd.xml-malformed", "the text is not UTF-8").with("file", out.name_);
  }
  out.document_ = std::make_unique<pugi::xml_document>();
  const auto parsed =
      out.document_->load_buffer(out.source_.data(), out.source_.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) {
    return fail("bcd.xml-malformed", parsed.description())
        .with("file", out.name_)
        .with("line", out.line_of(parsed.offset));
  }
  std::size_t roots = 0;
  for (const pugi::xml_node& node : out.document_->children()) roots += node.type() == pugi::node_element ? 1 : 0;
  if (roots != 1) return fail("bcd.xml-malformed", "there is more than one root element").with("file", out.name_);
  return out;
}

std::size_t XmlDocument::line_of(std::ptrdiff_t offset) const {
  const auto end =
      static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(offset, 0, static_cast<std::ptrdiff_t>(source_.size())));
  return 1 + static_cast<std::size_t>(
                 std::count(source_.begin(), source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
}

core::Failure XmlDocument::fail_at(ErrorId id, const pugi::xml_node& node, std::string detail) const {
  return fail(id, std::move(detail)).with("file", name_).with("line", line_of(node.offset_debug()));
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
