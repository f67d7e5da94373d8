// SPDX-License-Identifier: GPL-3.0-or-later
// What is wrong with a whole configuration, the files included that it names.
#pragma once

#include <filesystem>
#include <vector>

#include "flash/core/clock.hpp"
#include "flash/core/result.hpp"
#include "station/config/configuration.hpp"

namespace imprint::station::cli {

struct CheckedConfiguration {
  config::Configuration configuration;
  std::size_t slot_lines = 0;
  config::Complaints complaints;  // those of the configuration, and of everything that it names
};

// station.toml and products, the slot map, the trust folder, rule files, images in the store and beside it. Changes
// nothing. `io.*` where a configuration file or folder cannot be read.
[[nodiscard]] core::Result<CheckedConfiguration> check_configuration(const std::vector<std::filesystem::path>& folders,
                                                                     core::UtcTime now);

}  // namespace imprint::station::cli
