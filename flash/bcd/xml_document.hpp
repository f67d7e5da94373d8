// SPDX-License-Identifier: GPL-3.0-or-later
// XML from outside, parsed once, whose nodes know their line: an error in a settings file has to be found by a person.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <pugixml.hpp>

#include "flash/bcd/errors.hpp"

namespace imprint::bcd {

// Name without a namespace prefix.
[[nodiscard]] std::string_view local_name(const pugi::xml_node& node);

class XmlDocument {
 public:
  // UTF-8 with or without a byte order mark, or UTF-16 little-endian with one. `name` is the file's, for errors.
  // `bcd.xml-malformed`, with the line.
  [[nodiscard]] static core::Result<XmlDocument> parse(std::string_view xml, std::string_view name);

  [[nodiscard]] pugi::xml_node root() const { return document_->document_element(); }
  [[nodiscard]] core::Failure fail_at(ErrorId id, const pugi::xml_node& node, std::string detail) const;

  // The elements in `node`; text beside them is `bcd.xml-malformed`.
  [[nodiscard]] core::Result<std::vector<pugi::xml_node>> elements(const pugi::xml_node& node) const;
  // The only element in `node`.
  [[nodiscard]] core::Result<pugi::xml_node> only_element(const pugi::xml_node& node) const;
  // The text of `node`, which must hold nothing else but comments.
  [[nodiscard]] core::Result<std::string> text(const pugi::xml_node& node) const;

 private:
  [[nodiscard]] std::size_t line_of(std::ptrdiff_t offset) const;

  std::string source_;
  std::string name_;
  std::unique_ptr<pugi::xml_document> document_;  // nodes point into it, so it stays where it is when this is moved
};

}  // namespace imprint::bcd
