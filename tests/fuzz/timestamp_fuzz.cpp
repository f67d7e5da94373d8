// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as a timestamp, and a good timestamp changed anywhere, in a catalog and on the way into one: no other time
// than the authority's ever counts.
#include <cstdlib>

#include "flash/trust/timestamp.hpp"
#include "trust_seed.hpp"

using namespace imprint;

namespace {

void judge(core::ByteView token) {
  const auto& seed = fuzz::trust_seed();
  const auto decision = seed.judge(seed.with(token));
  if (decision.timestamp && *decision.timestamp != seed.then) std::abort();
  if (decision.accepted && !decision.timestamp) std::abort();
  const auto added = trust::add_timestamp(seed.catalog, token);
  if (added && !trust::read_catalog(*added)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  judge({data, size});
  judge(fuzz::changed_by({data, size}, fuzz::trust_seed().token));
  return 0;
}
