// SPDX-License-Identifier: GPL-3.0-or-later
// Boot settings as XML, with errors that name file and line, and the shapes that the schema is made of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flash/bcd/errors.hpp"
#include "flash/core/xml_document.hpp"

namespace imprint::bcd {

class XmlDocument : public core::XmlDocument {
 public:
  // `bcd.xml-malformed`, with file and line.
  [[nodiscard]] static core::Result<XmlDocument> parse(std::string_view xml, std::string_view name);

  [[nodiscard]] core::Failure fail_at(ErrorId id, const pugi::xml_node& node, std::string detail) const;

  // The elements in `node`; text beside them is `bcd.xml-malformed`.
  [[nodiscard]] core::Result<std::vector<pugi::xml_node>> elements(const pugi::xml_node& node) const;
  // The only element in `node`.
  [[nodiscard]] core::Result<pugi::xml_node> only_element(const pugi::xml_node& node) const;
  // The text of `node`, which must hold nothing else but comments.
  [[nodiscard]] core::Result<std::string> text(const pugi::xml_node& node) const;

 private:
  explicit XmlDocument(core::XmlDocument&& document) : core::XmlDocument(std::move(document)) {}
};

}  // namespace imprint::bcd
