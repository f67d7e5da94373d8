// SPDX-License-Identifier: GPL-3.0-or-later
// The package schema, as far as this version builds it: files and boot configuration. What it does not build is
// refused, because an image that silently lacks a package's registry keys or drivers is worse than none.
#include "flash/imaging/package_reader.hpp"

#include <algorithm>
#include <array>

#include "flash/core/atomic_file.hpp"
#include "flash/core/text.hpp"
#include "flash/imaging/errors.hpp"

namespace imprint::imaging {

namespace fs = std::filesystem;
using disk::XmlDocument;

namespace {

constexpr std::string_view kNamespace = "urn:Microsoft.CompPlat/ManifestSchema.v1.00";
constexpr std::string_view kDefaultDestination = "$(runtime.system32)";

// Where an error of another function belongs in this definition.
core::Failure located(core::Error error, const XmlDocument& xml, const pugi::xml_node& node) {
  error.add_context("file", xml.name());
  error.add_context("line", std::to_string(xml.line_of(node)));
  return core::Failure(std::move(error));
}

core::Failure own_failure(const XmlDocument& xml, const pugi::xml_node& node, ErrorId id, std::string detail) {
  return located(fail(id, std::move(detail)).error(), xml, node);
}

// The folders of a partition, relative to its root.
const std::string* partition_folder(std::string_view macro) {
  static const std::array<std::pair<std::string_view, std::string>, 4> kFolders{
      {{"runtime.root", ""},
       {"runtime.bootdrive", ""},
       {"runtime.windows", "Windows"},
       {"runtime.system32", "Windows\\System32"}}};
  for (const auto& [name, folder] : kFolders) {
    if (core::equals_ignoring_case(name, macro)) return &folder;
  }
  return nullptr;
}

}  // namespace

core::Result<std::string> expand_macros(std::string_view text, const Variables& variables) {
  std::string out;
  while (!text.empty()) {
    const std::size_t start = text.find("$(");
    out += text.substr(0, start);
    if (start == std::string_view::npos) break;
    const std::size_t end = text.find(')', start);
    if (end == std::string_view::npos) return fail("workspace.macro-unknown", "a macro without its closing bracket");
    const std::string_view name = text.substr(start + 2, end - start - 2);
    const std::string* value = partition_folder(name);
    for (const auto& [key, given] : variables) {
      if (value == nullptr && core::equals_ignoring_case(key, name)) value = &given;
    }
    if (value == nullptr) return fail("workspace.macro-unknown").with("macro", core::printable(name));
    out += *value;
    text.remove_prefix(end + 1);
  }
  return out;
}

core::Status PackageReader::read(const fs::path& definition) {
  IMPRINT_TRY(const auto text, core::read_text_file(definition));
  IMPRINT_TRY(const auto xml, XmlDocument::parse(text, definition.string()));
  IMPRINT_CHECK(xml.expect_root("identity", kNamespace));
  folder_ = definition.parent_path();
  IMPRINT_CHECK(read_identity(xml));
  IMPRINT_TRY(const std::size_t partition, target_partition(xml));
  for (const pugi::xml_node node : xml.root().children()) {
    if (node.type() != pugi::node_element) continue;
    const std::string_view element = XmlDocument::local_name(node);
    if (element == "files") {
      IMPRINT_CHECK(read_files(xml, node, partition));
    } else if (element == "bcdStore") {
      IMPRINT_CHECK(read_boot_configuration(xml, node));
    } else if (element != "onecorePackageInfo") {
      return own_failure(xml, node, "workspace.element-unsupported", std::string(element));
    }
  }
  return {};
}

core::Status PackageReader::read_identity(const XmlDocument& xml) {
  std::string full;
  for (const char* part : {"owner", "namespace", "name"}) {
    IMPRINT_TRY(const auto value, attribute(xml, xml.root(), part, true));
    full += (full.empty() ? "" : ".") + value;
  }
  if (std::find(workspace_.packages_.begin(), workspace_.packages_.end(), full) != workspace_.packages_.end()) {
    return xml.fail_at(xml.root(), "workspace.value-invalid", "another package has this identity")
        .with("package", full);
  }
  workspace_.packages_.push_back(std::move(full));
  return {};
}

core::Result<std::size_t> PackageReader::target_partition(const XmlDocument& xml) const {
  std::string name = "MainOS";
  pugi::xml_node where = xml.root();
  for (const pugi::xml_node node : xml.root().children()) {
    if (XmlDocument::local_name(node) != "onecorePackageInfo") continue;
    IMPRINT_TRY(const auto given, attribute(xml, node, "targetPartition", false));
    if (!given.empty()) name = given;
    where = node;
  }
  const auto& partitions = workspace_.layout_.partitions;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    if (core::equals_ignoring_case(partitions[i].name, name)) return i;
  }
  return own_failure(xml, where, "workspace.partition-unknown", core::printable(name));
}

core::Status PackageReader::read_files(const XmlDocument& xml, const pugi::xml_node& list, std::size_t partition) {
  for (const pugi::xml_node node : list.children()) {
    if (node.type() != pugi::node_element) continue;
    if (XmlDocument::local_name(node) != "file") {
      return own_failure(xml, node, "workspace.element-unsupported", std::string(XmlDocument::local_name(node)));
    }
    IMPRINT_CHECK(read_file(xml, node, partition));
  }
  return {};
}

core::Status PackageReader::read_file(const XmlDocument& xml, const pugi::xml_node& node, std::size_t partition) {
  for (const pugi::xml_attribute given : node.attributes()) {
    const std::string_view name = given.name();
    if (name != "source" && name != "destinationDir" && name != "name") {
      return own_failure(xml, node, "workspace.element-unsupported", "file@" + std::string(name));
    }
  }
  if (workspace_.layout_.partitions[partition].file_system == disk::LayoutFileSystem::none) {
    return xml.fail_at(node, "workspace.value-invalid", "the target partition has no file system")
        .with("partition", workspace_.layout_.partitions[partition].name);
  }
  IMPRINT_TRY(const fs::path source, source_file(xml, node));
  IMPRINT_TRY(std::string destination, attribute(xml, node, "destinationDir", false));
  if (destination.empty()) {
    auto expanded = expand_macros(kDefaultDestination, variables_);
    if (!expanded) return located(std::move(expanded).error(), xml, node);
    destination = std::move(*expanded);
  }
  IMPRINT_TRY(std::string name, attribute(xml, node, "name", false));
  if (name.empty()) {
    // Not the name of the file that a symbolic link leads to: the definition's own word counts.
    IMPRINT_TRY(name, attribute(xml, node, "source", true));
    name.erase(0, name.find_last_of("/\\") + 1);
  }
  if (name.find_first_of("/\\") != std::string::npos) {
    return xml.fail_at(node, "workspace.value-invalid", "a name with a folder in it; use destinationDir");
  }
  auto added = workspace_.trees_[partition].add(destination + "/" + name, source);
  if (!added) return located(std::move(added).error(), xml, node);
  return {};
}

core::Status PackageReader::read_boot_configuration(const XmlDocument& xml, const pugi::xml_node& node) {
  IMPRINT_TRY(const fs::path source, source_file(xml, node));
  IMPRINT_TRY(auto text, core::read_text_file(source));
  const disk::LayoutPartition* system = workspace_.layout_.find("EFIESP");
  if (system == nullptr) {
    return own_failure(xml, node, "workspace.partition-unknown", "a boot configuration needs the partition EFIESP");
  }
  if (system->file_system == disk::LayoutFileSystem::none) {
    return xml.fail_at(node, "workspace.value-invalid", "the boot store needs a file system on the partition EFIESP");
  }
  workspace_.boot_configurations_.push_back({.name = source.string(), .text = std::move(text)});
  return {};
}

core::Result<std::string> PackageReader::attribute(const XmlDocument& xml, const pugi::xml_node& node, const char* name,
                                                   bool required) const {
  const std::string_view raw = core::trimmed(node.attribute(name).value());
  if (raw.empty()) {
    if (required)
      return xml.fail_at(node, "workspace.value-invalid", std::string("the attribute ") + name + " is missing");
    return std::string();
  }
  auto expanded = expand_macros(raw, variables_);
  if (!expanded) return located(std::move(expanded).error(), xml, node);
  return expanded;
}

core::Result<fs::path> PackageReader::source_file(const XmlDocument& xml, const pugi::xml_node& node) const {
  IMPRINT_TRY(std::string text, attribute(xml, node, "source", true));
  std::replace(text.begin(), text.end(), '\\', '/');
  // An absolute path stays absolute here and is then found to lie outside, unless a variable leads back inside.
  const fs::path wanted = (folder_ / text).lexically_normal();
  if (text.size() >= 2 && text[1] == ':') {
    return own_failure(xml, node, "workspace.path-escapes", core::printable(text));
  }
  auto real = workspace_.inside(wanted);
  if (!real) {
    const ErrorId id = real.error().id() == "workspace.path-escapes" ? ErrorId("workspace.path-escapes")
                                                                     : ErrorId("workspace.file-missing");
    return own_failure(xml, node, id, core::printable(text));
  }
  std::error_code error;
  if (!fs::is_regular_file(*real, error))
    return own_failure(xml, node, "workspace.file-missing", core::printable(text));
  return real;
}

}  // namespace imprint::imaging
