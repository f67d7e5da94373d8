// SPDX-License-Identifier: GPL-3.0-or-later
// station.toml: a value or complaints, and a value that keeps its bounds.
#include <cstdlib>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"
#include "station/config/station_file.hpp"

using namespace imprint;
using namespace imprint::station::config;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = parse_station_file(core::as_text(core::ByteView(data, size)), "/etc/station.toml");
  if (parsed.value.has_value() != parsed.complaints.empty()) std::abort();
  for (const Complaint& complaint : parsed.complaints) {
    const std::string line = complaint.to_line();
    if (core::printable(line) != line) std::abort();
  }
  if (!parsed.value) return 0;
  const StationFile& station = *parsed.value;
  if (station.id.empty() || station.id.find('/') != std::string::npos || station.max_clients == 0 ||
      station.max_request < 4096 || station.pin.min_length < 4 || !station.records.is_absolute() ||
      station.zone.starts_with('/') || station.zone.find("..") != std::string::npos)
    std::abort();
  return 0;
}
