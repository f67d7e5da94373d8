// SPDX-License-Identifier: GPL-3.0-or-later
// A whole configuration: station.toml and products/*.toml out of several folders, a later folder's file hiding an
// earlier one's of the same name.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "flash/core/error_table.hpp"
#include "flash/core/result.hpp"
#include "station/config/product_file.hpp"
#include "station/config/station_file.hpp"

namespace imprint::station::config {

struct Configuration {
  StationFile station;
  std::vector<ProductFile> products;                // by name, those without complaints
  std::vector<std::filesystem::path> slot_folders;  // slots.d of each folder, for SlotMap::load
  std::vector<std::filesystem::path> files;         // that were read
  Complaints complaints;                            // of all files; a station is not to start a product that has one

  [[nodiscard]] const ProductFile* find(std::string_view product) const;
};

// Where a packaged station keeps its files: share/imprint under the prefix, then /etc/imprint.
[[nodiscard]] std::vector<std::filesystem::path> usual_config_folders();

// Reads what there is; an empty file or a link to /dev/null takes one of its name away, and a folder that is not there
// is empty. Complaints beside those of the files: `config.product-twice`, and `config.conflict` for a product whose
// trust policy is laxer than the station's. `io.*` for what cannot be read.
[[nodiscard]] core::Result<Configuration> load_configuration(const std::vector<std::filesystem::path>& folders,
                                                             std::span<const core::ErrorRow> known_errors = {});

}  // namespace imprint::station::config
