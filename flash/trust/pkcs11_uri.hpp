// SPDX-License-Identifier: GPL-3.0-or-later
// Where a key on a token is: the pkcs11 URI (RFC 7512).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::trust {

// What is given has to fit; what is not given may be anything. Texts are decoded.
struct Pkcs11Uri {
  std::optional<std::string> token;  // the token's label
  std::optional<std::string> manufacturer;
  std::optional<std::string> model;
  std::optional<std::string> serial;
  std::optional<std::uint64_t> slot_id;
  std::optional<std::string> object;  // the key's label
  std::optional<core::ByteBuffer> id;
  std::optional<std::filesystem::path> module_path;
  std::optional<std::string> module_name;           // without "lib" and ".so"
  std::optional<std::filesystem::path> pin_source;  // a file whose first line is the PIN

  // `sign.uri-malformed`, with the offset, for anything that is not understood: an attribute that was passed over would
  // choose another key. `sign.pin-in-uri` for pin-value. Neither shows a value of the URI.
  [[nodiscard]] static core::Result<Pkcs11Uri> parse(std::string_view uri);
};

// Does the text begin like one? The scheme's case does not matter.
[[nodiscard]] bool is_pkcs11_uri(std::string_view text);

}  // namespace imprint::trust
