#pragma once

#include "engine/kernels/lanes.h"

/// The trees of many sums (numerics.md, "One tree"), side by side. For files that are compiled for one
/// instruction set each (lanes.h).
namespace conclave::engine::kernels {

/// What is left of sumLanes when lanes i and i + 8 are added, for eight sums at once: the same additions,
/// side by side.
CONCLAVE_INLINE Lanes8 sumEight(const Lanes8 (&sums)[8]) {
    // [a0 + a4 … a3 + a7, b0 + b4 … b3 + b7]
    const auto two = [](Lanes8 a, Lanes8 b) __attribute__((always_inline)) {
        return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) +
               __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
    };
    // [a02, a13, c02, c13, b02, b13, d02, d13]
    const auto four = [](Lanes8 ab, Lanes8 cd) __attribute__((always_inline)) {
        return __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) +
               __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    };
    const Lanes8 first = four(two(sums[0], sums[4]), two(sums[1], sums[5]));
    const Lanes8 second = four(two(sums[2], sums[6]), two(sums[3], sums[7]));
    // The halves of a register are sums 0 … 3 and 4 … 7.
    return __builtin_shufflevector(first, second, 0, 2, 8, 10, 4, 6, 12, 14) +
           __builtin_shufflevector(first, second, 1, 3, 9, 11, 5, 7, 13, 15);
}

inline constexpr size_t kTogether = 16;  ///< sums of an activation that go through the tree at once

/// The trees of `count` sums, to y. The last eight are computed as eight.
CONCLAVE_INLINE void sumTrees(Lanes8 (&sums)[kTogether], size_t count, float* y) {
    for (size_t i = count; i % 8 != 0; ++i)
        sums[i] = Lanes8{};
    for (size_t at = 0; at < count; at += 8) {
        Lanes8 eight[8];
#pragma GCC unroll 8
        for (size_t i = 0; i < 8; ++i)
            eight[i] = sums[at + i];
        const Lanes8 trees = sumEight(eight);
        if (at + 8 <= count)
            store8(y + at, trees);
        else
            for (size_t i = at; i < count; ++i)
                y[i] = trees[i - at];
    }
}

/// The products of wRows rows of weights with X of activations: many(row, out) computes W rows from `row` on,
/// one(row, out) a single one; out[j * kTogether + i] is the sum of weight row + i and activation j, lanes i
/// and i + 8 added. The trees come after many tiles: each waits long for its own additions and the
/// multiplications behind it would wait with it.
template <int W, int X, class Many, class One>
CONCLAVE_INLINE void sumRows(size_t wRows, float* y, size_t yStride, const Many& many, const One& one) {
    Lanes8 sums[X][kTogether];
    for (size_t first = 0; first < wRows; first += kTogether) {
        const size_t count = wRows - first < kTogether ? wRows - first : kTogether;
        size_t o = 0;
        for (; o + W <= count; o += W)
            many(first + o, &sums[0][0] + o);
        for (; o < count; ++o)
            one(first + o, &sums[0][0] + o);
#pragma GCC unroll 8
        for (int j = 0; j < X; ++j)
            sumTrees(sums[j], count, y + static_cast<size_t>(j) * yStride + first);
    }
}

}  // namespace conclave::engine::kernels
