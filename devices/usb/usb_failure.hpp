// SPDX-License-Identifier: GPL-3.0-or-later
// libusb's codes as the product's errors.
#pragma once

#include <string_view>

#include "devices/protocol/errors.hpp"

namespace imprint::usb {

// `code`: a negative libusb_error; `what`: what was being done.
[[nodiscard]] core::Failure fail_call(int code, std::string_view what);
// `status`: how a transfer ended, as libusb_transfer_status, not LIBUSB_TRANSFER_COMPLETED.
[[nodiscard]] core::Failure fail_transfer(int status, std::string_view what);

}  // namespace imprint::usb
