// SPDX-License-Identifier: GPL-3.0-or-later
// The signer that the options of `imprint ffu sign` name, with its passphrase or PIN from a file or the terminal.
#pragma once

#include "flash/core/result.hpp"
#include "flash/trust/signing.hpp"
#include "station/cli/commands.hpp"

namespace imprint::station::cli {

// A key or a PKCS#12 file is among the options. Asks at the terminal only when a secret is needed and no file has it;
// an empty answer is `job.cancelled`. `sign.*`.
[[nodiscard]] core::Result<trust::Signer> open_signer(const FfuSignOptions& options);

}  // namespace imprint::station::cli
