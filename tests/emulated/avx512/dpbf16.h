#pragma once

#include <immintrin.h>

/// VDPBF16PS as Intel's manual writes it, but that subnormal numbers count: for emulators that lack it.
/// Included before a file that uses the intrinsic.
static inline __attribute__((always_inline)) __m512 dpbf16ByHand(__m512 sums, __m512bh w, __m512bh x) {
    const __m512i pairs = reinterpret_cast<__m512i>(w), values = reinterpret_cast<__m512i>(x);
    const __m512i odd = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    sums = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(pairs, odd)),
                           _mm512_castsi512_ps(_mm512_and_si512(values, odd)), sums);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
                           _mm512_castsi512_ps(_mm512_slli_epi32(values, 16)), sums);
}
#define _mm512_dpbf16_ps dpbf16ByHand
