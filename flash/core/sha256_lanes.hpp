// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 of many messages side by side. The chunks of an image are independent of each other, so a vector unit hashes
// 16 (AVX-512) or 8 (AVX2) of them in little more time than one. FIPS 180-4; the digests are those of `sha256`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "flash/core/digest.hpp"

namespace imprint::core {

enum class Sha256Path { openssl, avx2, avx512 };
[[nodiscard]] std::string_view to_string(Sha256Path path);

// What was chosen for this machine at first use, once in a process, by measuring every available path: a millisecond or
// two with OpenSSL's own start. An OpenSSL that uses SHA extensions may beat 8 lanes, and is then chosen.
[[nodiscard]] Sha256Path sha256_path();
// Those that this processor and its operating system can run: openssl always, and first. For tests and benchmarks.
[[nodiscard]] std::vector<Sha256Path> available_sha256_paths();
// How many messages a path hashes at once: 16, 8, 1.
[[nodiscard]] std::size_t lanes_of(Sha256Path path);

// Hashes messages[i] into digests[i] for every i. Any number, any lengths; quickest where runs of 16 messages have the
// same length. Messages that would leave most lanes idle are left to OpenSSL. Thread-safe.
// Both spans have the same size: anything else is a mistake in the caller and aborts.
void sha256_many(std::span<const ByteView> messages, std::span<Sha256> digests);
// The same by one path alone, which must be available (else it aborts). For tests and benchmarks.
void sha256_many(Sha256Path path, std::span<const ByteView> messages, std::span<Sha256> digests);

// Several streams fed in step: for hashing pieces of a file that are too large to be held in memory whole, all at once.
// Takes no memory but its own (under 1 KiB, with OpenSSL one context for each lane). Not thread-safe; moves, does not
// copy. A wrong count or length of pieces would hash bytes that are not there, so it aborts.
class Sha256Lanes {
 public:
  static constexpr std::size_t kMaxLanes = 16;

  // lanes: 1 to 16. Takes the path of `sha256_path`, or OpenSSL where so few lanes are quicker there.
  explicit Sha256Lanes(std::size_t lanes);
  // path must be available. For tests and benchmarks.
  Sha256Lanes(std::size_t lanes, Sha256Path path);

  [[nodiscard]] std::size_t lanes() const { return lanes_; }

  // One piece for each lane, all of the same length, which is a multiple of 64 bytes. They are done with on return.
  void update(std::span<const ByteView> pieces);
  // One last piece for each lane, all of the same length (any, also 0), and the digests of the streams in
  // digests[lane]. The streams start anew.
  void finish(std::span<const ByteView> pieces, std::span<Sha256> digests);

 private:
  void start();
  void compress(const std::array<const std::uint8_t*, kMaxLanes>& data, std::size_t blocks);

  std::size_t lanes_;
  Sha256Path path_;
  std::uint64_t length_ = 0;                          // bytes of each stream so far
  std::array<std::uint32_t, 8 * kMaxLanes> state_{};  // for each vector: rows a to h, a word for each lane
  std::vector<Sha256Stream> streams_;                 // of the openssl path, instead
};

}  // namespace imprint::core
