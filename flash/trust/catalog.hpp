// SPDX-License-Identifier: GPL-3.0-or-later
// What an FFU catalog says: a PKCS#7 signedData around a Microsoft certificate trust list, with one member that holds
// the digest of the hash table. Source: PKCS#7 (RFC 2315) section 9; the trust list as FFU tools write it,
// docs/formats.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::trust {

enum class DigestAlgorithm : std::uint8_t { sha1, sha256 };
[[nodiscard]] std::string_view to_string(DigestAlgorithm algorithm);

// Views point into the catalog that was read.
struct CatalogContent {
  core::ByteView encoded;           // ContentInfo alone, without the padding that may follow
  core::ByteView trust_list;        // the trust list SEQUENCE with its tag and length
  core::ByteView signed_octets;     // the same without tag and length: what a signature's message digest covers
  std::uint64_t digest_offset = 0;  // of the digest's octets, from the catalog's start
  DigestAlgorithm algorithm = DigestAlgorithm::sha1;
  core::ByteView digest;
  std::uint64_t member_offset = 0;  // of the tag of the member that holds the digest
  bool is_tagged = false;           // that member is tagged HashTable.blob
  bool is_signed = false;           // there is signer info; nothing is said of its being right
};

// No catalog of an image comes near this: a bigger one is refused before it is looked at.
inline constexpr std::size_t kMaxCatalogBytes = 16U << 20;

// `catalog.malformed`, `catalog.no-digest`, `catalog.digest-unsupported`, each with the offset. Zeros may follow the
// catalog, nothing else. Of several members the one tagged HashTable.blob counts; a single one may have any tag
// here (see check_tag). Skipped whole: certificates and signer info; of the trust list its version, identifier,
// sequence number, times, algorithm and extensions; of the member every attribute but its indirect data.
[[nodiscard]] core::Result<CatalogContent> read_catalog(core::ByteView catalog);

// `catalog.no-digest` for a lone member with another tag: its digest may have been made for another file that happens
// to have these bytes. What is signed, or whose signature is checked, has to pass.
[[nodiscard]] core::Status check_tag(const CatalogContent& content);

// The digest of a hash table by the catalog's algorithm.
[[nodiscard]] core::ByteBuffer table_digest(core::ByteView hash_table, DigestAlgorithm algorithm);

// The DER of the object id of a trust list as PKCS#7 content, tag and length included.
[[nodiscard]] core::ByteView trust_list_oid();

}  // namespace imprint::trust
