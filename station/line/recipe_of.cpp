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

engine::Erasure erasure_of(const config::ProductFile& product) {
  switch (product.erase) {
    case config::Erasure::discard:
      return engine::Erasure::discard;
    case config::Erasure::secure_discard:
      return engine::Erasure::secure_discard;
    case config::Erasure::zero:
      return product.verify_erasure ? engine::Erasure::verified : engine::Erasure::zero;
    case config::Erasure::none:
      break;
  }
  return engine::Erasure::none;
}

engine::AfterPass after_pass_of(config::AfterPass value) {
  switch (value) {
    case config::AfterPass::reboot:
      return engine::AfterPass::reboot;
    case config::AfterPass::power_off:
      return engine::AfterPass::power_off;
    case config::AfterPass::mass_storage:
      return engine::AfterPass::mass_storage;
    case config::AfterPass::nothing:
      break;
  }
  return engine::AfterPass::nothing;
}

// For the engine, erasing and the device's confirmation are parts of the write.
engine::PhaseLimits limits_of(const config::ProductFile& product) {
  engine::PhaseLimits limits;
  limits.identify = product.deadlines.identify;
  limits.admit = product.deadlines.admit;
  limits.finish = product.deadlines.finish;
  limits.confirm = product.deadlines.confirm;
  // A rework erases in any case.
  limits.write = product.deadlines.erase + product.deadlines.write + product.deadlines.confirm;
  limits.read_back = product.deadlines.read_back;
  limits.inspect = product.deadlines.inspect;
  return limits;
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
  recipe.flash.write_mode =
      product.write == config::WriteMode::differing ? engine::WriteMode::differing : engine::WriteMode::everything;
  recipe.flash.erasure = erasure_of(product);
  recipe.flash.rework_erasure =
      product.rework_erase == config::Erasure::secure_discard ? engine::Erasure::secure_discard : engine::Erasure::zero;
  recipe.flash.refit_gpt = product.refit_gpt;
  recipe.flash.retries.times = product.retries.count;
  if (!product.retries.errors.empty()) recipe.flash.retries.worth = product.retries.errors;
  recipe.flash.limits = limits_of(product);
  recipe.flash.after_pass = after_pass_of(product.after_pass);
  recipe.stagger = {product.starts_at_once, product.start_stagger};
  recipe.reboot_time = product.reboot_time;
  return recipe;
}

}  // namespace imprint::station::line
