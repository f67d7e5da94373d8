// SPDX-License-Identifier: GPL-3.0-or-later
// imprint station audit verify without a station: the records' chain against a head that was kept, and the head against
// the station's key.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "flash/core/result.hpp"
#include "station/cli/console.hpp"
#include "station/cli/station_client.hpp"

namespace imprint::station::cli {

struct KeptHead {
  std::string text;
  std::string signature;  // empty where it came without
};
// A head's text, or @FILE with it: the text alone, the last lines of a printed shift report, or the object that
// `imprint station audit head --json` or `imprint report shift --format json` printed.
[[nodiscard]] core::Result<KeptHead> read_head(const std::string& text);

struct ProofOptions {
  std::filesystem::path database;  // empty: only the signature is checked here, and the station is asked for the rest
  std::optional<std::string> head;
  std::optional<std::filesystem::path> key;  // public
  bool json = false;
};
ExitStatus prove_records(const ProofOptions& options, const StationOptions& station);

}  // namespace imprint::station::cli
