// SPDX-License-Identifier: GPL-3.0-or-later
// The signer's certificate by the catalog's own words.
#include "flash/trust/named_signer.hpp"

#include "flash/trust/catalog.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/signature.hpp"

namespace imprint::trust {

std::optional<Certificate> named_signer(core::ByteView catalog) {
  const ErrorQueueGuard guard;
  const auto content = read_catalog(catalog);
  if (!content || !content->is_signed) return std::nullopt;
  const auto signature = CatalogSignature::read(*content);
  if (!signature) return std::nullopt;
  return describe(signature->signer());
}

}  // namespace imprint::trust
