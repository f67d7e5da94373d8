// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 of 8 messages at once with AVX2. A rotation takes two shifts here, and 16 registers hold the state and what a
// round needs: the message schedule stays in the first-level cache.
#include <immintrin.h>

#include "flash/core/sha256_kernel.hpp"

namespace imprint::core::detail {
namespace {

struct Avx2 {
  using Word = __m256i;
  static constexpr std::size_t kLanes = 8;

  static Word load(const std::uint32_t* row) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)); }
  static void store(std::uint32_t* row, Word word) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(row), word); }
  static Word broadcast(const std::uint32_t* constant) { return _mm256_set1_epi32(static_cast<int>(*constant)); }
  static Word add(Word a, Word b) { return _mm256_add_epi32(a, b); }
  static Word exclusive_or(Word a, Word b) { return _mm256_xor_si256(a, b); }
  static Word choose(Word e, Word f, Word g) {
    return _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)));
  }
  // b where b and c agree, else a: needs a XOR b, which the next round gets as its b XOR c.
  static Word majority(Word a, Word b, Word /*c*/, Word& ab) {
    const Word bc = ab;
    ab = _mm256_xor_si256(a, b);
    return _mm256_xor_si256(b, _mm256_and_si256(ab, bc));
  }
  static Word big_sigma0(Word a) { return rotations<2, 13, 22>(a); }
  static Word big_sigma1(Word e) { return rotations<6, 11, 25>(e); }
  static Word small_sigma0(Word w) { return _mm256_xor_si256(rotations<7, 18>(w), _mm256_srli_epi32(w, 3)); }
  static Word small_sigma1(Word w) { return _mm256_xor_si256(rotations<17, 19>(w), _mm256_srli_epi32(w, 10)); }
  static void load_blocks(Word* w, const std::uint8_t* const* data, std::size_t offset);

 private:
  template <int R>
  static Word rotation(Word w) {
    return _mm256_xor_si256(_mm256_srli_epi32(w, R), _mm256_slli_epi32(w, 32 - R));
  }
  template <int R, int... More>
  static Word rotations(Word w) {
    if constexpr (sizeof...(More) == 0) {
      return rotation<R>(w);
    } else {
      return _mm256_xor_si256(rotation<R>(w), rotations<More...>(w));
    }
  }
};

// 16 bytes of lanes `low` and `high`, big-endian words made the machine's.
[[gnu::always_inline]] inline __m256i load_pair(const std::uint8_t* low, const std::uint8_t* high) {
  const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  const __m128i lower = _mm_loadu_si128(reinterpret_cast<const __m128i*>(low));
  const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(high));
  return _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(lower), upper, 1), swap);
}

// Words Q*4 to Q*4+3 of all lanes. The upper halves are inserted while loading, which costs no shuffle.
template <std::size_t Q>
[[gnu::always_inline]] inline void load_quarter(__m256i* w, const std::uint8_t* const* data, std::size_t offset) {
  const std::size_t at = offset + Q * 16;
  const __m256i r0 = load_pair(data[0] + at, data[4] + at);
  const __m256i r1 = load_pair(data[1] + at, data[5] + at);
  const __m256i r2 = load_pair(data[2] + at, data[6] + at);
  const __m256i r3 = load_pair(data[3] + at, data[7] + at);
  const __m256i low01 = _mm256_unpacklo_epi32(r0, r1);
  const __m256i high01 = _mm256_unpackhi_epi32(r0, r1);
  const __m256i low23 = _mm256_unpacklo_epi32(r2, r3);
  const __m256i high23 = _mm256_unpackhi_epi32(r2, r3);
  w[Q * 4] = _mm256_unpacklo_epi64(low01, low23);
  w[Q * 4 + 1] = _mm256_unpackhi_epi64(low01, low23);
  w[Q * 4 + 2] = _mm256_unpacklo_epi64(high01, high23);
  w[Q * 4 + 3] = _mm256_unpackhi_epi64(high01, high23);
}

[[gnu::always_inline]] inline void Avx2::load_blocks(Word* w, const std::uint8_t* const* data, std::size_t offset) {
  load_quarter<0>(w, data, offset);
  load_quarter<1>(w, data, offset);
  load_quarter<2>(w, data, offset);
  load_quarter<3>(w, data, offset);
}

}  // namespace

void compress_avx2(std::uint32_t* state, const std::uint8_t* const* data, std::size_t blocks) {
  sha256_compress<Avx2>(state, data, blocks);
}

}  // namespace imprint::core::detail
