// SPDX-License-Identifier: GPL-3.0-or-later
// Stored PIN texts: whatever stands in the records is judged without a crash. Those that are well-formed cost real work
// when a PIN is held against them, so only cheap ones are; the parser is behind is_outdated() too.
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "station/people/pin.hpp"

using namespace imprint;
using namespace imprint::station::people;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(core::as_text(core::ByteView(data, size)));
  constexpr ScryptCost kCheap{.log2_n = 10, .r = 1, .p = 1};
  const bool cheap = !is_outdated(text, kCheap);
  if (cheap) {
    const auto answer = is_pin(trust::Secret::take("480517"), text);
    if (!answer) std::abort();  // what is not outdated was read
  }
  // Digits of any kind are a PIN or are not, and never an error of another kind.
  const auto rules = check_pin(trust::Secret::take(std::string(text)), PinRules{});
  if (!rules && rules.error().id() != "people.pin-refused") std::abort();
  return 0;
}
