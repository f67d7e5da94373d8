// SPDX-License-Identifier: GPL-3.0-or-later
// XML from outside, parsed once, whose nodes know their line: the error in a settings file has to be found by a person.
// The folders that read such files derive from this and give the errors their own ids. Entities are not expanded and
// nothing outside of the text is read.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <pugixml.hpp>
#include <string>
#include <string_view>

namespace imprint::core {

// Not thread-safe. Nodes stay valid as long as the document lives, also when it is moved.
class XmlDocument {
 public:
  // Why a text was not taken, and where when the place is known.
  struct Problem {
    std::string detail;
    std::optional<std::size_t> line;  // 1-based
  };

  // UTF-8 with or without a byte order mark, or UTF-16 little-endian with one, up to 16 MiB, with exactly one root
  // element. `name` is the file's, for errors.
  [[nodiscard]] static std::expected<XmlDocument, Problem> parse(std::string_view xml, std::string_view name);

  [[nodiscard]] pugi::xml_node root() const { return document_->document_element(); }
  // Printable.
  [[nodiscard]] const std::string& name() const { return name_; }
  // 1-based.
  [[nodiscard]] std::size_t line_of(const pugi::xml_node& node) const;

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

}  // namespace imprint::core
