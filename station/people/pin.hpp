// SPDX-License-Identifier: GPL-3.0-or-later
// PINs: what one has to look like, and the text that is stored in its place (scrypt, RFC 7914, through OpenSSL).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "flash/core/result.hpp"
#include "flash/trust/secret.hpp"

namespace imprint::station::people {

struct PinRules {
  unsigned min_length = 6;
  unsigned max_length = 16;
};
// Digits only; not one digit throughout, not a run up or down (123456, 987654), not a short group repeated (121212).
// `people.pin-refused`; the PIN is in no error.
[[nodiscard]] core::Status check_pin(const trust::Secret& pin, const PinRules& rules);

// What a hash costs: 128 * r * 2^log2_n bytes and p times that much work. The default takes 32 MiB for a moment.
struct ScryptCost {
  unsigned log2_n = 15;
  unsigned r = 8;
  unsigned p = 1;
  friend bool operator==(const ScryptCost&, const ScryptCost&) = default;
};

// "$imprint-pin$1$15$8$1$SALT$HASH": version, log2 N, r, p, and salt and hash in lower-case hex. A new salt each time.
// Blocking for some 100 ms: not for the event loop. `people.hash-failed`.
[[nodiscard]] core::Result<std::string> hash_pin(const trust::Secret& pin, const ScryptCost& cost = {});
// Is it this PIN? In time that does not depend on where they differ. As slow as hash_pin; a stored text that asks for
// more than 256 MiB or 8 passes is `people.credential-damaged`, as is every other that hash_pin would not have written.
[[nodiscard]] core::Result<bool> is_pin(const trust::Secret& pin, std::string_view stored);
// As slow as a true check and always false: for a name that nobody has, so that names cannot be found out by time.
[[nodiscard]] core::Result<bool> check_nobody(const trust::Secret& pin, const ScryptCost& cost = {});
// Was it stored with another cost than this? Then it is to be hashed anew at the next sign-in.
[[nodiscard]] bool is_outdated(std::string_view stored, const ScryptCost& cost = {});

}  // namespace imprint::station::people
