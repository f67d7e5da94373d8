// SPDX-License-Identifier: GPL-3.0-or-later
// The checks of a timestamp, in order: form, whose signature it is of, the authority's own signature, time and chain.
#include "flash/trust/timestamp_answer.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "flash/trust/certificates.hpp"
#include "flash/trust/chain.hpp"
#include "flash/trust/reasons.hpp"
#include "flash/trust/timestamp_token.hpp"

namespace imprint::trust {
namespace {

TimestampAnswer not_counted(const std::string& why) {
  return {std::nullopt, {good("the timestamp is NOT COUNTED: " + why)}};
}

}  // namespace

TimestampAnswer check_timestamp(const CatalogSignature& signature, Policy policy, const TrustStore::Contents& trust,
                                core::UtcTime now) {
  const auto tokens = signature.timestamps();
  if (tokens.empty()) return {};
  if (tokens.size() > 1) return not_counted("there are " + std::to_string(tokens.size()) + " of them");
  const auto token = TimestampToken::read(tokens.front());
  if (!token) return not_counted(token.error().detail());
  if (!token->is_of(signature.value())) {
    return {std::nullopt, {bad("trust.timestamp-mismatch", "the timestamp was made for another signature")}};
  }
  const auto authority = token->verify();
  if (!authority) return not_counted(authority.error().detail());
  const std::string said = core::to_iso8601(token->time()) + " by " + subject_of(authority->get());
  if (token->time() > now) return not_counted("it is later than this machine's clock: " + said);
  const ChainAnswer chain =
      check_chain({authority->get(), token->certificates(), ChainUse::timestamping, token->time(), now}, policy, trust);
  const auto wrong = std::ranges::find_if(chain.reasons, [](const Reason& reason) { return !reason.good; });
  if (wrong != chain.reasons.end()) return not_counted(said + ": " + wrong->text);
  TimestampAnswer out{token->time(), {good("the signature was there at " + said)}};
  for (const Reason& reason : chain.reasons) out.reasons.push_back({true, reason.id, "timestamp: " + reason.text});
  return out;
}

}  // namespace imprint::trust
