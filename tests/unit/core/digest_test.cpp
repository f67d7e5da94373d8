// SPDX-License-Identifier: GPL-3.0-or-later
// Digests against published vectors (FIPS 180, RFC 3720) and in pieces.
#include "flash/core/digest.hpp"

#include <catch2/catch.hpp>

#include "flash/core/text.hpp"

using namespace imprint::core;

TEST_CASE("SHA-256 gives the published values") {
  CHECK(to_hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha256(as_bytes("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(to_hex(sha256(ByteBuffer(1000000, 'a'))) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-1 gives the published values") {
  CHECK(to_hex(sha1({})) == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  CHECK(to_hex(sha1(as_bytes("abc"))) == "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST_CASE("CRC-32 gives the published values") {
  CHECK(crc32(as_bytes("123456789")) == 0xCBF43926U);
  CHECK(crc32({}) == 0U);
  CHECK(crc32(ByteBuffer(32, 0)) == 0x190A55ADU);
  CHECK(crc32(ByteBuffer(32, 0xFF)) == 0xFF6CAB0BU);
}

TEST_CASE("a CRC-32 in pieces is the CRC-32 of the whole, empty pieces too") {
  const auto whole = as_bytes("The quick brown fox jumps over the lazy dog");
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    CHECK(crc32(whole.subspan(cut), crc32(whole.first(cut))) == 0x414FA339U);
  }
  CHECK(crc32(ByteView{}, 0x12345678U) == 0x12345678U);
}

TEST_CASE("a SHA-256 in pieces is the SHA-256 of the whole, and the stream starts anew") {
  const auto whole = as_bytes("The quick brown fox jumps over the lazy dog");
  Sha256Stream stream;
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    stream.update(whole.first(cut));
    stream.update({});
    stream.update(whole.subspan(cut));
    REQUIRE(stream.finish() == sha256(whole));
  }
  CHECK(stream.finish() == sha256({}));
}

TEST_CASE("a SHA-256 stream goes on after it was moved") {
  Sha256Stream first;
  first.update(as_bytes("a"));
  Sha256Stream second(std::move(first));
  second.update(as_bytes("bc"));
  CHECK(second.finish() == sha256(as_bytes("abc")));
}
