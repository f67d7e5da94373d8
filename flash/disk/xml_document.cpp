// SPDX-License-Identifier: GPL-3.0-or-later
// pugixml behind errors with file and line.
#include "flash/disk/xml_document.hpp"

#include <algorithm>
#include <cstddef>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"

namespace imprint::disk {
namespace {

// pugixml counts offsets in the text it parsed, so the text is made UTF-8 here and not inside of it.
std::string to_utf8(std::string_view xml) {
  if (xml.starts_with("\xFF\xFE")) return core::utf8_from_utf16le(core::as_bytes(xml.substr(2)));
  if (xml.starts_with("\xEF\xBB\xBF")) return std::string(xml.substr(3));
  return std::string(xml);
}

std::size_t line_at(std::string_view text, std::ptrdiff_t offset) {
  const auto end = std::clamp<std::ptrdiff_t>(offset, 0, static_cast<std::ptrdiff_t>(text.size()));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + end, '\n'));
}

}  // namespace

core::Result<XmlDocument> XmlDocument::parse(std::string_view xml, std::string_view name) {
  XmlDocument out;
  out.name_ = name;
  out.text_ = to_utf8(xml);
  const auto result =
      out.document_->load_buffer(out.text_.data(), out.text_.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!result) {
    return fail("workspace.xml-malformed", result.description())
        .with("file", name)
        .with("line", line_at(out.text_, result.offset));
  }
  return out;
}

std::size_t XmlDocument::line_of(const pugi::xml_node& node) const { return line_at(text_, node.offset_debug()); }

core::Failure XmlDocument::fail_at(const pugi::xml_node& node, ErrorId id, std::string detail) const {
  return fail(id, std::move(detail)).with("file", name_).with("line", line_of(node)).with("element", local_name(node));
}

core::Status XmlDocument::expect_root(std::string_view expected_name, std::string_view namespace_uri) const {
  if (local_name(root()) != expected_name) {
    return fail_at(root(), "workspace.value-invalid", "the root element should be " + std::string(expected_name));
  }
  if (root_namespace() != namespace_uri) {
    return fail_at(root(), "workspace.value-invalid", "the namespace should be " + std::string(namespace_uri));
  }
  return {};
}

std::string_view XmlDocument::local_name(const pugi::xml_node& node) {
  const std::string_view full = node.name();
  const std::size_t colon = full.find(':');
  return colon == std::string_view::npos ? full : full.substr(colon + 1);
}

std::string_view XmlDocument::root_namespace() const {
  const std::string_view full = root().name();
  const std::size_t colon = full.find(':');
  if (colon == std::string_view::npos) return root().attribute("xmlns").value();
  return root().attribute(("xmlns:" + std::string(full.substr(0, colon))).c_str()).value();
}

}  // namespace imprint::disk
