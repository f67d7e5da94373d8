// SPDX-License-Identifier: GPL-3.0-or-later
// Parsing with pugixml, and the line of each node. pugixml takes any bytes for text and stops at a NUL without a word,
// so both are refused before it runs.
#include "flash/core/xml_document.hpp"

#include <algorithm>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"

namespace imprint::core {
namespace {

constexpr std::size_t kMaxXmlSize = 16U << 20;

// pugixml counts offsets in the text it parsed, so the text is made UTF-8 here and not inside of it.
std::string to_utf8(std::string_view xml) {
  if (xml.starts_with("\xFF\xFE")) return utf8_from_utf16le(as_bytes(xml.substr(2)));
  if (xml.starts_with("\xEF\xBB\xBF")) xml.remove_prefix(3);
  return std::string(xml);
}

std::size_t line_at(std::string_view text, std::ptrdiff_t offset) {
  const auto end = std::clamp<std::ptrdiff_t>(offset, 0, static_cast<std::ptrdiff_t>(text.size()));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + end, '\n'));
}

std::unexpected<XmlDocument::Problem> problem(std::string detail, std::optional<std::size_t> line = std::nullopt) {
  return std::unexpected(XmlDocument::Problem{std::move(detail), line});
}

}  // namespace

std::expected<XmlDocument, XmlDocument::Problem> XmlDocument::parse(std::string_view xml, std::string_view name) {
  XmlDocument out;
  out.name_ = printable(name);
  if (xml.size() > kMaxXmlSize) return problem("the file is too large for settings");
  out.text_ = to_utf8(xml);
  if (!utf16le_from_utf8(out.text_) || out.text_.find('\0') != std::string::npos) {
    return problem("the text is neither UTF-8 nor UTF-16 with a byte order mark");
  }
  const auto result =
      out.document_->load_buffer(out.text_.data(), out.text_.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!result) return problem(result.description(), line_at(out.text_, result.offset));
  const auto is_element = [](const pugi::xml_node& node) { return node.type() == pugi::node_element; };
  if (std::ranges::count_if(out.document_->children(), is_element) != 1) {
    return problem("there is more than one root element");
  }
  return out;
}

std::size_t XmlDocument::line_of(const pugi::xml_node& node) const { return line_at(text_, node.offset_debug()); }

std::string_view XmlDocument::local_name(const pugi::xml_node& node) {
  const std::string_view full = node.name();
  const std::size_t colon = full.rfind(':');
  return colon == std::string_view::npos ? full : full.substr(colon + 1);
}

std::string_view XmlDocument::root_namespace() const {
  const std::string_view full = root().name();
  const std::size_t colon = full.rfind(':');
  if (colon == std::string_view::npos) return root().attribute("xmlns").value();
  return root().attribute(("xmlns:" + std::string(full.substr(0, colon))).c_str()).value();
}

}  // namespace imprint::core
