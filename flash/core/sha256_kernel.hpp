// SPDX-License-Identifier: GPL-3.0-or-later
// The compression function of SHA-256 (FIPS 180-4, section 6.2.2) over as many messages at once as a vector has 32-bit
// words. Private to sha256_avx2.cpp and sha256_avx512.cpp, each of which gives it the operations of one instruction
// set.
//
// Those files are compiled for instructions that the machine may not have. An inline function of the standard library
// that they emitted could be the copy that the linker keeps for the whole program, so neither they nor this header
// include or instantiate any: pointers and sizes only, and all functions below are inlined by force.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace imprint::core::detail {

// state: eight rows (a to h) of one word for each lane. data[lane]: `blocks` blocks of 64 bytes, any alignment.
void compress_avx2(std::uint32_t* state, const std::uint8_t* const* data, std::size_t blocks);    // 8 lanes
void compress_avx512(std::uint32_t* state, const std::uint8_t* const* data, std::size_t blocks);  // 16 lanes

// Section 4.2.2; one cache line for each 16 rounds.
alignas(64) inline constexpr std::uint32_t kSha256Rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// Registers: the state and the sliding 16 words of the message schedule. The letters a to h never move: round I finds
// `a` in s[(0 - I) mod 8], so that a round writes two of them and copies none.
template <class V>
struct Sha256Registers {
  typename V::Word s[8];
  typename V::Word w[16];
  typename V::Word ab;  // a XOR b of the round before, which is this round's b XOR c
};

template <class V, std::size_t I, bool Extend>
[[gnu::always_inline]] inline void sha256_round(Sha256Registers<V>& r, const std::uint32_t* constants) {
  using Word = typename V::Word;
  constexpr std::size_t kA = (0 - I) % 8;
  Word& d = r.s[(kA + 3) % 8];
  Word& h = r.s[(kA + 7) % 8];
  const Word a = r.s[kA];
  const Word e = r.s[(kA + 4) % 8];
  Word& w = r.w[I];
  Word t1 = V::add(h, V::add(w, V::broadcast(constants + I)));
  // This word is used up: the one that takes its place 16 rounds on is made here, between the dependent steps of the
  // round, where the execution ports would otherwise wait.
  if constexpr (Extend) {
    w = V::add(V::add(w, r.w[(I + 9) % 16]),
               V::add(V::small_sigma0(r.w[(I + 1) % 16]), V::small_sigma1(r.w[(I + 14) % 16])));
  }
  t1 = V::add(t1, V::choose(e, r.s[(kA + 5) % 8], r.s[(kA + 6) % 8]));
  t1 = V::add(t1, V::big_sigma1(e));
  d = V::add(d, t1);
  const Word majority = V::majority(a, r.s[(kA + 1) % 8], r.s[(kA + 2) % 8], r.ab);
  h = V::add(V::add(t1, majority), V::big_sigma0(a));
}

template <class V, bool Extend, std::size_t... I>
[[gnu::always_inline]] inline void sha256_16_rounds(Sha256Registers<V>& r, const std::uint32_t* constants,
                                                    std::index_sequence<I...>) {
  (sha256_round<V, I, Extend>(r, constants), ...);
}

template <class V, std::size_t... Row>
[[gnu::always_inline]] inline void sha256_load_state(Sha256Registers<V>& r, const std::uint32_t* state,
                                                     std::index_sequence<Row...>) {
  ((r.s[Row] = V::load(state + Row * V::kLanes)), ...);
}

template <class V, std::size_t... Row>
[[gnu::always_inline]] inline void sha256_add_state(Sha256Registers<V>& r, std::uint32_t* state,
                                                    std::index_sequence<Row...>) {
  ((r.s[Row] = V::add(r.s[Row], V::load(state + Row * V::kLanes)), V::store(state + Row * V::kLanes, r.s[Row])), ...);
}

template <class V>
[[gnu::always_inline]] inline void sha256_compress(std::uint32_t* state, const std::uint8_t* const* data,
                                                   std::size_t blocks) {
  constexpr std::make_index_sequence<8> kRows;
  constexpr std::make_index_sequence<16> kWords;
  Sha256Registers<V> r{};
  sha256_load_state(r, state, kRows);
  for (std::size_t offset = 0; offset != blocks * 64; offset += 64) {
    V::load_blocks(r.w, data, offset);
    r.ab = V::exclusive_or(r.s[1], r.s[2]);
    for (std::size_t first = 0; first != 48; first += 16) sha256_16_rounds<V, true>(r, kSha256Rounds + first, kWords);
    sha256_16_rounds<V, false>(r, kSha256Rounds + 48, kWords);
    sha256_add_state(r, state, kRows);
  }
}

}  // namespace imprint::core::detail
