// SPDX-License-Identifier: GPL-3.0-or-later
// The USB ids that the station's protocols are known by.
#include "devices/protocol/usb_identity.hpp"

#include <algorithm>
#include <array>

#include "devices/protocol/simple_io_protocol.hpp"
#include "devices/protocol/ufp.hpp"
#include "devices/protocol/ufp_protocol.hpp"

namespace imprint::devices {
namespace {

struct KnownId {
  std::uint16_t vendor_id;
  std::uint16_t product_id;
  Protocol protocol;
};
constexpr auto kKnownIds = [] {
  std::array<KnownId, 1 + ufp::kUsbIds.size()> out{
      KnownId{simple_io::kVendorId, simple_io::kProductId, Protocol::simple_io},
  };
  for (std::size_t i = 0; i < ufp::kUsbIds.size(); ++i)
    out[i + 1] = {ufp::kUsbIds[i].vendor, ufp::kUsbIds[i].product, Protocol::ufp};
  return out;
}();

}  // namespace

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::simple_io:
      return "simple-io";
    case Protocol::ufp:
      return "ufp";
  }
  return "simple-io";
}

std::optional<Protocol> protocol_of(const UsbIdentity& identity) {
  const auto found = std::ranges::find_if(kKnownIds, [&](const KnownId& known) {
    return known.vendor_id == identity.vendor_id && known.product_id == identity.product_id;
  });
  if (found == kKnownIds.end()) return std::nullopt;
  return found->protocol;
}

std::unique_ptr<engine::StreamTarget> make_target(Protocol protocol, std::unique_ptr<Transport> transport,
                                                  SimpleIoOptions options) {
  if (protocol == Protocol::ufp) return std::make_unique<UfpTarget>(std::move(transport));
  return std::make_unique<SimpleIoTarget>(std::move(transport), std::move(options));
}

}  // namespace imprint::devices
