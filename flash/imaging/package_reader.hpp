// SPDX-License-Identifier: GPL-3.0-or-later
// Reads one package definition (*.wm.xml) into a workspace. Private to this folder.
#pragma once

#include <filesystem>
#include <string>

#include "flash/disk/xml_document.hpp"
#include "flash/imaging/workspace.hpp"

namespace imprint::imaging {

class PackageReader {
 public:
  PackageReader(Workspace& workspace, const Variables& variables) : workspace_(workspace), variables_(variables) {}
  [[nodiscard]] core::Status read(const std::filesystem::path& definition);

 private:
  [[nodiscard]] core::Status read_identity(const disk::XmlDocument& xml);
  [[nodiscard]] core::Result<std::size_t> target_partition(const disk::XmlDocument& xml) const;
  [[nodiscard]] core::Status read_files(const disk::XmlDocument& xml, const pugi::xml_node& list,
                                        std::size_t partition);
  [[nodiscard]] core::Status read_file(const disk::XmlDocument& xml, const pugi::xml_node& node, std::size_t partition);
  [[nodiscard]] core::Status read_boot_configuration(const disk::XmlDocument& xml, const pugi::xml_node& node);
  // The attribute with its macros expanded.
  [[nodiscard]] core::Result<std::string> attribute(const disk::XmlDocument& xml, const pugi::xml_node& node,
                                                    const char* name, bool required) const;
  // The file that a source attribute names: it is there, and in the workspace also when links are followed.
  [[nodiscard]] core::Result<std::filesystem::path> source_file(const disk::XmlDocument& xml,
                                                                const pugi::xml_node& node) const;

  Workspace& workspace_;
  const Variables& variables_;
  std::filesystem::path folder_;  // of the definition that is being read
};

}  // namespace imprint::imaging
