#include "engine/kernels/reference/loops/tile.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {
namespace {

using Pairs8 = uint32_t __attribute__((vector_size(32)));

/// The odd ones (or the even) of eight neighbouring pairs of bfloat16.
template <bool odd> CONCLAVE_INLINE Lanes8 ofPairs(const std::byte* pairs) {
    Pairs8 words;
    __builtin_memcpy(&words, pairs, sizeof words);
    if constexpr (odd)
        return held8(Lanes8(words & 0xffff0000u));
    else
        return held8(Lanes8(words << 16));
}

/// One of each of eight pairs, for eight lanes of each sum.
template <int W, int X, Lanes8 Lanes::*eight, bool odd>
CONCLAVE_INLINE void multiplyHalf(const std::byte* w, size_t wStride, const std::byte* x, size_t xStride,
                                  Lanes (&sums)[W][X]) {
    Lanes8 weights[W];
#pragma GCC unroll 8
    for (int i = 0; i < W; ++i)
        weights[i] = ofPairs<odd>(w + static_cast<size_t>(i) * wStride);
#pragma GCC unroll 8
    for (int j = 0; j < X; ++j) {
        const Lanes8 values = ofPairs<odd>(x + static_cast<size_t>(j) * xStride);
#pragma GCC unroll 8
        for (int i = 0; i < W; ++i)
            sums[i][j].*eight = fma8(weights[i], values, sums[i][j].*eight);
    }
}

/// 32 elements of each row.
template <int W, int X>
CONCLAVE_INLINE void multiplyPairs(const std::byte* w, size_t wStride, const std::byte* x, size_t xStride,
                                   Lanes (&sums)[W][X]) {
    multiplyHalf<W, X, &Lanes::low, true>(w, wStride, x, xStride, sums);
    multiplyHalf<W, X, &Lanes::low, false>(w, wStride, x, xStride, sums);
    multiplyHalf<W, X, &Lanes::high, true>(w + 32, wStride, x + 32, xStride, sums);
    multiplyHalf<W, X, &Lanes::high, false>(w + 32, wStride, x + 32, xStride, sums);
}

/// What is left of some rows, filled up with zeros to 32 elements.
template <int rows> struct Filled {
    std::byte values[rows][64] = {};
    Filled(const std::byte* from, size_t stride, size_t bytes) {
        for (int i = 0; i < rows; ++i)
            __builtin_memcpy(values[i], from + static_cast<size_t>(i) * stride, bytes);
    }
};

/// As tile() in tile.h; strides in bytes.
template <int W, int X, bool tail>
CONCLAVE_INLINE void pairTile(const std::byte* w, size_t wStride, const std::byte* x, size_t xStride,
                              size_t cols, Lanes8* out) {
    Lanes sums[W][X] = {};
    const size_t whole = cols / 32 * 64;
    for (size_t at = 0; at < whole; at += 64)
        multiplyPairs<W, X>(w + at, wStride, x + at, xStride, sums);
    if constexpr (tail) {
        const size_t left = cols % 32 * 2;
        const Filled<W> weights(w + whole, wStride, left);
        const Filled<X> values(x + whole, xStride, left);
        multiplyPairs<W, X>(weights.values[0], 64, values.values[0], 64, sums);
    }
#pragma GCC unroll 8
    for (int j = 0; j < X; ++j)
#pragma GCC unroll 8
        for (int i = 0; i < W; ++i)
            out[static_cast<size_t>(j) * kTogether + static_cast<size_t>(i)] =
                sums[i][j].low + sums[i][j].high;
}

template <int W, int X, bool tail>
CONCLAVE_APART void pairStripe(const std::byte* w, size_t wStride, size_t wRows, const std::byte* x,
                               size_t xStride, size_t cols, float* y, size_t yStride) {
    sumRows<W, X>(
        wRows, y, yStride,
        [&](size_t row, Lanes8 * out) __attribute__((always_inline)) {
            pairTile<W, X, tail>(w + row * wStride, wStride, x, xStride, cols, out);
        },
        [&](size_t row, Lanes8 * out) __attribute__((always_inline)) {
            pairTile<1, X, tail>(w + row * wStride, wStride, x, xStride, cols, out);
        });
}

template <bool tail>
void multiplyRows(const std::byte* w, size_t wStride, size_t wRows, const std::byte* x, size_t xStride,
                  size_t xRows, size_t cols, float* y, size_t yStride) {
    size_t r = 0;
    for (; r + 3 <= xRows; r += 3)
        pairStripe<2, 3, tail>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride);
    if (xRows - r == 2)
        pairStripe<2, 2, tail>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride);
    if (xRows - r == 1)
        pairStripe<4, 1, tail>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride);
}

}  // namespace

void multiplyBfloat16s(const std::byte* w, size_t wStride, size_t wRows, const std::byte* x, size_t xStride,
                       size_t xRows, size_t cols, float* y, size_t yStride) {
    if (cols % 32 == 0)
        multiplyRows<false>(w, wStride, wRows, x, xStride, xRows, cols, y, yStride);
    else
        multiplyRows<true>(w, wStride, wRows, x, xStride, xRows, cols, y, yStride);
}

void toBfloat16s(const float* x, size_t count, std::byte* out) {
    for (size_t i = 0; i < count; ++i) {
        const uint32_t bits = __builtin_bit_cast(uint32_t, x[i]);
        const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
        const uint32_t nan = (bits | 0x00400000u) >> 16;
        const auto half = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
        __builtin_memcpy(out + 2 * i, &half, sizeof half);
    }
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
