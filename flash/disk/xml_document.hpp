// SPDX-License-Identifier: GPL-3.0-or-later
// XML files of an OEM workspace, with errors that name file and line: an engineer mends the file, not the program.
#pragma once

#include <string>
#include <string_view>

#include "flash/core/result.hpp"
#include "flash/core/xml_document.hpp"
#include "flash/disk/errors.hpp"

namespace imprint::disk {

class XmlDocument : public core::XmlDocument {
 public:
  // `workspace.xml-malformed` with file and line.
  [[nodiscard]] static core::Result<XmlDocument> parse(std::string_view xml, std::string_view name);

  // A failure at this node: detail, file, line and the element's name.
  [[nodiscard]] core::Failure fail_at(const pugi::xml_node& node, ErrorId id, std::string detail) const;
  // `workspace.value-invalid` unless the root has this local name and this namespace.
  [[nodiscard]] core::Status expect_root(std::string_view expected_name, std::string_view namespace_uri) const;

 private:
  explicit XmlDocument(core::XmlDocument&& document) : core::XmlDocument(std::move(document)) {}
};

}  // namespace imprint::disk
