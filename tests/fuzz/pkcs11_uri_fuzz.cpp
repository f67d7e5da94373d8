// SPDX-License-Identifier: GPL-3.0-or-later
// Any text as a pkcs11 URI: it is taken apart or refused, and a PIN in it is never taken.
#include <cstdlib>

#include "flash/core/text.hpp"
#include "flash/trust/pkcs11_uri.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = "pkcs11:" + std::string(core::as_text({data, size}));
  const auto uri = trust::Pkcs11Uri::parse(text);
  if (!uri) return 0;
  if (core::to_lower_ascii(text).find("pin-value") != std::string::npos) std::abort();
  if (uri->module_path && (uri->module_name || !uri->module_path->is_absolute())) std::abort();
  if (uri->pin_source && !uri->pin_source->is_absolute()) std::abort();
  for (const auto& field : {uri->token, uri->manufacturer, uri->model, uri->serial, uri->object, uri->module_name}) {
    if (field && (field->empty() || field->find('\0') != std::string::npos)) std::abort();
  }
  return 0;
}
