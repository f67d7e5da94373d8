// SPDX-License-Identifier: GPL-3.0-or-later
// The errors of workspace files, with file and line.
#include "flash/disk/xml_document.hpp"

#include <utility>

#include "flash/core/text.hpp"

namespace imprint::disk {

core::Result<XmlDocument> XmlDocument::parse(std::string_view xml, std::string_view name) {
  auto document = core::XmlDocument::parse(xml, name);
  if (document) return XmlDocument(*std::move(document));
  auto failure = fail("workspace.xml-malformed", document.error().detail).with("file", core::printable(name));
  if (document.error().line) return std::move(failure).with("line", *document.error().line);
  return failure;
}

core::Failure XmlDocument::fail_at(const pugi::xml_node& node, ErrorId id, std::string detail) const {
  return fail(id, std::move(detail)).with("file", name()).with("line", line_of(node)).with("element", local_name(node));
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

}  // namespace imprint::disk
