#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "engine/kernels/inline.h"

/// Sixteen rows of a stripe in a register of AVX-512 with VNNI, for tile.h.
namespace conclave::engine::kernels::cpu {
namespace {

struct Avx512 {
    using Floats = __m512;
    using Integers = __m512i;                                     // 32 bits each
    using Four = int32_t __attribute__((may_alias, aligned(1)));  // bytes of a row, side by side
    static constexpr int kLanes = 16;                             // rows
    static constexpr bool kSigned8 = false;  // integers are unsigned, their offset is taken from the sums
    static constexpr size_t kAhead = 0;      // see prefetch

    CONCLAVE_INLINE Floats zero() { return _mm512_setzero_ps(); }
    CONCLAVE_INLINE Integers none() { return _mm512_setzero_si512(); }
    CONCLAVE_INLINE Floats broadcast(const float* from) { return _mm512_set1_ps(*from); }
    CONCLAVE_INLINE Integers broadcast(const int32_t* from) { return _mm512_set1_epi32(*from); }
    CONCLAVE_INLINE Floats halves(const std::byte* from) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    CONCLAVE_INLINE Integers unsignedBytes(const std::byte* from) {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    CONCLAVE_INLINE Integers signedBytes(const std::byte* from) {
        return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    CONCLAVE_INLINE Integers load(const std::byte* from) { return _mm512_loadu_si512(from); }
    template <int by> CONCLAVE_INLINE Integers left(Integers x) { return _mm512_slli_epi32(x, by); }
    template <int by> CONCLAVE_INLINE Integers right(Integers x) { return _mm512_srli_epi32(x, by); }
    CONCLAVE_INLINE Integers mask(Integers x, uint32_t bits) {
        return _mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(bits)));
    }
    CONCLAVE_INLINE Integers join(Integers x, Integers y) { return _mm512_or_si512(x, y); }
    CONCLAVE_INLINE Floats toFloats(Integers x) { return _mm512_cvtepi32_ps(x); }
    CONCLAVE_INLINE Floats multiply(Floats x, Floats y) { return _mm512_mul_ps(x, y); }
    CONCLAVE_INLINE Floats fma(Floats x, Floats y, Floats z) { return _mm512_fmadd_ps(x, y, z); }
    CONCLAVE_INLINE Floats fnma(Floats x, Floats y, Floats z) { return _mm512_fnmadd_ps(x, y, z); }
    CONCLAVE_INLINE void store(float* to, Floats x) { _mm512_storeu_ps(to, x); }

    /// sum[r] += the products of the runs first … last - 1 with activation row r.
    template <int bits, int first, int last, int rows, class Unit>
    CONCLAVE_INLINE void dot(const Unit& unit, const std::byte* x, Integers (&sum)[rows]) {
#pragma GCC unroll 8
        for (int at = first; at < last; ++at) {
            const __m512i w = unit(at);
#pragma GCC unroll 16
            for (int r = 0; r < rows; ++r) {
                // GCC 12 does not give the instruction its operand in memory, but loads and spreads it first.
                asm("vpdpbusd %2%{1to16%}, %1, %0"
                    : "+v"(sum[r])
                    : "v"(w), "m"(*reinterpret_cast<const Four*>(x + (at * rows + r) * 4)));
            }
        }
    }
};

}  // namespace
}  // namespace conclave::engine::kernels::cpu
