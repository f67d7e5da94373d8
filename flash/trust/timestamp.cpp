// SPDX-License-Identifier: GPL-3.0-or-later
// Makes timestamp requests, and puts tokens into a catalog by rewriting only the lengths around them, so that every
// signed byte stays where a signer put it.
#include "flash/trust/timestamp.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "flash/core/digest.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/der.hpp"
#include "flash/trust/errors.hpp"
#include "flash/trust/signature.hpp"
#include "flash/trust/timestamp_token.hpp"

namespace imprint::trust {
namespace {

using der::copy;
using der::Element;
using der::Reader;

void append(core::ByteBuffer& out, core::ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

core::Result<CatalogSignature> read_signature(core::ByteView catalog) {
  IMPRINT_TRY(const CatalogContent content, read_catalog(catalog));
  if (!content.is_signed) return fail("trust.unsigned", "the catalog has no signer");
  return CatalogSignature::read(content);
}

core::Failure unreadable(std::string detail) { return fail("sign.timestamp-unreadable", std::move(detail)); }

// An answer is a sequence of a status, itself a sequence, and the token; a token alone begins with an object id.
core::Result<core::ByteView> token_in(core::ByteView answer) {
  Reader file(answer, 0);
  auto outer = file.next(der::kSequence, "the timestamp");
  if (!outer) return unreadable({}).caused_by(std::move(outer).error());
  if (!file.at_end()) return unreadable("something follows it");
  Reader fields(*outer);
  if (!fields.next_is(der::kSequence)) return answer;
  auto status_info = fields.next();
  if (!status_info) return unreadable({}).caused_by(std::move(status_info).error());
  Reader status_fields(*status_info);
  auto status = status_fields.next(der::kInteger, "the answer's status");
  if (!status) return unreadable({}).caused_by(std::move(status).error());
  // 0 granted, 1 granted with changes; everything else is a refusal.
  const bool granted = status->content.size() == 1 && status->content[0] <= 1;
  if (!granted) {
    const std::string number = status->content.size() == 1 ? std::to_string(status->content[0]) : "unknown";
    return fail("sign.timestamp-refused", "the answer's status is " + number);
  }
  if (fields.at_end()) return unreadable("the answer holds no token");
  return fields.rest();
}

bool is_timestamp_attribute(const Element& attribute) {
  const auto holds = [&attribute](core::ByteView oid) {
    return attribute.content.size() >= oid.size() && std::ranges::equal(attribute.content.first(oid.size()), oid);
  };
  return holds(microsoft_timestamp_oid()) || holds(standard_timestamp_oid());
}

// The other unsigned attributes as they are, and the token, as [1]. A SET OF is sorted by its encodings.
core::Result<core::ByteBuffer> unsigned_attributes(const std::optional<Element>& old, core::ByteView token) {
  std::vector<core::ByteBuffer> attributes;
  if (old) {
    for (Reader reader(*old); !reader.at_end();) {
      IMPRINT_TRY(const Element attribute, reader.next(der::kSequence, "an unsigned attribute"));
      if (!is_timestamp_attribute(attribute)) attributes.push_back(copy(attribute.whole));
    }
  }
  attributes.push_back(der::element(der::kSequence, {copy(microsoft_timestamp_oid()), der::element(der::kSet, token)}));
  std::ranges::sort(attributes);
  core::ByteBuffer content;
  for (const auto& attribute : attributes) append(content, attribute);
  return der::element(der::kContext1, content);
}

core::Result<core::ByteBuffer> signer_info_with(const Element& signer_info, core::ByteView token) {
  core::ByteBuffer content;
  std::optional<Element> old;
  for (Reader reader(signer_info); !reader.at_end();) {
    IMPRINT_TRY(const Element field, reader.next());
    if (field.tag == der::kContext1) {
      old = field;
    } else {
      append(content, field.whole);
    }
  }
  IMPRINT_TRY(const core::ByteBuffer attributes, unsigned_attributes(old, token));
  append(content, attributes);
  return der::element(der::kSequence, content);
}

// read_catalog has walked the same way down before, all but the set of signers, which has one.
core::Result<core::ByteBuffer> with_token(core::ByteView catalog, core::ByteView token) {
  Reader file(catalog, 0);
  IMPRINT_TRY(const Element content_info, file.next(der::kSequence, "the catalog"));
  Reader fields(content_info);
  IMPRINT_TRY(const Element type, fields.next(der::kObjectId, "the catalog's type"));
  IMPRINT_TRY(const Element holder, fields.next(der::kContext0, "the signed data"));
  Reader held(holder);
  IMPRINT_TRY(const Element signed_data, held.next(der::kSequence, "the signed data"));
  core::ByteBuffer content;
  for (Reader reader(signed_data); !reader.at_end();) {
    IMPRINT_TRY(const Element field, reader.next());
    if (!reader.at_end()) {
      append(content, field.whole);
      continue;
    }
    Reader signers(field);
    IMPRINT_TRY(const Element signer_info, signers.next(der::kSequence, "the signer info"));
    IMPRINT_TRY(const core::ByteBuffer changed, signer_info_with(signer_info, token));
    append(content, der::element(der::kSet, changed));
  }
  return der::element(der::kSequence,
                      {copy(type.whole), der::element(der::kContext0, der::element(der::kSequence, content))});
}

}  // namespace

core::Result<core::ByteBuffer> timestamp_request(core::ByteView catalog) {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const CatalogSignature signature, read_signature(catalog));
  core::Sha256 digest = core::sha256(signature.value());
  const std::unique_ptr<TS_REQ, Freed<TS_REQ_free>> request(TS_REQ_new());
  const std::unique_ptr<TS_MSG_IMPRINT, Freed<TS_MSG_IMPRINT_free>> imprint(TS_MSG_IMPRINT_new());
  const std::unique_ptr<X509_ALGOR, Freed<X509_ALGOR_free>> algorithm(X509_ALGOR_new());
  unsigned char* encoded = nullptr;
  if (!request || !imprint || !algorithm ||
      X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(NID_sha256), V_ASN1_NULL, nullptr) != 1 ||
      TS_MSG_IMPRINT_set_algo(imprint.get(), algorithm.get()) != 1 ||
      TS_MSG_IMPRINT_set_msg(imprint.get(), digest.data(), static_cast<int>(digest.size())) != 1 ||
      TS_REQ_set_version(request.get(), 1) != 1 || TS_REQ_set_msg_imprint(request.get(), imprint.get()) != 1 ||
      TS_REQ_set_cert_req(request.get(), 1) != 1) {
    return fail("sign.failed", "making the timestamp request: " + openssl_reason());
  }
  const int size = i2d_TS_REQ(request.get(), &encoded);
  if (size <= 0) return fail("sign.failed", "encoding the timestamp request: " + openssl_reason());
  const EncodedPtr owner(encoded);
  return core::ByteBuffer(encoded, encoded + size);
}

core::Result<core::ByteBuffer> add_timestamp(core::ByteView catalog, core::ByteView token) {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const CatalogSignature signature, read_signature(catalog));
  IMPRINT_TRY(const core::ByteView bare, token_in(token));
  auto parsed = TimestampToken::read(bare);
  if (!parsed) return unreadable({}).caused_by(std::move(parsed).error());
  if (!parsed->is_of(signature.value())) return fail("sign.timestamp-mismatch");
  if (auto authority = parsed->verify(); !authority) return unreadable({}).caused_by(std::move(authority).error());
  IMPRINT_TRY(core::ByteBuffer out, with_token(catalog, bare));
  if (auto status = read_signature(out); !status) {
    return fail("sign.failed", "the catalog with the timestamp cannot be read").caused_by(std::move(status).error());
  }
  return out;
}

}  // namespace imprint::trust
