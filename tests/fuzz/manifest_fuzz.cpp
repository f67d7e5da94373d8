// SPDX-License-Identifier: GPL-3.0-or-later
// Manifests from any text: what is read is written and read again as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "flash/ffu/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imprint;
  const auto manifest = ffu::parse_manifest(core::as_text({data, size}));
  if (!manifest) return 0;
  const auto again = ffu::parse_manifest(ffu::format_manifest(manifest->sections));
  if (!again || again->sections.size() != manifest->sections.size()) std::abort();
  for (std::size_t i = 0; i < again->sections.size(); ++i) {
    if (again->sections[i].name != manifest->sections[i].name) std::abort();
    if (again->sections[i].values != manifest->sections[i].values) std::abort();
  }
  return 0;
}
