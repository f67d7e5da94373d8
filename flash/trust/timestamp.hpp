// SPDX-License-Identifier: GPL-3.0-or-later
// Timestamps for a signed catalog (RFC 3161): the request that is sent to an authority, and its answer put into the
// catalog. The sending is the caller's, with `openssl ts` or curl.
#pragma once

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::trust {

// A TimeStampReq in DER over the SHA-256 of the catalog's signature, which asks for the authority's certificate.
// Without a nonce, so that the same catalog gives the same bytes. `trust.unsigned` and what reading a catalog gives.
[[nodiscard]] core::Result<core::ByteBuffer> timestamp_request(core::ByteView catalog);

// The catalog with the token as an unsigned attribute of its signature, in the place of any that is there; nothing else
// is changed. `token`: DER, an authority's whole answer (TimeStampResp) or the token in it. The authority is not judged
// here. `sign.timestamp-unreadable`, `sign.timestamp-refused`, `sign.timestamp-mismatch`, `trust.unsigned` and what
// reading a catalog gives.
[[nodiscard]] core::Result<core::ByteBuffer> add_timestamp(core::ByteView catalog, core::ByteView token);

}  // namespace imprint::trust
