#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "engine/kernels/inline.h"

/// Eight rows of a stripe in a register of AVX2, for tile.h.
namespace conclave::engine::kernels::cpu {
namespace {

struct Avx2 {
    using Floats = __m256;
    using Integers = __m256i;               // 32 bits each
    static constexpr int kLanes = 8;        // rows
    static constexpr bool kSigned8 = true;  // integers of 8 bits lose their offset before the product
    static constexpr size_t kAhead = 2048;  // bytes a row or two ask for ahead, see prefetch

    CONCLAVE_INLINE Floats zero() { return _mm256_setzero_ps(); }
    CONCLAVE_INLINE Integers none() { return _mm256_setzero_si256(); }
    CONCLAVE_INLINE Floats broadcast(const float* from) { return _mm256_broadcast_ss(from); }
    CONCLAVE_INLINE Integers broadcast(const int32_t* from) { return _mm256_set1_epi32(*from); }
    CONCLAVE_INLINE Floats halves(const std::byte* from) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    CONCLAVE_INLINE Integers unsignedBytes(const std::byte* from) {
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
    }
    CONCLAVE_INLINE Integers signedBytes(const std::byte* from) {
        return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
    }
    CONCLAVE_INLINE Integers load(const std::byte* from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    }
    template <int by> CONCLAVE_INLINE Integers left(Integers x) { return _mm256_slli_epi32(x, by); }
    template <int by> CONCLAVE_INLINE Integers right(Integers x) { return _mm256_srli_epi32(x, by); }
    CONCLAVE_INLINE Integers mask(Integers x, uint32_t bits) {
        return _mm256_and_si256(x, _mm256_set1_epi32(static_cast<int>(bits)));
    }
    CONCLAVE_INLINE Integers join(Integers x, Integers y) { return _mm256_or_si256(x, y); }
    CONCLAVE_INLINE Floats toFloats(Integers x) { return _mm256_cvtepi32_ps(x); }
    CONCLAVE_INLINE Floats multiply(Floats x, Floats y) { return _mm256_mul_ps(x, y); }
    CONCLAVE_INLINE Floats fma(Floats x, Floats y, Floats z) { return _mm256_fmadd_ps(x, y, z); }
    CONCLAVE_INLINE Floats fnma(Floats x, Floats y, Floats z) { return _mm256_fnmadd_ps(x, y, z); }
    CONCLAVE_INLINE void store(float* to, Floats x) { _mm256_storeu_ps(to, x); }

    /// sum[r] += the products of the runs first … last - 1 with activation row r. Sixteen bits hold 8, 4, 2
    /// or 1 sums of two products of 4, 5, 6 or 8 bits with at most 127.
    template <int bits, int first, int last, int rows, class Unit>
    CONCLAVE_INLINE void dot(const Unit& unit, const std::byte* x, Integers (&sum)[rows]) {
        constexpr int kSteps = bits == 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1;
        constexpr int kTogether = kSteps < last - first ? kSteps : last - first;
        const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
        for (int at = first; at < last; at += kTogether) {
            __m256i part[rows];
#pragma GCC unroll 8
            for (int step = 0; step < kTogether; ++step) {
                __m256i w = unit(at + step);
                [[maybe_unused]] __m256i sign;
                if constexpr (bits == 8) {
                    sign = _mm256_xor_si256(w, _mm256_set1_epi8(static_cast<char>(0x80)));
                    w = _mm256_abs_epi8(sign);
                }
#pragma GCC unroll 16
                for (int r = 0; r < rows; ++r) {
                    int32_t four;
                    __builtin_memcpy(&four, x + ((at + step) * rows + r) * 4, 4);
                    __m256i values = _mm256_set1_epi32(four);
                    if constexpr (bits == 8) values = _mm256_sign_epi8(values, sign);
                    const __m256i products = _mm256_maddubs_epi16(w, values);
                    part[r] = step == 0 ? products : _mm256_add_epi16(part[r], products);
                    // Else the compiler gathers all products first, which no register file holds.
                    __asm__("" : "+x"(part[r]));
                }
            }
#pragma GCC unroll 16
            for (int r = 0; r < rows; ++r)
                sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(part[r], ones));
        }
    }
};

}  // namespace
}  // namespace conclave::engine::kernels::cpu
