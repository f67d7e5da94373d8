// SPDX-License-Identifier: GPL-3.0-or-later
// Any text as an exported head, and a good one with bytes exchanged: what is taken is what the station would write.
#include <cstdlib>

#include "db/chain_head.hpp"
#include "flash/core/bytes.hpp"

using namespace imprint;

namespace {

void read(std::string_view text) {
  const auto head = db::parse_chain_head(text);
  if (!head) return;
  const std::string written = db::to_text(*head);
  if (written != text && written + "\n" != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read(core::as_text({data, size}));
  db::ChainHead good;
  good.station = "line-3";
  good.seq = 4711;
  good.head = std::string(64, 'a');
  std::string text = db::to_text(good);
  for (std::size_t i = 0; i + 1 < size; i += 2) text[data[i] % text.size()] = static_cast<char>(data[i + 1]);
  read(text);
  return 0;
}
