// SPDX-License-Identifier: GPL-3.0-or-later
// Words of the file to values of the engine.
#include "station/line/recipe_of.hpp"

namespace imprint::station::line {
namespace {

engine::FlashPolicy::ReadBack read_back_of(config::ReadBack value) {
  switch (value) {
    case config::ReadBack::where_possible:
      return engine::FlashPolicy::ReadBack::where_possible;
    case config::ReadBack::off:
      return engine::FlashPolicy::ReadBack::off;
    case config::ReadBack::required:
      break;
  }
  return engine::FlashPolicy::ReadBack::required;
}

}  // namespace

core::Result<Recipe> recipe_of(const config::ProductFile& product) {
  Recipe recipe;
  recipe.product = product.name;
  recipe.policy = product.policy;
  recipe.flash.read_back = read_back_of(product.read_back);
  if (product.least_pace_within.count() > 0)
    recipe.flash.least_pace = {product.least_pace_bytes, product.least_pace_within};
  if (product.layout) {
    IMPRINT_TRY(recipe.layout, disk::read_device_layout(*product.layout));
  }
  if (product.platform) {
    IMPRINT_TRY(recipe.platform, disk::read_device_platform(*product.platform));
  }
  recipe.check_bcd = product.check_bcd;
  if (product.recovery)
    recipe.recovery = *product.recovery == config::Recovery::winre ? inspect::RecoveryProfile::winre
                                                                   : inspect::RecoveryProfile::iot_mmos;
  recipe.after_pass = product.after_pass == config::AfterPass::reboot ? AfterPass::reboot : AfterPass::nothing;
  recipe.reboot_time = product.reboot_time;
  return recipe;
}

}  // namespace imprint::station::line
