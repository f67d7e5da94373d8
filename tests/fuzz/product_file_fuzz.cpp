// SPDX-License-Identifier: GPL-3.0-or-later
// Product files: a value or complaints, never both and never neither, places that lie in the text, and one line each.
#include <algorithm>
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"
#include "station/config/product_file.hpp"

using namespace imprint;
using namespace imprint::station::config;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = core::as_text(core::ByteView(data, size));
  const auto parsed = parse_product_file(text, "k.toml");
  if (parsed.value.has_value() != parsed.complaints.empty()) std::abort();
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  for (const Complaint& complaint : parsed.complaints) {
    // Vertical tabs and other breaks that the library counts as lines make more of them, never more than characters.
    if (complaint.place.line > std::max(lines, size + 1)) std::abort();
    const std::string line = complaint.to_line();
    if (core::printable(line) != line || complaint.remedy().empty()) std::abort();
  }
  if (parsed.value) {
    if (parsed.value->name.empty() || parsed.value->protocols.empty()) std::abort();
    if (parsed.value->normalised() != parse_product_file(text, "other/k.toml").value->normalised()) std::abort();
  }
  return 0;
}
