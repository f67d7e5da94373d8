// SPDX-License-Identifier: GPL-3.0-or-later
// Control requests, decoded and answered.
#include "devices/virtual/usbip_control.hpp"

#include <algorithm>

#include "devices/virtual/usb_descriptors.hpp"

namespace imprint::virtual_device {
namespace {

// bmRequestType of the requests that are known: direction, type and recipient together.
enum RequestType : std::uint8_t {
  to_device = 0x00,
  to_interface = 0x01,
  to_endpoint = 0x02,
  class_to_interface = 0x21,
  from_device = 0x80,
  from_interface = 0x81,
  from_endpoint = 0x82
};
enum RequestCode : std::uint8_t {
  get_status = 0,
  clear_feature = 1,
  set_feature = 3,
  get_descriptor = 6,
  get_configuration = 8,
  set_configuration = 9,
  get_interface = 10,
  set_interface = 11,
  set_control_line_state = 0x22
};
constexpr std::uint16_t kEndpointHalt = 0;  // feature selector

}  // namespace

struct ControlEndpoint::Request {
  std::uint8_t type;
  std::uint8_t code;
  std::uint16_t value;
  std::uint16_t index;
  std::uint16_t length;
};

std::optional<ControlEndpoint::Answer> ControlEndpoint::answer(const Setup& setup) {
  const Request request{.type = setup[0],
                        .code = setup[1],
                        .value = core::load_le<std::uint16_t>(&setup[2]),
                        .index = core::load_le<std::uint16_t>(&setup[4]),
                        .length = core::load_le<std::uint16_t>(&setup[6])};
  std::optional<Answer> out;
  switch (request.type) {
    case to_device:
    case from_device:
      out = answer_device(request);
      break;
    case to_interface:
    case from_interface:
    case class_to_interface:
      out = answer_interface(request);
      break;
    case to_endpoint:
    case from_endpoint:
      out = answer_endpoint(request);
      break;
    default:
      break;
  }
  if (out && out->data.size() > request.length) out->data.resize(request.length);
  return out;
}

std::optional<ControlEndpoint::Answer> ControlEndpoint::answer_device(const Request& request) {
  const bool in = request.type == from_device;
  if (in && request.code == get_status) return Answer{.data = {0, 0}};  // powered by the bus
  if (in && request.code == get_configuration) {
    return Answer{.data = {configured_ ? kConfigurationValue : std::uint8_t{0}}};
  }
  if (in && request.code == get_descriptor) {
    auto descriptor = find_descriptor(identity_, request.value);
    if (!descriptor) return std::nullopt;
    return Answer{.data = std::move(*descriptor)};
  }
  if (!in && request.code == set_configuration && request.value <= kConfigurationValue) {
    configured_ = request.value == kConfigurationValue;
    return clear_halts();
  }
  return std::nullopt;
}

std::optional<ControlEndpoint::Answer> ControlEndpoint::answer_interface(const Request& request) {
  if (!configured_ || request.index != 0) return std::nullopt;
  if (request.type == class_to_interface) {
    if (request.code == set_control_line_state) return Answer{};
    return std::nullopt;
  }
  const bool in = request.type == from_interface;
  if (in && request.code == get_status) return Answer{.data = {0, 0}};
  if (in && request.code == get_interface) return Answer{.data = {0}};
  if (!in && request.code == set_interface && request.value == 0) return clear_halts();
  return std::nullopt;
}

std::optional<ControlEndpoint::Answer> ControlEndpoint::answer_endpoint(const Request& request) {
  const auto endpoint = static_cast<std::uint8_t>(request.index & 0xFF);
  const bool in = request.type == from_endpoint;
  if (request.index > 0xFF) return std::nullopt;
  if ((endpoint & 0x7FU) == 0) {  // endpoint 0 has no halt that lasts
    if (in && request.code == get_status) return Answer{.data = {0, 0}};
    return std::nullopt;
  }
  if (!configured_ || (endpoint != kBulkIn && endpoint != kBulkOut)) return std::nullopt;
  if (in && request.code == get_status)
    return Answer{.data = {halted(endpoint) ? std::uint8_t{1} : std::uint8_t{0}, 0}};
  if (in || request.value != kEndpointHalt) return std::nullopt;
  if (request.code == set_feature) {
    halted(endpoint) = true;
    return Answer{};
  }
  if (request.code == clear_feature) {
    halted(endpoint) = false;
    return Answer{.data = {}, .cleared_halt = endpoint == kBulkIn};
  }
  return std::nullopt;
}

bool& ControlEndpoint::halted(std::uint8_t endpoint) { return endpoint == kBulkIn ? in_halted_ : out_halted_; }

ControlEndpoint::Answer ControlEndpoint::clear_halts() {
  const bool was_halted = in_halted_;
  in_halted_ = false;
  out_halted_ = false;
  return {.data = {}, .cleared_halt = was_halted};
}

}  // namespace imprint::virtual_device
