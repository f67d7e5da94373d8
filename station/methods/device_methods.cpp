// SPDX-License-Identifier: GPL-3.0-or-later
// The station's ports: what stands where, and why something cannot be used.
#include "devices/protocol/port_path.hpp"
#include "station/errors.hpp"
#include "station/methods/call.hpp"
#include "station/ports/port_view.hpp"

namespace imprint::station::methods {
namespace {

ports::PortView view_of(const Call& call) {
  const line::Line& line = call.station().line;
  ports::PortView view = call.station().look_at_ports(*line.slot_map());
  view.training = line.configuration()->station.training;
  view.at_station = line.slots();
  return view;
}

core::Result<json::value> list(Call& call) {
  IMPRINT_CHECK(call.params().finish());
  return ports::list_json(view_of(call));
}

core::Result<json::value> why(Call& call) {
  const devices::PortPath port{call.params().text("port")};
  IMPRINT_CHECK(call.params().finish());
  if (!is_port_path(port) && !call.station().line.slot_map()->slot_of(port))
    return station::fail("usage.invalid", "a port is a text like 1-2.4").with("actual", port.text);
  return ports::why_json(view_of(call), port);
}

constexpr NamedHandler kHandlers[] = {{"devices.list", list}, {"devices.why", why}};

}  // namespace

Handler device_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
