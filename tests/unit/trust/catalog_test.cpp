// SPDX-License-Identifier: GPL-3.0-or-later
// Catalogs built, read, and refused.
#include "flash/trust/catalog.hpp"

#include <catch2/catch.hpp>

#include "flash/core/digest.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/der.hpp"
#include "pki.hpp"

namespace imprint::trust {
namespace {

using core::ByteBuffer;
using core::ByteView;
using testing::kNow;
using testing::must;
using testing::sample_table;

ByteBuffer oid(std::initializer_list<std::uint8_t> content) {
  return der::element(der::kObjectId, ByteBuffer(content));
}
ByteBuffer microsoft(std::initializer_list<std::uint8_t> arcs) {
  ByteBuffer content{0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37};
  content.insert(content.end(), arcs);
  return der::element(der::kObjectId, content);
}
const ByteBuffer kSha1Oid = oid({0x2B, 0x0E, 0x03, 0x02, 0x1A});
const ByteBuffer kSha256Oid = oid({0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01});
const ByteBuffer kMd5Oid = oid({0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x05});

ByteBuffer indirect_data(const ByteBuffer& algorithm, ByteView digest) {
  const auto info = der::element(der::kSequence,
                                 {der::element(der::kSequence, {algorithm}), der::element(der::kOctetString, digest)});
  return der::element(
      der::kSequence,
      {microsoft({0x02, 0x01, 0x04}),
       der::element(der::kSet, {der::element(der::kSequence,
                                             {der::element(der::kSequence, {microsoft({0x02, 0x01, 0x19})}), info})})});
}
ByteBuffer member(std::string_view tag, std::initializer_list<ByteBuffer> attributes) {
  auto utf16 = *core::utf16le_from_utf8(tag);
  utf16 += std::string(2, '\0');
  return der::element(der::kSequence,
                      {der::element(der::kOctetString, core::as_bytes(utf16)), der::element(der::kSet, attributes)});
}
// A catalog around these fields of the trust list; an empty buffer leaves the members out.
ByteBuffer catalog_of(const ByteBuffer& members, const ByteBuffer& usage = microsoft({0x0C, 0x01, 0x01})) {
  const auto list =
      der::element(der::kSequence,
                   {der::element(der::kSequence, {usage}), der::element(der::kUtcTime, core::as_bytes("260615120000Z")),
                    der::element(der::kSequence, {microsoft({0x0C, 0x01, 0x02})}), members});
  const auto content = der::element(der::kSequence, {microsoft({0x0A, 0x01}), der::element(der::kContext0, list)});
  const auto data = der::element(der::kSequence, {{der::kInteger, 1, 1}, {der::kSet, 0}, content, {der::kSet, 0}});
  return der::element(der::kSequence, {oid({0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02}),
                                       der::element(der::kContext0, data)});
}
ByteBuffer members_of(std::initializer_list<ByteBuffer> members) { return der::element(der::kSequence, members); }

ByteBuffer bytes_of(ByteView view) { return {view.begin(), view.end()}; }

core::Error error_of(ByteView catalog) {
  const auto result = read_catalog(catalog);
  REQUIRE_FALSE(result);
  return result.error();
}

TEST_CASE("an unsigned catalog has the field's 328 bytes, with the digest at 206") {
  const auto catalog = must(build_catalog(sample_table(), kNow));
  CHECK(catalog.size() == 328);
  const auto content = must(read_catalog(catalog));
  CHECK(content.digest_offset == 206);
  CHECK(bytes_of(content.digest) == bytes_of(core::sha1(sample_table())));
  CHECK(content.algorithm == DigestAlgorithm::sha1);
  CHECK_FALSE(content.is_signed);
}

TEST_CASE("the same table and time give the same catalog, another time another one") {
  const auto catalog = must(build_catalog(sample_table(), kNow));
  CHECK(must(build_catalog(sample_table(), kNow)) == catalog);
  CHECK(must(build_catalog(sample_table(), kNow + std::chrono::seconds(1))) != catalog);
}

TEST_CASE("a catalog made after 2049 carries its time with four digits of the year") {
  const core::UtcTime later = std::chrono::sys_days(std::chrono::year(2051) / 2 / 3);
  const auto catalog = must(build_catalog(sample_table(), later));
  CHECK(core::as_text(catalog).find("20510203000000Z") != std::string_view::npos);
  CHECK(read_catalog(catalog));
}

TEST_CASE("a time before 1950 makes no catalog") {
  const auto result = build_catalog(sample_table(), std::chrono::sys_days(std::chrono::year(1900) / 1 / 1));
  REQUIRE_FALSE(result);
  CHECK(result.error().id() == "sign.failed");
}

TEST_CASE("a catalog cut off anywhere is malformed, with the offset") {
  const auto catalog = must(build_catalog(sample_table(), kNow));
  for (std::size_t size = 0; size < catalog.size(); ++size) {
    const auto error = error_of(ByteView(catalog).first(size));
    CHECK(error.id() == "catalog.malformed");
    CHECK_FALSE(error.context_value("offset").empty());
  }
}

// Where the lengths of the elements stand on the way down to the digest, first the outermost.
std::vector<std::size_t> lengths_down_to(ByteView bytes, std::uint64_t base, std::uint64_t wanted) {
  std::vector<std::size_t> out;
  for (der::Reader reader(bytes, base); !reader.at_end();) {
    const auto element = must(reader.next());
    if (wanted < element.content_offset() || wanted >= element.content_offset() + element.content.size()) continue;
    out.push_back(static_cast<std::size_t>(element.offset) + 1);
    if ((element.tag & 0x20U) == 0) break;
    const auto inner = lengths_down_to(element.content, element.content_offset(), wanted);
    out.insert(out.end(), inner.begin(), inner.end());
  }
  return out;
}

TEST_CASE("a lying length at any level is malformed") {
  const auto catalog = must(build_catalog(sample_table(), kNow));
  const auto lengths = lengths_down_to(catalog, 0, 206);
  CHECK(lengths.size() == 14);
  for (const std::size_t at : lengths) {
    for (const std::uint8_t lie : {0x00, 0x01, 0x7F, 0x80, 0x84, 0x85, 0xFF}) {
      INFO("length at " << at << ", " << int{lie});
      auto bad = catalog;
      bad[at] = lie;
      const auto error = error_of(bad);
      // An empty list of members, or of attributes, is one that names no digest.
      CHECK((error.id() == "catalog.malformed" || (lie == 0 && error.id() == "catalog.no-digest")));
      CHECK_FALSE(error.context_value("offset").empty());
      if (lie == 0x80) {
        CHECK(error.detail() == "an element has no definite length");
        CHECK(error.context_value("offset") == std::to_string(at));
      }
    }
  }
}

TEST_CASE("a length that is not in its shortest form is malformed") {
  auto catalog = must(build_catalog(sample_table(), kNow));
  // The signed data's set of digest algorithms, 31 00, follows the version.
  const auto at = core::as_text(catalog).find(std::string_view("\x02\x01\x01\x31", 4));
  REQUIRE(at != std::string_view::npos);
  catalog[at + 4] = 0x81;
  CHECK(error_of(catalog).detail() == "an element's length is not in its shortest form");
  CHECK(error_of(catalog).context_value("offset") == std::to_string(at + 4));
}

TEST_CASE("zeros may follow a catalog, and nothing else") {
  auto catalog = must(build_catalog(sample_table(), kNow));
  catalog.resize(512);
  CHECK(must(read_catalog(catalog)).encoded.size() == 328);
  catalog[400] = 1;
  CHECK(error_of(catalog).id() == "catalog.malformed");
  CHECK(error_of(catalog).context_value("offset") == "400");
}

TEST_CASE("a catalog of more than 16 MiB is refused before it is read") {
  auto catalog = must(build_catalog(sample_table(), kNow));
  catalog.resize(kMaxCatalogBytes + 1);
  CHECK(error_of(catalog).id() == "catalog.malformed");
}

TEST_CASE("a SHA-256 digest is read") {
  const auto digest = core::sha256(sample_table());
  const auto catalog = catalog_of(members_of({member("HashTable.blob", {indirect_data(kSha256Oid, digest)})}));
  const auto content = must(read_catalog(catalog));
  CHECK(content.algorithm == DigestAlgorithm::sha256);
  CHECK(bytes_of(content.digest) == bytes_of(digest));
}

TEST_CASE("an MD5 digest is not supported") {
  const auto catalog = catalog_of(members_of({member("HashTable.blob", {indirect_data(kMd5Oid, ByteBuffer(16))})}));
  CHECK(error_of(catalog).id() == "catalog.digest-unsupported");
  CHECK_FALSE(error_of(catalog).context_value("offset").empty());
}

TEST_CASE("a digest whose length does not fit its algorithm is malformed") {
  const auto catalog = catalog_of(members_of({member("HashTable.blob", {indirect_data(kSha1Oid, ByteBuffer(32))})}));
  CHECK(error_of(catalog).id() == "catalog.malformed");
}

TEST_CASE("a catalog without members or without indirect data names no digest") {
  CHECK(error_of(catalog_of({})).id() == "catalog.no-digest");
  CHECK(error_of(catalog_of(members_of({}))).id() == "catalog.no-digest");
  CHECK(error_of(catalog_of(members_of({member("HashTable.blob", {})}))).id() == "catalog.no-digest");
}

TEST_CASE("of several members the one tagged HashTable.blob counts, wherever it stands") {
  const auto wanted = core::sha1(sample_table());
  const auto other = member("driver.sys", {indirect_data(kSha1Oid, ByteBuffer(20))});
  const auto table = member("HashTable.blob", {indirect_data(kSha1Oid, wanted)});
  const auto before = catalog_of(members_of({table, other}));
  const auto after = catalog_of(members_of({other, table}));
  CHECK(bytes_of(must(read_catalog(before)).digest) == bytes_of(wanted));
  CHECK(bytes_of(must(read_catalog(after)).digest) == bytes_of(wanted));
}

TEST_CASE("several members of which none or two are the hash table's name no digest") {
  const auto one = member("a", {indirect_data(kSha1Oid, ByteBuffer(20))});
  const auto table = member("HashTable.blob", {indirect_data(kSha1Oid, ByteBuffer(20))});
  CHECK(error_of(catalog_of(members_of({one, one}))).id() == "catalog.no-digest");
  CHECK(error_of(catalog_of(members_of({table, table}))).id() == "catalog.no-digest");
}

TEST_CASE("a member with its indirect data twice is malformed") {
  const auto data = indirect_data(kSha1Oid, ByteBuffer(20));
  CHECK(error_of(catalog_of(members_of({member("HashTable.blob", {data, data})}))).id() == "catalog.malformed");
}

TEST_CASE("a trust list that is no catalog is malformed") {
  const auto members = members_of({member("HashTable.blob", {indirect_data(kSha1Oid, ByteBuffer(20))})});
  CHECK(error_of(catalog_of(members, microsoft({0x0A, 0x03, 0x09}))).detail() == "the trust list is no catalog");
}

TEST_CASE("a signed trust list of another kind is refused as a catalog") {
  const char* samples = std::getenv("IMPRINT_SAMPLES");
  if (samples == nullptr) {
    WARN("skipped: IMPRINT_SAMPLES is not set");
    return;
  }
  const auto file = std::filesystem::path(samples) / "bcd/BAndysc_ASUS-TP300LD-ESP/EFI/Microsoft/Boot/boot.stl";
  const auto text = testing::read_text(file);
  REQUIRE_FALSE(text.empty());
  const auto error = error_of(core::as_bytes(text));
  CHECK(error.id() == "catalog.malformed");
  CHECK(error.detail() == "the trust list is no catalog");
  CHECK(error.context_value("offset") == "68");
}

}  // namespace
}  // namespace imprint::trust
