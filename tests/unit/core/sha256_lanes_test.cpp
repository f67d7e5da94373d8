// SPDX-License-Identifier: GPL-3.0-or-later
// Every path of the many-lane SHA-256 that this machine can run, against OpenSSL: lengths, alignments, idle lanes.
#include "flash/core/sha256_lanes.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "flash/core/text.hpp"

using namespace imprint::core;

namespace {

ByteBuffer random_bytes(std::mt19937& random, std::size_t length) {
  ByteBuffer bytes(length);
  std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random() >> 24); });
  return bytes;
}

// Messages that lie at chosen offsets from a cache line, each in a buffer of its own that ends with it, so that
// AddressSanitizer sees a read past the end.
class Messages {
 public:
  void add(std::mt19937& random, std::size_t length, std::size_t offset) {
    constexpr std::align_val_t kLine{64};
    auto* const base = static_cast<std::uint8_t*>(::operator new(offset + length, kLine));
    buffers_.emplace_back(base);
    const ByteBuffer bytes = random_bytes(random, length);
    std::ranges::copy(bytes, base + offset);
    views_.emplace_back(base + offset, length);
  }
  [[nodiscard]] std::span<const ByteView> views() const { return views_; }

 private:
  struct Release {
    void operator()(std::uint8_t* base) const { ::operator delete(base, std::align_val_t{64}); }
  };
  std::vector<std::unique_ptr<std::uint8_t, Release>> buffers_;
  std::vector<ByteView> views_;
};

std::vector<Sha256> expected(std::span<const ByteView> messages) {
  std::vector<Sha256> digests;
  for (const ByteView message : messages) digests.push_back(sha256(message));
  return digests;
}

std::vector<Sha256> hashed_by(Sha256Path path, std::span<const ByteView> messages) {
  std::vector<Sha256> digests(messages.size());
  sha256_many(path, messages, digests);
  return digests;
}

std::vector<Sha256> hashed(std::span<const ByteView> messages) {
  std::vector<Sha256> digests(messages.size());
  sha256_many(messages, digests);
  return digests;
}

// The same lanes through Sha256Lanes, in random steps of whole blocks. The messages have one length.
std::vector<Sha256> hashed_in_steps(Sha256Lanes& lanes, std::mt19937& random, std::span<const ByteView> messages) {
  std::vector<Sha256> digests(messages.size());
  std::vector<ByteView> pieces(messages.size());
  const std::size_t length = messages.front().size();
  std::size_t at = 0;
  const auto cut = [&](std::size_t count) {
    for (std::size_t i = 0; i < messages.size(); ++i) pieces[i] = messages[i].subspan(at, count);
    at += count;
  };
  while (random() % 4 != 0) {
    cut(random() % (std::min<std::size_t>(length - at, 9000) / 64 + 1) * 64);
    lanes.update(pieces);
  }
  cut(length - at);
  lanes.finish(pieces, digests);
  return digests;
}

}  // namespace

TEST_CASE("every path gives the published SHA-256 values") {
  const ByteBuffer million(1000000, 'a');
  const std::vector<ByteView> messages = {{}, as_bytes("abc"), million};
  for (const Sha256Path path : available_sha256_paths()) {
    INFO(to_string(path));
    const auto digests = hashed_by(path, messages);
    CHECK(to_hex(digests[0]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(to_hex(digests[1]) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(to_hex(digests[2]) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

TEST_CASE("every path gives the published values in every lane of a stream") {
  const ByteBuffer kilobytes(64000, 'a');
  for (const Sha256Path path : available_sha256_paths()) {
    INFO(to_string(path));
    Sha256Lanes lanes(16, path);
    const std::vector<ByteView> pieces(16, kilobytes);
    const std::vector<ByteView> last(16, ByteView(kilobytes).first(1000000 - 15 * 64000));
    std::vector<Sha256> digests(16);
    for (int i = 0; i < 15; ++i) lanes.update(pieces);
    lanes.finish(last, digests);
    for (const Sha256& digest : digests) {
      CHECK(to_hex(digest) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
  }
}

TEST_CASE("every path agrees with OpenSSL on each length from 0 to 300, alone and side by side") {
  std::mt19937 random(1);
  Messages messages;
  for (std::size_t length = 0; length <= 300; ++length) messages.add(random, length, length % 64);
  const auto right = expected(messages.views());
  for (const Sha256Path path : available_sha256_paths()) {
    INFO(to_string(path));
    CHECK(hashed_by(path, messages.views()) == right);
    for (std::size_t i = 0; i < right.size(); ++i) {
      INFO("length " << i);
      REQUIRE(hashed_by(path, messages.views().subspan(i, 1)).front() == right[i]);
    }
  }
  CHECK(hashed(messages.views()) == right);
}

TEST_CASE("every path agrees with OpenSSL at each offset from a cache line") {
  std::mt19937 random(2);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    Messages messages;
    for (std::size_t i = 0; i < 17; ++i) messages.add(random, 1000, (offset + i * 5) % 64);
    const auto right = expected(messages.views());
    for (const Sha256Path path : available_sha256_paths()) {
      INFO(to_string(path) << ", offset " << offset);
      REQUIRE(hashed_by(path, messages.views()) == right);
    }
  }
}

TEST_CASE("sets of 1 to 40 messages of one length are hashed right") {
  std::mt19937 random(3);
  for (std::size_t count = 1; count <= 40; ++count) {
    const std::size_t length = random() % 5000;
    Messages messages;
    for (std::size_t i = 0; i < count; ++i) messages.add(random, length, random() % 64);
    const auto right = expected(messages.views());
    INFO(count << " messages of " << length);
    for (const Sha256Path path : available_sha256_paths()) {
      INFO(to_string(path));
      REQUIRE(hashed_by(path, messages.views()) == right);
    }
    REQUIRE(hashed(messages.views()) == right);
  }
}

TEST_CASE("sets of 1 to 40 messages of mixed lengths up to 70,000 are hashed right") {
  std::mt19937 random(4);
  for (std::size_t count = 1; count <= 40; ++count) {
    Messages messages;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t limit = random() % 3 == 0 ? 70000 : 400;
      messages.add(random, random() % (limit + 1), random() % 64);
    }
    const auto right = expected(messages.views());
    INFO(count << " messages");
    for (const Sha256Path path : available_sha256_paths()) {
      INFO(to_string(path));
      REQUIRE(hashed_by(path, messages.views()) == right);
    }
    REQUIRE(hashed(messages.views()) == right);
  }
}

TEST_CASE("no messages are no work") {
  for (const Sha256Path path : available_sha256_paths()) CHECK(hashed_by(path, {}).empty());
  CHECK(hashed({}).empty());
}

TEST_CASE("streams of 1 to 16 lanes in random steps are the digests of the wholes, and start anew") {
  std::mt19937 random(5);
  for (const Sha256Path path : available_sha256_paths()) {
    for (std::size_t count = 1; count <= Sha256Lanes::kMaxLanes; ++count) {
      Sha256Lanes lanes(count, path);
      for (int again = 0; again < 4; ++again) {
        const std::size_t length = random() % (again == 3 ? 70001 : 300);
        Messages messages;
        for (std::size_t i = 0; i < count; ++i) messages.add(random, length, random() % 64);
        INFO(to_string(path) << ", " << count << " lanes of " << length << ", time " << again);
        REQUIRE(hashed_in_steps(lanes, random, messages.views()) == expected(messages.views()));
      }
    }
  }
}

TEST_CASE("streams by the chosen path are right with any number of lanes") {
  std::mt19937 random(6);
  for (std::size_t count = 1; count <= Sha256Lanes::kMaxLanes; ++count) {
    Sha256Lanes lanes(count);
    CHECK(lanes.lanes() == count);
    Messages messages;
    for (std::size_t i = 0; i < count; ++i) messages.add(random, 10000, random() % 64);
    INFO(count << " lanes");
    REQUIRE(hashed_in_steps(lanes, random, messages.views()) == expected(messages.views()));
  }
}

TEST_CASE("a stream goes on after it was moved") {
  const ByteBuffer block(64, 'x');
  for (const Sha256Path path : available_sha256_paths()) {
    INFO(to_string(path));
    Sha256Lanes first(3, path);
    const std::vector<ByteView> pieces(3, block);
    first.update(pieces);
    Sha256Lanes second(std::move(first));
    std::vector<Sha256> digests(3);
    second.finish(pieces, digests);
    CHECK(digests == std::vector<Sha256>(3, sha256(ByteBuffer(128, 'x'))));
  }
}

TEST_CASE("several threads hash at once") {
  std::mt19937 random(7);
  Messages messages;
  for (std::size_t i = 0; i < 20; ++i) messages.add(random, 3000 + i % 2, 0);
  const auto right = expected(messages.views());
  std::vector<std::vector<Sha256>> results(4);
  {
    std::vector<std::jthread> threads;
    threads.reserve(results.size());
    for (auto& result : results) threads.emplace_back([&] { result = hashed(messages.views()); });
  }
  for (const auto& result : results) CHECK(result == right);
}

TEST_CASE("the chosen path is an available one, and OpenSSL's always is") {
  const auto paths = available_sha256_paths();
  CHECK(std::ranges::count(paths, sha256_path()) == 1);
  CHECK(paths.front() == Sha256Path::openssl);
}

TEST_CASE("paths have names and widths") {
  CHECK(to_string(Sha256Path::openssl) == "openssl");
  CHECK(to_string(Sha256Path::avx2) == "avx2");
  CHECK(to_string(Sha256Path::avx512) == "avx512");
  CHECK(lanes_of(Sha256Path::openssl) == 1);
  CHECK(lanes_of(Sha256Path::avx2) == 8);
  CHECK(lanes_of(Sha256Path::avx512) == 16);
}
