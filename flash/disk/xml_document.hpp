// SPDX-License-Identifier: GPL-3.0-or-later
// XML files of an OEM workspace, parsed so that every complaint can name its file and line: an engineer mends the file,
// not the program. Entities are not expanded and nothing outside of the text is read.
#pragma once

#include <memory>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "flash/core/result.hpp"
#include "flash/disk/errors.hpp"

namespace imprint::disk {

// Not thread-safe. Nodes stay valid as long as the document lives.
class XmlDocument {
 public:
  // UTF-8 or UTF-16 with its mark. `name` is used in errors. `workspace.xml-malformed` with file and line.
  [[nodiscard]] static core::Result<XmlDocument> parse(std::string_view xml, std::string_view name);

  [[nodiscard]] pugi::xml_node root() const { return document_->document_element(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  // 1-based.
  [[nodiscard]] std::size_t line_of(const pugi::xml_node& node) const;
  // A failure at this node: detail, file, line and the element's name.
  [[nodiscard]] core::Failure fail_at(const pugi::xml_node& node, ErrorId id, std::string detail) const;
  // `workspace.value-invalid` unless the root has this local name and this namespace.
  [[nodiscard]] core::Status expect_root(std::string_view local_name, std::string_view namespace_uri) const;

  // An element's name without its namespace prefix.
  [[nodiscard]] static std::string_view local_name(const pugi::xml_node& node);
  // The namespace of the root by its own prefix; empty when there is none.
  [[nodiscard]] std::string_view root_namespace() const;

 private:
  XmlDocument() : document_(std::make_unique<pugi::xml_document>()) {}
  std::unique_ptr<pugi::xml_document> document_;
  std::string name_;
  std::string text_;  // UTF-8: offsets of nodes count in it
};

}  // namespace imprint::disk
