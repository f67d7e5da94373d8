// SPDX-License-Identifier: GPL-3.0-or-later
// imprint virtual-device plug, unplug: simulated devices into the slots of a station for training that runs.
#include <boost/json/array.hpp>

#include "station/cli/device_commands.hpp"
#include "station/cli/station_client.hpp"

namespace imprint::station::cli {

ExitStatus plug_virtual_device(const PlugOptions& options) {
  boost::json::object params{{"slot", options.slot}, {"number", options.number}};
  if (options.protocol) params["protocol"] = *options.protocol;
  if (options.serial) params["serial"] = *options.serial;
  if (options.platform_id) params["platform"] = *options.platform_id;
  if (options.disk_bytes) params["disk_bytes"] = *options.disk_bytes;
  if (options.sector_size) params["sector_bytes"] = *options.sector_size;
  if (options.bytes_per_second) params["bytes_per_second"] = *options.bytes_per_second;
  if (options.latency_ms) params["latency_ms"] = *options.latency_ms;
  if (!options.faults.empty()) params["faults"] = boost::json::array(options.faults.begin(), options.faults.end());
  return call_station(options.station, {.method = "training.plug", .params = std::move(params)});
}

ExitStatus unplug_virtual_device(const PlugOptions& options) {
  return call_station(options.station, {.method = "training.unplug", .params = {{"slot", options.slot}}});
}

}  // namespace imprint::station::cli
