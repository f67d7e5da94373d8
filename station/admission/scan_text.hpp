// SPDX-License-Identifier: GPL-3.0-or-later
// What a scanner sends, made into what stands on the label.
#pragma once

#include <string>
#include <string_view>

#include "flash/core/result.hpp"

namespace imprint::station::admission {

inline constexpr std::size_t kMaxScanBytes = 512;    // as it comes
inline constexpr std::size_t kMaxSerialBytes = 128;  // what is left of it

struct ScanText {
  std::string text;       // printable ASCII, 1 to kMaxSerialBytes characters
  std::string symbology;  // "]C1" where the scanner sends one (ISO/IEC 15424), empty otherwise
};

// Takes off line ends, blanks around and the symbology identifier. `serial.unreadable` for nothing, for too much, and
// for a control character or one beyond ASCII within: a scanner with the wrong keyboard layout sends such, and so does
// a label with several fields (GS between them), of which a part must not pass for the whole.
[[nodiscard]] core::Result<ScanText> read_scan(std::string_view raw);

}  // namespace imprint::station::admission
