// SPDX-License-Identifier: GPL-3.0-or-later
// BCD settings from outside: what merges must be writable, and what does not must leave the store alone.
#include <cstdlib>

#include "flash/bcd/boot_configuration.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bcd::Store store;
  const auto status =
      bcd::merge_boot_configuration(store, core::as_text({data, size}), "fuzz.xml",
                                    [](std::string_view) { return std::optional<bcd::Device>(bcd::Device{}); });
  if (!status && !store.objects().empty()) std::abort();
  if (status) static_cast<void>(store.to_hive());
  return 0;
}
