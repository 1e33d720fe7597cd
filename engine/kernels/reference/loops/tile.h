#pragma once

#include "engine/kernels/halves.h"
#include "engine/kernels/reference/loops/parts.h"
#include "engine/kernels/trees.h"

/// Products of some rows with some rows, sixteen lanes and the tree (numerics.md, "Float products"). The left
/// rows are float32 or IEEE halves; the sums are the same whatever else is multiplied at once.
namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {

/// What will be needed next, asked for a little at a time between multiplications: a core that asks for much
/// at once waits for it.
struct Ahead {
    const std::byte* at = nullptr;
    const std::byte* end = nullptr;
    size_t lines = 0;  ///< of 64 bytes, each time

    [[gnu::always_inline]] void ask() {
        for (size_t i = 0; i < lines && at < end; ++i, at += 64)
            __builtin_prefetch(at);
    }
};

/// Eight elements of each row, for eight lanes of each sum.
template <int W, int X, Lanes8 Lanes::*eight, class Weight>
CONCLAVE_INLINE void multiplyEight(const Weight* w, size_t wStride, const float* x, size_t xStride,
                                   Lanes (&sums)[W][X]) {
    Lanes8 weights[W];
#pragma GCC unroll 8
    for (int i = 0; i < W; ++i)
        weights[i] = held8(load8(w + static_cast<size_t>(i) * wStride));
#pragma GCC unroll 8
    for (int j = 0; j < X; ++j) {
        const Lanes8 values = held8(load8(x + static_cast<size_t>(j) * xStride));
#pragma GCC unroll 8
        for (int i = 0; i < W; ++i)
            sums[i][j].*eight = fma8(weights[i], values, sums[i][j].*eight);
    }
}

/// The last cols % 16 elements go to the first lanes; the others keep what they have.
template <class Weight>
CONCLAVE_INLINE Lanes addTail(Lanes lanes, const Weight* w, const float* x, size_t count) {
    float values[16];
    storeLanes(values, lanes);
    for (size_t i = 0; i < count; ++i)
        values[i] = __builtin_fmaf(widen(w[i]), x[i], values[i]);
    return loadLanes(values);
}

/// W rows of weights with X rows of activations; out[j * kTogether + i] is the sum of weight i and activation
/// j, lanes i and i + 8 added. Each sum has its own lanes, so that its bits do not know W and X.
template <int W, int X, bool tail, class Weight>
CONCLAVE_INLINE void tile(const Weight* w, size_t wStride, const float* x, size_t xStride, size_t cols,
                          Lanes8* out) {
    Lanes sums[W][X] = {};
    const size_t whole = cols - cols % 16;
    // Eight lanes and then the other eight: the registers hold the sums, W weights and one activation.
    for (size_t k = 0; k < whole; k += 16) {
        multiplyEight<W, X, &Lanes::low>(w + k, wStride, x + k, xStride, sums);
        multiplyEight<W, X, &Lanes::high>(w + k + 8, wStride, x + k + 8, xStride, sums);
    }
#pragma GCC unroll 8
    for (int j = 0; j < X; ++j)
#pragma GCC unroll 8
        for (int i = 0; i < W; ++i) {
            if constexpr (tail)
                sums[i][j] = addTail(sums[i][j], w + static_cast<size_t>(i) * wStride + whole,
                                     x + static_cast<size_t>(j) * xStride + whole, cols - whole);
            out[static_cast<size_t>(j) * kTogether + static_cast<size_t>(i)] =
                sums[i][j].low + sums[i][j].high;
        }
}

/// All rows of weights with X rows of activations, W at a time.
template <int W, int X, bool tail, class Weight>
CONCLAVE_INLINE void stripe(const Weight* w, size_t wStride, size_t wRows, const float* x, size_t xStride,
                            size_t cols, float* y, size_t yStride, Ahead& ahead) {
    sumRows<W, X>(
        wRows, y, yStride,
        [&](size_t row, Lanes8 * out) __attribute__((always_inline)) {
            ahead.ask();
            tile<W, X, tail>(w + row * wStride, wStride, x, xStride, cols, out);
        },
        [&](size_t row, Lanes8 * out) __attribute__((always_inline)) {
            tile<1, X, tail>(w + row * wStride, wStride, x, xStride, cols, out);
        });
}

template <bool tail, class Weight>
CONCLAVE_INLINE void multiplyTiles(const Weight* w, size_t wStride, size_t wRows, const float* x,
                                   size_t xStride, size_t xRows, size_t cols, float* y, size_t yStride,
                                   Ahead& ahead) {
    size_t r = 0;
    for (; r + 3 <= xRows; r += 3)  // 2 x 3 sums of two registers: as many as AVX2 holds
        stripe<2, 3, tail>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride,
                           ahead);
    if (xRows - r == 2)
        stripe<2, 2, tail>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride,
                           ahead);
    if (xRows - r == 1)
        stripe<4, 1, tail>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride,
                           ahead);
}

/// How often multiplyRows asks.
constexpr size_t asksOf(size_t wRows, size_t xRows) {
    const size_t pairs = (wRows + 1) / 2, fours = (wRows + 3) / 4;
    return xRows / 3 * pairs + (xRows % 3 == 2 ? pairs : 0) + (xRows % 3 == 1 ? fours : 0);
}

/// y[r * yStride + o] = w[o] · x[r] for rows of `cols` values, of which w's lie wStride apart.
template <class Weight>
CONCLAVE_INLINE void multiplyRows(const Weight* w, size_t wStride, size_t wRows, const float* x,
                                  size_t xStride, size_t xRows, size_t cols, float* y, size_t yStride,
                                  Ahead ahead = {}) {
    if (cols % 16 == 0)
        multiplyTiles<false>(w, wStride, wRows, x, xStride, xRows, cols, y, yStride, ahead);
    else
        multiplyTiles<true>(w, wStride, wRows, x, xStride, xRows, cols, y, yStride, ahead);
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
