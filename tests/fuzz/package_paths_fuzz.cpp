// SPDX-License-Identifier: GPL-3.0-or-later
// Paths and macros of package definitions: whatever comes out stays inside of its partition.
#include <cstdint>
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "flash/imaging/workspace.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imprint;
  const auto expanded = imaging::expand_macros(core::as_text({data, size}), {{"oem", "Acorn"}, {"up", ".."}});
  if (!expanded) return 0;
  const auto path = imaging::partition_path(*expanded);
  if (!path) return 0;
  const bool escapes = path->starts_with("../") || *path == ".." || path->find("/../") != std::string::npos ||
                       path->ends_with("/..") || path->starts_with('/') || path->find('\\') != std::string::npos ||
                       path->find(':') != std::string::npos;
  if (escapes) std::abort();
  return 0;
}
