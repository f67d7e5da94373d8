// SPDX-License-Identifier: GPL-3.0-or-later
// The decision beside an image: what is taken is written back as what it was, and a withdrawal never gets lost.
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "station/images/image_record.hpp"

using namespace imprint;
using namespace imprint::station::images;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto record = parse_image_record(core::as_text(core::ByteView(data, size)));
  if (!record) return 0;
  const auto again = parse_image_record(to_json(*record));
  if (!again || to_json(*again) != to_json(*record)) std::abort();
  if (again->withdrawn.has_value() != record->withdrawn.has_value() || record->digest.size() != 64) std::abort();
  return 0;
}
