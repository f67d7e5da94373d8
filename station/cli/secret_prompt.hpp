// SPDX-License-Identifier: GPL-3.0-or-later
// Asks for a passphrase or PIN at the terminal, without showing it.
#pragma once

#include <optional>
#include <string_view>

#include "flash/core/result.hpp"
#include "flash/trust/secret.hpp"

namespace imprint::station::cli {

// The line that was typed; nothing where the program has no terminal. The echo is back on every way out, also when a
// signal ends the program meanwhile. Not for several threads. `job.cancelled` at the end of input (Ctrl-D).
[[nodiscard]] core::Result<std::optional<trust::Secret>> ask_secret(std::string_view question);

}  // namespace imprint::station::cli
