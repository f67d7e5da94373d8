// SPDX-License-Identifier: GPL-3.0-or-later
// What can be wrong with a catalog, with who signed it, and with the means of signing.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::trust {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"catalog.malformed", "The image's catalog is not a well-formed signed trust list",
     "The image is damaged or was not made by an FFU tool; get it again from its source.", core::FaultClass::image},
    {"catalog.no-digest", "The image's catalog names no digest of the hash table",
     "The catalog is not one of an FFU image; build or sign the image again.", core::FaultClass::image},
    {"catalog.digest-unsupported", "The catalog's digest of the hash table is of a kind that is not supported",
     "Build the catalog again with SHA-1 or SHA-256.", core::FaultClass::image},
    {"catalog.digest-mismatch", "The catalog's digest is not that of the image's hash table",
     "The image was changed after its catalog was made; get it again from its source.", core::FaultClass::image},
    {"trust.unsigned", "The image is not signed", "Sign the image with `imprint ffu sign`, or ask for a signed one.",
     core::FaultClass::image},
    {"trust.several-signers", "The image's catalog has more than one signer",
     "Have the image signed anew by exactly one signer.", core::FaultClass::image},
    {"trust.signature-invalid", "The image's signature is not right",
     "The image was changed after signing or was signed wrongly; get it again from its source.",
     core::FaultClass::image},
    {"trust.signer-not-listed", "The image's signer is not in this station's list of signers",
     "Have a listed signer sign it, or add the certificate's SHA-256 to signers.txt in the trust directory.",
     core::FaultClass::image},
    {"trust.key-too-weak", "A key or digest in the image's signature or its certificates is too weak",
     "Have the image signed with RSA of at least 2048 bits or an elliptic curve, and SHA-256.",
     core::FaultClass::image},
    {"trust.wrong-usage", "A certificate in the signer's chain is not meant for signing code",
     "Have the image signed with a certificate for code signing.", core::FaultClass::image},
    {"trust.root-unknown", "The signer's certificate leads to no root that this station trusts",
     "Put the right root into the trust directory, or ask for an image from a signer that is trusted here.",
     core::FaultClass::image},
    {"trust.chain-invalid", "The chain of certificates from the signer to its root does not hold",
     "Have the image signed again with its complete and correct chain of certificates.", core::FaultClass::image},
    {"trust.test-root", "The image is signed under a test root, which the retail policy refuses",
     "Ask for an image that is signed for production, or use the test policy where test images are meant.",
     core::FaultClass::image},
    {"trust.self-signed-signer", "The image's signer is a root itself or signed by itself, which retail refuses",
     "Have the image signed by a certificate that a production root has issued.", core::FaultClass::image},
    {"trust.expired", "A certificate of the signer's chain has expired",
     "Check this machine's clock; if it is right, have the image signed with a valid certificate.",
     core::FaultClass::image},
    {"trust.not-yet-valid", "A certificate of the signer's chain is not valid yet",
     "Check this machine's clock; if it is right, wait or have the image signed with a valid certificate.",
     core::FaultClass::image},
    {"trust.revoked", "A certificate of the signer's chain has been revoked",
     "Do not flash this image; ask for one from a signer that is still trusted.", core::FaultClass::image},
    {"trust.revocation-unknown", "A revocation list in the trust directory is out of date or not right",
     "Put a current revocation list of that issuer into the trust directory's crl folder.", core::FaultClass::station},
    {"trust.store-unreadable", "The trust directory cannot be read",
     "Mend or remove the file that is named; roots and revocation lists are PEM files.", core::FaultClass::station},
    {"sign.key-unreadable", "The signing key cannot be read", "Give a private key in PEM form that this user may read.",
     core::FaultClass::operator_},
    {"sign.key-encrypted", "The signing key is protected by a passphrase, which cannot be asked for here",
     "Give the key without a passphrase, in a file that only this user may read.", core::FaultClass::operator_},
    {"sign.certificate-unreadable", "The signing certificate cannot be read",
     "Give the signer's certificate in PEM form, first in the file, with its issuers after it.",
     core::FaultClass::operator_},
    {"sign.key-mismatch", "The signing key does not belong to the certificate",
     "Give the key and the certificate that were made for each other.", core::FaultClass::operator_},
    {"sign.failed", "Making the catalog or its signature failed",
     "See the detail; check the key, its kind and the time.", core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::trust
