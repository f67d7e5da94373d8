// SPDX-License-Identifier: GPL-3.0-or-later
// What a target does that has nothing better.
#include "flash/engine/target.hpp"

#include "flash/engine/errors.hpp"

namespace imprint::engine {

core::Status Target::power_off() { return fail("device.after-pass-unsupported", "it cannot be powered off"); }
core::Status Target::switch_to_mass_storage() {
  return fail("device.after-pass-unsupported", "it has no mass-storage mode to be switched to");
}

core::Result<std::unique_ptr<QueuedDisk>> Target::open_queue() {
  IMPRINT_TRY(auto source, open_disk());
  const std::uint64_t size = source->size();
  return one_by_one(size, nullptr, std::move(source));
}

core::Result<std::unique_ptr<QueuedDisk>> BlockTarget::open_queue_for_writing() {
  IMPRINT_TRY(auto sink, open_for_writing());
  IMPRINT_TRY(auto source, open_disk());
  const std::uint64_t size = source->size();
  return one_by_one(size, std::move(sink), std::move(source));
}

}  // namespace imprint::engine
