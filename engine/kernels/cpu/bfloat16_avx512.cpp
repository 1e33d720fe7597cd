#include "engine/kernels/cpu/bfloat16.h"

#include <immintrin.h>

#include "engine/kernels/trees.h"

namespace conclave::engine::kernels::cpu {
namespace {

/// 32 values of a row, those that `there` names; zeros for the others.
CONCLAVE_INLINE __m512bh pairsAt(const std::byte* row, __mmask32 there) {
    return reinterpret_cast<__m512bh>(_mm512_maskz_loadu_epi16(there, row));
}

/// W rows of weights with X of activations; out[j * kTogether + i] is their sum, lanes i and i + 8 added. The
/// instruction takes the odd value of a pair first.
template <int W, int X>
CONCLAVE_INLINE void tile(const std::byte* w, size_t wStride, const std::byte* x, size_t xStride, size_t cols,
                          Lanes8* out) {
    __m512 sums[W][X];
#pragma GCC unroll 8
    for (int i = 0; i < W; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < X; ++j)
            sums[i][j] = _mm512_setzero_ps();
    const auto multiply = [&](size_t at, __mmask32 there) __attribute__((always_inline)) {
        __m512bh weights[W];
#pragma GCC unroll 8
        for (int i = 0; i < W; ++i)
            weights[i] = pairsAt(w + static_cast<size_t>(i) * wStride + at, there);
#pragma GCC unroll 8
        for (int j = 0; j < X; ++j) {
            const __m512bh values = pairsAt(x + static_cast<size_t>(j) * xStride + at, there);
#pragma GCC unroll 8
            for (int i = 0; i < W; ++i)
                sums[i][j] = _mm512_dpbf16_ps(sums[i][j], weights[i], values);
        }
    };
    const size_t whole = cols / 32 * 64;
    for (size_t at = 0; at < whole; at += 64)
        multiply(at, ~__mmask32{0});
    if (cols % 32 != 0) multiply(whole, (__mmask32{1} << cols % 32) - 1);
#pragma GCC unroll 8
    for (int j = 0; j < X; ++j)
#pragma GCC unroll 8
        for (int i = 0; i < W; ++i) {
            const __m256 low = _mm512_castps512_ps256(sums[i][j]),
                         high = _mm512_extractf32x8_ps(sums[i][j], 1);
            out[static_cast<size_t>(j) * kTogether + static_cast<size_t>(i)] =
                reinterpret_cast<Lanes8>(_mm256_add_ps(low, high));
        }
}

/// All rows of weights with X of activations, four at a time: 4 x 6 sums, as many as the registers hold.
template <int X>
CONCLAVE_APART void stripe(const std::byte* w, size_t wStride, size_t wRows, const std::byte* x,
                           size_t xStride, size_t cols, float* y, size_t yStride) {
    sumRows<4, X>(
        wRows, y, yStride,
        [&](size_t row, Lanes8 * out)
            __attribute__((always_inline)) { tile<4, X>(w + row * wStride, wStride, x, xStride, cols, out); },
        [&](size_t row, Lanes8 * out) __attribute__((always_inline)) {
            tile<1, X>(w + row * wStride, wStride, x, xStride, cols, out);
        });
}

}  // namespace

void multiplyBfloat16sAvx512(const std::byte* w, size_t wStride, size_t wRows, const std::byte* x,
                             size_t xStride, size_t xRows, size_t cols, float* y, size_t yStride) {
    const auto some = [&](auto* product, size_t r) {
        product(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride);
    };
    size_t r = 0;
    for (; r + 6 <= xRows; r += 6)
        some(stripe<6>, r);
    switch (xRows - r) {
    case 5:
        return some(stripe<5>, r);
    case 4:
        return some(stripe<4>, r);
    case 3:
        return some(stripe<3>, r);
    case 2:
        return some(stripe<2>, r);
    case 1:
        return some(stripe<1>, r);
    default:
        return;
    }
}

}  // namespace conclave::engine::kernels::cpu
