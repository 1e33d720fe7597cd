#include "engine/kernels/lanes.h"
#include "engine/kernels/reference/loops/parts.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {
namespace {

/// The last cols % 16 elements go to the first lanes; the others keep what they have.
CONCLAVE_INLINE Lanes addTail(Lanes lanes, const float* w, const float* x, size_t count) {
    if (count == 0) return lanes;
    float values[16];
    storeLanes(values, lanes);
    for (size_t i = 0; i < count; ++i)
        values[i] = __builtin_fmaf(w[i], x[i], values[i]);
    return loadLanes(values);
}

/// W rows of weights with X rows of activations. Each sum has its own lanes, so that its bits do not know W
/// and X.
template <int W, int X>
CONCLAVE_INLINE void tile(const float* w, size_t wStride, const float* x, size_t xStride, size_t cols,
                          float* y, size_t yStride) {
    Lanes sums[W][X] = {};
    const size_t whole = cols - cols % 16;
    for (size_t k = 0; k < whole; k += 16) {
        Lanes weights[W];
#pragma GCC unroll 8
        for (int i = 0; i < W; ++i)
            weights[i] = loadLanes(w + static_cast<size_t>(i) * wStride + k);
#pragma GCC unroll 8
        for (int j = 0; j < X; ++j) {
            const Lanes values = loadLanes(x + static_cast<size_t>(j) * xStride + k);
#pragma GCC unroll 8
            for (int i = 0; i < W; ++i)
                sums[i][j] = fmaLanes(weights[i], values, sums[i][j]);
        }
    }
    if (cols != whole)
#pragma GCC unroll 8
        for (int j = 0; j < X; ++j)
#pragma GCC unroll 8
            for (int i = 0; i < W; ++i)
                sums[i][j] = addTail(sums[i][j], w + static_cast<size_t>(i) * wStride + whole,
                                     x + static_cast<size_t>(j) * xStride + whole, cols - whole);
    constexpr int kSums = W * X;
    float out[kSums];
    const auto sum = [&](int at) __attribute__((always_inline))->const Lanes& {
        return sums[at % W][at / W];
    };
#pragma GCC unroll 8
    for (int at = 0; at + 4 <= kSums; at += 4)
        sumFourLanes(sum(at), sum(at + 1), sum(at + 2), sum(at + 3), out + at);
#pragma GCC unroll 8
    for (int at = kSums / 4 * 4; at < kSums; ++at)
        out[at] = sumLanes(sum(at));
#pragma GCC unroll 8
    for (int j = 0; j < X; ++j)
#pragma GCC unroll 8
        for (int i = 0; i < W; ++i)
            y[static_cast<size_t>(j) * yStride + static_cast<size_t>(i)] = out[j * W + i];
}

/// All rows of weights with X rows of activations, W at a time.
template <int W, int X>
CONCLAVE_INLINE void stripe(const float* w, size_t wStride, size_t wRows, const float* x, size_t xStride,
                            size_t cols, float* y, size_t yStride) {
    size_t o = 0;
    for (; o + W <= wRows; o += W)
        tile<W, X>(w + o * wStride, wStride, x, xStride, cols, y + o, yStride);
    for (; o < wRows; ++o)
        tile<1, X>(w + o * wStride, wStride, x, xStride, cols, y + o, yStride);
}

}  // namespace

void multiply(const float* w, size_t wStride, size_t wRows, const float* x, size_t xStride, size_t xRows,
              size_t cols, float* y, size_t yStride) {
    size_t r = 0;
    for (; r + 3 <= xRows; r += 3)  // 2 x 3 sums of two registers: as many as AVX2 holds
        stripe<2, 3>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride);
    if (xRows - r == 2)
        stripe<2, 2>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride);
    if (xRows - r == 1)
        stripe<4, 1>(w, wStride, wRows, x + r * xStride, xStride, cols, y + r * yStride, yStride);
}

void roundToBfloat16(const float* x, size_t count, float* out) {
    for (size_t i = 0; i < count; ++i) {
        const uint32_t bits = __builtin_bit_cast(uint32_t, x[i]);
        const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
        const uint32_t nan = (bits | 0x00400000u) & 0xffff0000u;
        out[i] = __builtin_bit_cast(float, (bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
    }
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
