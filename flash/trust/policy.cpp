// SPDX-License-Identifier: GPL-3.0-or-later
// The decision: catalog, hash table, signature, signer, timestamp and chain, in this order, each with its reason.
#include "flash/trust/policy.hpp"

#include <algorithm>
#include <utility>

#include "flash/core/text.hpp"
#include "flash/trust/catalog.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/chain.hpp"
#include "flash/trust/reasons.hpp"
#include "flash/trust/signature.hpp"
#include "flash/trust/timestamp_answer.hpp"
#include "flash/trust/trust_contents.hpp"

namespace imprint::trust {
namespace {

bool add_table(const ffu::Image& image, const CatalogContent& content, Decision& decision) {
  const std::string algorithm(to_string(content.algorithm));
  const std::string expected = core::to_hex(content.digest);
  decision.table_digest = algorithm + ":" + expected;
  const std::string actual = core::to_hex(table_digest(image.hash_table, content.algorithm));
  if (actual != expected) {
    decision.reasons.push_back(
        bad("catalog.digest-mismatch", "the catalog has " + decision.table_digest + ", the hash table " + actual));
    return false;
  }
  decision.reasons.push_back(good("the catalog's " + algorithm + " digest is that of the hash table"));
  return true;
}

void add_signer(const CatalogContent& content, const TrustStore::Contents& trust, core::UtcTime now,
                Decision& decision) {
  if (!content.is_signed) {
    decision.reasons.push_back(bad("trust.unsigned", "the catalog has no signer"));
    return;
  }
  const auto signature = CatalogSignature::read(content);
  if (!signature) {
    decision.reasons.push_back(reason_from(signature.error()));
    return;
  }
  decision.signer = describe(signature->signer());
  if (const auto status = signature->verify(content.signed_octets); !status) {
    decision.reasons.push_back(reason_from(status.error()));
    return;  // nothing else that the catalog says of its signer is worth a look
  }
  decision.reasons.push_back(
      good("the signature is right (" + signature->algorithm() + ") and was made by " + decision.signer->subject));
  if (trust.signers) {
    const bool listed = trust.signers->contains(decision.signer->sha256);
    decision.reasons.push_back(
        listed ? good("the signer is in the list of signers")
               : bad("trust.signer-not-listed", decision.signer->subject + ", SHA-256 " + decision.signer->sha256));
  }
  TimestampAnswer timestamp = check_timestamp(*signature, decision.policy, trust, now);
  decision.timestamp = timestamp.time;
  std::ranges::move(timestamp.reasons, std::back_inserter(decision.reasons));
  ChainAnswer chain = check_chain(
      {signature->signer(), signature->certificates(), ChainUse::code_signing, decision.timestamp.value_or(now), now},
      decision.policy, trust);
  decision.root = std::move(chain.root);
  std::ranges::move(chain.reasons, std::back_inserter(decision.reasons));
}

}  // namespace

std::string_view to_string(Policy policy) {
  switch (policy) {
    case Policy::retail:
      return "retail";
    case Policy::test:
      return "test";
    case Policy::none:
      return "none";
  }
  return "retail";
}

std::optional<Policy> parse_policy(std::string_view text) {
  for (const Policy policy : {Policy::retail, Policy::test, Policy::none}) {
    if (text == to_string(policy)) return policy;
  }
  return std::nullopt;
}

core::Error Decision::refusal() const {
  const auto reason = std::ranges::find_if(reasons, [](const Reason& candidate) { return !candidate.good; });
  if (reason != reasons.end()) {
    for (const core::ErrorRow& row : kErrorRows) {
      if (row.id == reason->id) return core::Error(row, reason->text);
    }
  }
  return core::Error(ErrorId("trust.signature-invalid").row(), "no check has confirmed it");
}

Decision decide(const ffu::Image& image, Policy policy, const TrustStore& trust, core::UtcTime now) {
  Decision decision;
  decision.policy = policy;
  const auto content = read_catalog(image.catalog);
  if (!content) {
    decision.reasons.push_back(reason_from(content.error()));
    return decision;
  }
  if (!add_table(image, *content, decision)) return decision;
  if (policy == Policy::none) {
    decision.reasons.push_back(
        good("NO SIGNATURE WAS CHECKED: the policy is none, and anybody can have made this image"));
  } else {
    if (const auto status = check_tag(*content); !status) decision.reasons.push_back(reason_from(status.error()));
    add_signer(*content, trust.contents(), now, decision);
  }
  decision.accepted = std::ranges::all_of(decision.reasons, [](const Reason& reason) { return reason.good; });
  return decision;
}

}  // namespace imprint::trust
