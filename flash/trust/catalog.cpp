// SPDX-License-Identifier: GPL-3.0-or-later
// Walks a catalog's DER to the digest of the hash table, and writes the unsigned catalog.
#include "flash/trust/catalog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/der.hpp"
#include "flash/trust/errors.hpp"
#include "flash/trust/signing.hpp"

namespace imprint::trust {
namespace {

using der::copy;
using der::Element;
using der::Reader;

// Object ids with their tag and length.
constexpr std::array<std::uint8_t, 11> kSignedDataOid{0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02};
constexpr std::array<std::uint8_t, 11> kTrustListOid{0x06, 0x09, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x0A, 0x01};
constexpr std::array<std::uint8_t, 12> kCatalogListOid{0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                       0x01, 0x82, 0x37, 0x0C, 0x01, 0x01};
constexpr std::array<std::uint8_t, 12> kCatalogMemberOid{0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                         0x01, 0x82, 0x37, 0x0C, 0x01, 0x02};
constexpr std::array<std::uint8_t, 12> kIndirectDataOid{0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                        0x01, 0x82, 0x37, 0x02, 0x01, 0x04};
constexpr std::array<std::uint8_t, 12> kSpcLinkOid{0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                   0x01, 0x82, 0x37, 0x02, 0x01, 0x19};
constexpr std::array<std::uint8_t, 12> kMemberInfoOid{0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                      0x01, 0x82, 0x37, 0x0C, 0x02, 0x02};
constexpr std::array<std::uint8_t, 7> kSha1Oid{0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A};
constexpr std::array<std::uint8_t, 11> kSha256Oid{0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01};

constexpr std::string_view kMemberTag{"HashTable.blob\0", 15};
constexpr std::string_view kMemberGuid = "{DE351A42-8E59-11D0-8C47-00C04FC295EE}";
constexpr std::uint16_t kMemberVersion = 0x200;

core::Failure malformed(std::string detail, std::uint64_t offset) {
  return fail("catalog.malformed", std::move(detail)).with("offset", offset);
}

bool same(core::ByteView a, core::ByteView b) { return std::ranges::equal(a, b); }

core::ByteBuffer utf16(std::string_view ascii) {
  core::ByteBuffer out;
  for (const char c : ascii) out.insert(out.end(), {static_cast<std::uint8_t>(c), 0});
  return out;
}

core::ByteBuffer utf16_big_endian(std::string_view ascii) {
  core::ByteBuffer out;
  for (const char c : ascii) out.insert(out.end(), {0, static_cast<std::uint8_t>(c)});
  return out;
}

struct SignedDataParts {
  Element trust_list;
  bool is_signed = false;
};

// SignedData: version 1, digest algorithms, content info, certificates and revocation lists if any, signer infos.
core::Result<SignedDataParts> read_signed_data(const Element& signed_data) {
  SignedDataParts out;
  Reader fields(signed_data);
  IMPRINT_TRY(const Element version, fields.next(der::kInteger, "the signed data's version"));
  if (version.content.size() != 1 || version.content[0] != 1) {
    return malformed("the signed data's version is not 1", version.offset);
  }
  IMPRINT_CHECK(fields.next(der::kSet, "the set of digest algorithms"));
  IMPRINT_TRY(const Element content_info, fields.next(der::kSequence, "the content info"));
  Reader content(content_info);
  IMPRINT_TRY(const Element content_type, content.next(der::kObjectId, "the content type"));
  if (!same(content_type.whole, kTrustListOid)) return malformed("the content is no trust list", content_type.offset);
  IMPRINT_TRY(const Element holder, content.next(der::kContext0, "the content"));
  IMPRINT_CHECK(content.finish("the content"));
  Reader held(holder);
  IMPRINT_TRY(out.trust_list, held.next(der::kSequence, "the trust list"));
  IMPRINT_CHECK(held.finish("the trust list"));
  for (const std::uint8_t optional : {der::kContext0, der::kContext1}) {
    if (fields.next_is(optional)) IMPRINT_CHECK(fields.next());
  }
  IMPRINT_TRY(const Element signers, fields.next(der::kSet, "the set of signers"));
  IMPRINT_CHECK(fields.finish("the set of signers"));
  out.is_signed = !signers.content.empty();
  return out;
}

// The trust list's members, in an element whose content is a sequence of them; nothing when the list has none.
core::Result<std::optional<Element>> read_members(const Element& trust_list) {
  Reader fields(trust_list);
  if (fields.next_is(der::kInteger)) IMPRINT_CHECK(fields.next());  // version, by default 1
  IMPRINT_TRY(const Element usages, fields.next(der::kSequence, "the trust list's usage"));
  Reader usage_reader(usages);
  IMPRINT_TRY(const Element usage, usage_reader.next(der::kObjectId, "the trust list's usage"));
  if (!same(usage.whole, kCatalogListOid)) return malformed("the trust list is no catalog", usage.offset);
  IMPRINT_CHECK(usage_reader.finish("the trust list's one usage"));
  if (fields.next_is(der::kOctetString)) IMPRINT_CHECK(fields.next());  // list identifier
  if (fields.next_is(der::kInteger)) IMPRINT_CHECK(fields.next());      // sequence number
  if (fields.next_is(der::kGeneralizedTime)) {
    IMPRINT_CHECK(fields.next());
  } else {
    IMPRINT_CHECK(fields.next(der::kUtcTime, "the trust list's time"));
  }
  if (fields.next_is(der::kUtcTime) || fields.next_is(der::kGeneralizedTime)) IMPRINT_CHECK(fields.next());
  IMPRINT_CHECK(fields.next(der::kSequence, "the trust list's algorithm"));
  std::optional<Element> members;
  if (fields.next_is(der::kSequence)) {
    IMPRINT_TRY(members, fields.next());
  }
  if (fields.next_is(der::kContext0)) IMPRINT_CHECK(fields.next());  // extensions
  IMPRINT_CHECK(fields.finish("the trust list's fields"));
  return members;
}

struct Member {
  Element tag;
  Element attributes;
  bool is_tagged = false;
};

// The member that speaks of the hash table. A signer may have put other files into the same catalog: then only the tag
// tells which digest is meant, and a guess could take the digest of a file that somebody else chose.
core::Result<Member> find_member(const Element& members) {
  const core::ByteBuffer wanted = utf16(kMemberTag);
  std::optional<Member> tagged;
  std::optional<Member> first;
  bool several = false;
  Reader reader(members);
  while (!reader.at_end()) {
    IMPRINT_TRY(const Element entry, reader.next(der::kSequence, "a member"));
    Reader fields(entry);
    Member member;
    IMPRINT_TRY(member.tag, fields.next(der::kOctetString, "a member's tag"));
    IMPRINT_TRY(member.attributes, fields.next(der::kSet, "a member's attributes"));
    IMPRINT_CHECK(fields.finish("a member's attributes"));
    member.is_tagged = same(member.tag.content, wanted);
    several = first.has_value();
    if (!first) first = member;
    if (!member.is_tagged) continue;
    if (tagged) {
      return fail("catalog.no-digest", "two members are tagged HashTable.blob").with("offset", member.tag.offset);
    }
    tagged = member;
  }
  if (tagged) return *tagged;
  if (first && !several) return *first;
  return fail("catalog.no-digest", first ? "none of several members is tagged HashTable.blob" : "there is no member")
      .with("offset", members.offset);
}

// The value of the member's indirect data attribute: SEQUENCE { data, DigestInfo }.
core::Result<Element> find_indirect_data(const Element& attributes) {
  std::optional<Element> found;
  Reader reader(attributes);
  while (!reader.at_end()) {
    IMPRINT_TRY(const Element attribute, reader.next(der::kSequence, "an attribute"));
    Reader fields(attribute);
    IMPRINT_TRY(const Element type, fields.next(der::kObjectId, "an attribute's type"));
    IMPRINT_TRY(const Element values, fields.next(der::kSet, "an attribute's values"));
    IMPRINT_CHECK(fields.finish("an attribute's values"));
    if (!same(type.whole, kIndirectDataOid)) continue;
    if (found) return malformed("a member has its indirect data twice", attribute.offset);
    Reader value_reader(values);
    IMPRINT_TRY(found, value_reader.next(der::kSequence, "the indirect data"));
    IMPRINT_CHECK(value_reader.finish("the indirect data"));
  }
  if (!found) return fail("catalog.no-digest", "the member has no indirect data").with("offset", attributes.offset);
  return *found;
}

core::Status read_digest_info(const Element& indirect_data, CatalogContent& out) {
  Reader fields(indirect_data);
  IMPRINT_CHECK(fields.next(der::kSequence, "the indirect data's kind"));
  IMPRINT_TRY(const Element info, fields.next(der::kSequence, "the digest info"));
  IMPRINT_CHECK(fields.finish("the digest info"));
  Reader info_fields(info);
  IMPRINT_TRY(const Element algorithm, info_fields.next(der::kSequence, "the digest's algorithm"));
  IMPRINT_TRY(const Element digest, info_fields.next(der::kOctetString, "the digest"));
  IMPRINT_CHECK(info_fields.finish("the digest"));
  Reader algorithm_fields(algorithm);
  IMPRINT_TRY(const Element type, algorithm_fields.next(der::kObjectId, "the digest's algorithm"));
  if (algorithm_fields.next_is(der::kNull)) IMPRINT_CHECK(algorithm_fields.next());
  IMPRINT_CHECK(algorithm_fields.finish("the digest's algorithm"));
  std::size_t size = 0;
  if (same(type.whole, kSha1Oid)) {
    out.algorithm = DigestAlgorithm::sha1;
    size = core::Sha1{}.size();
  } else if (same(type.whole, kSha256Oid)) {
    out.algorithm = DigestAlgorithm::sha256;
    size = core::Sha256{}.size();
  } else {
    return fail("catalog.digest-unsupported", "object id " + core::to_hex(type.content)).with("offset", type.offset);
  }
  if (digest.content.size() != size) {
    return malformed("the digest's length does not fit its algorithm", digest.offset)
        .with("expected", size)
        .with("actual", digest.content.size());
  }
  out.digest = digest.content;
  out.digest_offset = digest.content_offset();
  return {};
}

// UTCTime knows the years 1950 to 2049 only; later ones take a GeneralizedTime, as certificates do.
core::Result<core::ByteBuffer> time_element(core::UtcTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  const int year = static_cast<int>(date.year());
  if (year < 1950 || year > 9999) return fail("sign.failed", "the time is outside of the years 1950 to 9999");
  const std::string rest =
      fmt::format("{:02}{:02}{:02}{:02}{:02}Z", static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (year < 2050) {
    return der::element(der::kUtcTime, core::as_bytes(fmt::format("{:02}", year % 100) + rest));
  }
  return der::element(der::kGeneralizedTime, core::as_bytes(fmt::format("{:04}", year) + rest));
}

core::ByteBuffer algorithm_oid(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::sha1 ? copy(kSha1Oid) : copy(kSha256Oid);
}

core::ByteBuffer member_element(core::ByteView digest, DigestAlgorithm algorithm) {
  const auto indirect_data = der::element(
      der::kSequence,
      {der::element(der::kSequence, {copy(kSpcLinkOid), {der::kContext2, 0x02, 0x80, 0x00}}),
       der::element(der::kSequence, {der::element(der::kSequence, {algorithm_oid(algorithm), {der::kNull, 0x00}}),
                                     der::element(der::kOctetString, digest)})});
  const auto info = der::element(der::kSequence, {der::element(der::kBmpString, utf16_big_endian(kMemberGuid)),
                                                  {der::kInteger, 0x02, kMemberVersion >> 8, kMemberVersion & 0xFF}});
  // A SET OF is sorted by its encodings: the indirect data is the shorter of the two, with either digest, and comes
  // first.
  const auto attributes = der::element(
      der::kSet, {der::element(der::kSequence, {copy(kIndirectDataOid), der::element(der::kSet, indirect_data)}),
                  der::element(der::kSequence, {copy(kMemberInfoOid), der::element(der::kSet, info)})});
  return der::element(der::kSequence, {der::element(der::kOctetString, utf16(kMemberTag)), attributes});
}

}  // namespace

std::string_view to_string(DigestAlgorithm algorithm) { return algorithm == DigestAlgorithm::sha1 ? "sha1" : "sha256"; }

core::ByteView trust_list_oid() { return kTrustListOid; }

core::ByteBuffer table_digest(core::ByteView hash_table, DigestAlgorithm algorithm) {
  if (algorithm == DigestAlgorithm::sha1) return copy(core::sha1(hash_table));
  return copy(core::sha256(hash_table));
}

core::Result<CatalogContent> read_catalog(core::ByteView catalog) {
  if (catalog.size() > kMaxCatalogBytes) {
    return malformed("it is larger than a catalog can be", 0)
        .with("size", catalog.size())
        .with("limit", kMaxCatalogBytes);
  }
  Reader file(catalog, 0);
  IMPRINT_TRY(const Element content_info, file.next(der::kSequence, "the catalog"));
  const core::ByteView padding = file.rest();
  const auto foreign = std::ranges::find_if(padding, [](std::uint8_t byte) { return byte != 0; });
  if (foreign != padding.end()) {
    return malformed("something other than zeros follows the catalog",
                     file.offset() + static_cast<std::uint64_t>(foreign - padding.begin()));
  }
  CatalogContent out;
  out.encoded = content_info.whole;
  Reader fields(content_info);
  IMPRINT_TRY(const Element type, fields.next(der::kObjectId, "the catalog's type"));
  if (!same(type.whole, kSignedDataOid)) return malformed("the catalog is no PKCS#7 signed data", type.offset);
  IMPRINT_TRY(const Element holder, fields.next(der::kContext0, "the signed data"));
  IMPRINT_CHECK(fields.finish("the signed data"));
  Reader held(holder);
  IMPRINT_TRY(const Element signed_data, held.next(der::kSequence, "the signed data"));
  IMPRINT_CHECK(held.finish("the signed data"));
  IMPRINT_TRY(const SignedDataParts parts, read_signed_data(signed_data));
  out.trust_list = parts.trust_list.whole;
  out.signed_octets = parts.trust_list.content;
  out.is_signed = parts.is_signed;
  IMPRINT_TRY(const std::optional<Element> members, read_members(parts.trust_list));
  if (!members) {
    return fail("catalog.no-digest", "the trust list has no members").with("offset", parts.trust_list.offset);
  }
  IMPRINT_TRY(const Member member, find_member(*members));
  out.is_tagged = member.is_tagged;
  out.member_offset = member.tag.offset;
  IMPRINT_TRY(const Element indirect_data, find_indirect_data(member.attributes));
  IMPRINT_CHECK(read_digest_info(indirect_data, out));
  return out;
}

core::Status check_tag(const CatalogContent& content) {
  if (content.is_tagged) return {};
  return fail("catalog.no-digest", "its one member is not tagged HashTable.blob").with("offset", content.member_offset);
}

core::Result<core::ByteBuffer> build_catalog(core::ByteView hash_table, core::UtcTime made, DigestAlgorithm algorithm) {
  IMPRINT_TRY(const core::ByteBuffer time, time_element(made));
  const core::ByteBuffer digest = table_digest(hash_table, algorithm);
  // The list's identifier has only to be unlike others': it follows from what the list says, so that the same table at
  // the same time gives the same bytes.
  core::ByteBuffer identity = digest;
  identity.insert(identity.end(), time.begin(), time.end());
  const core::Sha256 identifier = core::sha256(identity);
  const auto trust_list =
      der::element(der::kSequence, {der::element(der::kSequence, kCatalogListOid),
                                    der::element(der::kOctetString, core::ByteView(identifier).first(16)), time,
                                    der::element(der::kSequence, {copy(kCatalogMemberOid), {der::kNull, 0x00}}),
                                    der::element(der::kSequence, member_element(digest, algorithm))});
  const auto signed_data = der::element(
      der::kSequence, {{der::kInteger, 0x01, 0x01},
                       {der::kSet, 0x00},
                       der::element(der::kSequence, {copy(kTrustListOid), der::element(der::kContext0, trust_list)}),
                       {der::kSet, 0x00}});
  return der::element(der::kSequence, {copy(kSignedDataOid), der::element(der::kContext0, signed_data)});
}

}  // namespace imprint::trust
