// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 of 16 messages at once with AVX-512 (F and BW). A rotation and any function of three words are one
// instruction each there, and 32 registers hold the state, the message schedule and what a round needs besides.
#include <immintrin.h>

#include "flash/core/sha256_kernel.hpp"

namespace imprint::core::detail {
namespace {

struct Avx512 {
  using Word = __m512i;
  static constexpr std::size_t kLanes = 16;

  static Word load(const std::uint32_t* row) { return _mm512_loadu_si512(row); }
  static void store(std::uint32_t* row, Word word) { _mm512_storeu_si512(row, word); }
  static Word broadcast(const std::uint32_t* constant) { return _mm512_set1_epi32(static_cast<int>(*constant)); }
  static Word add(Word a, Word b) { return _mm512_add_epi32(a, b); }
  static Word exclusive_or(Word a, Word b) { return _mm512_xor_si512(a, b); }
  // The last operand is the truth table of the function, by the bits of a, b and c.
  static Word exclusive_or(Word a, Word b, Word c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
  static Word choose(Word e, Word f, Word g) { return _mm512_ternarylogic_epi32(e, f, g, 0xCA); }
  static Word majority(Word a, Word b, Word c, Word& /*ab*/) { return _mm512_ternarylogic_epi32(a, b, c, 0xE8); }
  static Word big_sigma0(Word a) {
    return exclusive_or(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22));
  }
  static Word big_sigma1(Word e) {
    return exclusive_or(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25));
  }
  static Word small_sigma0(Word w) {
    return exclusive_or(_mm512_ror_epi32(w, 7), _mm512_ror_epi32(w, 18), _mm512_srli_epi32(w, 3));
  }
  static Word small_sigma1(Word w) {
    return exclusive_or(_mm512_ror_epi32(w, 17), _mm512_ror_epi32(w, 19), _mm512_srli_epi32(w, 10));
  }
  static void load_blocks(Word* w, const std::uint8_t* const* data, std::size_t offset);
};

// One block of one lane, its big-endian words made the machine's.
[[gnu::always_inline]] inline __m512i load_block(const std::uint8_t* block) {
  const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  return _mm512_shuffle_epi8(_mm512_loadu_si512(block), swap);
}

// Lanes 4G to 4G+3. q[k], in its 128-bit part p: word 4p+k of the four lanes.
template <std::size_t G>
[[gnu::always_inline]] inline void load_four(__m512i* q, const std::uint8_t* const* data, std::size_t offset) {
  const __m512i r0 = load_block(data[4 * G] + offset);
  const __m512i r1 = load_block(data[4 * G + 1] + offset);
  const __m512i r2 = load_block(data[4 * G + 2] + offset);
  const __m512i r3 = load_block(data[4 * G + 3] + offset);
  const __m512i low01 = _mm512_unpacklo_epi32(r0, r1);
  const __m512i high01 = _mm512_unpackhi_epi32(r0, r1);
  const __m512i low23 = _mm512_unpacklo_epi32(r2, r3);
  const __m512i high23 = _mm512_unpackhi_epi32(r2, r3);
  q[0] = _mm512_unpacklo_epi64(low01, low23);
  q[1] = _mm512_unpackhi_epi64(low01, low23);
  q[2] = _mm512_unpacklo_epi64(high01, high23);
  q[3] = _mm512_unpackhi_epi64(high01, high23);
}

// From the 128-bit parts of four groups of lanes: words K, 4+K, 8+K and 12+K of all 16 lanes.
template <std::size_t K>
[[gnu::always_inline]] inline void gather_parts(__m512i* w, __m512i g0, __m512i g1, __m512i g2, __m512i g3) {
  const __m512i even01 = _mm512_shuffle_i32x4(g0, g1, 0x88);
  const __m512i odd01 = _mm512_shuffle_i32x4(g0, g1, 0xDD);
  const __m512i even23 = _mm512_shuffle_i32x4(g2, g3, 0x88);
  const __m512i odd23 = _mm512_shuffle_i32x4(g2, g3, 0xDD);
  w[K] = _mm512_shuffle_i32x4(even01, even23, 0x88);
  w[4 + K] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
  w[8 + K] = _mm512_shuffle_i32x4(even01, even23, 0xDD);
  w[12 + K] = _mm512_shuffle_i32x4(odd01, odd23, 0xDD);
}

[[gnu::always_inline]] inline void Avx512::load_blocks(Word* w, const std::uint8_t* const* data, std::size_t offset) {
  __m512i q0[4];
  __m512i q1[4];
  __m512i q2[4];
  __m512i q3[4];
  load_four<0>(q0, data, offset);
  load_four<1>(q1, data, offset);
  load_four<2>(q2, data, offset);
  load_four<3>(q3, data, offset);
  gather_parts<0>(w, q0[0], q1[0], q2[0], q3[0]);
  gather_parts<1>(w, q0[1], q1[1], q2[1], q3[1]);
  gather_parts<2>(w, q0[2], q1[2], q2[2], q3[2]);
  gather_parts<3>(w, q0[3], q1[3], q2[3], q3[3]);
}

}  // namespace

void compress_avx512(std::uint32_t* state, const std::uint8_t* const* data, std::size_t blocks) {
  sha256_compress<Avx512>(state, data, blocks);
}

}  // namespace imprint::core::detail
