// SPDX-License-Identifier: GPL-3.0-or-later
// From a product's file to the recipe that attempts follow.
#pragma once

#include "flash/core/result.hpp"
#include "station/config/product_file.hpp"
#include "station/recipe.hpp"

namespace imprint::station::line {

// Reads the layout and platform files that the product names: their errors, with the file.
[[nodiscard]] core::Result<Recipe> recipe_of(const config::ProductFile& product);

}  // namespace imprint::station::line
