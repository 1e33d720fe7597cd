#pragma once

#include "engine/kernels/reference/loops/tile.h"

/// Sums of rows, each times a weight: out[query][d] = fma(weight of a row, row[d], out[query][d]), rows
/// ascending. Rows are float32 or IEEE halves. The weights of a query lie kWeights apart.
namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {

inline constexpr size_t kWeights = 64;  ///< from query to query

/// Q queries and 16 * B dimensions at once: as many sums as hide a multiplication's latency.
template <int Q, int B, class Value>
CONCLAVE_INLINE void addBlock(const Value* rows, size_t stride, const float* weights, size_t count,
                              float* out, size_t outStride) {
    const auto outAt = [&](int q, int b) __attribute__((always_inline)) {
        return out + static_cast<size_t>(q) * outStride + 16 * static_cast<size_t>(b);
    };
    Lanes sums[Q][B];
#pragma GCC unroll 6
    for (int q = 0; q < Q; ++q)
#pragma GCC unroll 6
        for (int b = 0; b < B; ++b)
            sums[q][b] = loadLanes(outAt(q, b));
    for (size_t i = 0; i < count; ++i)
#pragma GCC unroll 6
        for (int b = 0; b < B; ++b) {
            const Lanes value = loadLanes(rows + i * stride + 16 * static_cast<size_t>(b));
#pragma GCC unroll 6
            for (int q = 0; q < Q; ++q) {
                const Lanes8 weight = broadcast8(weights[static_cast<size_t>(q) * kWeights + i]);
                sums[q][b] = fmaLanes({weight, weight}, value, sums[q][b]);
            }
        }
#pragma GCC unroll 6
    for (int q = 0; q < Q; ++q)
#pragma GCC unroll 6
        for (int b = 0; b < B; ++b)
            storeLanes(outAt(q, b), sums[q][b]);
}

/// One query, from dimension `d` on.
template <class Value>
CONCLAVE_INLINE void addQuery(const Value* rows, size_t stride, const float* weights, size_t count, size_t d,
                              size_t dim, float* out, Ahead& ahead) {
    for (; d + 64 <= dim; d += 64) {
        for (int part = 0; part < 4; ++part)
            ahead.ask();
        addBlock<1, 4>(rows + d, stride, weights, count, out + d, 0);
    }
    for (; d + 16 <= dim; d += 16)
        addBlock<1, 1>(rows + d, stride, weights, count, out + d, 0);
    for (size_t i = 0; i < count; ++i)
        for (size_t rest = d; rest < dim; ++rest)
            out[rest] = __builtin_fmaf(weights[i], widen(rows[i * stride + rest]), out[rest]);
}

/// `queries` of them, six at a time, at 16 dimensions: a line of each row serves all before the next line is
/// fetched.
template <class Value>
CONCLAVE_INLINE void addLines(const Value* rows, size_t stride, const float* weights, size_t count,
                              size_t queries, float* out, size_t outStride, Ahead& ahead) {
    for (; queries >= 6; queries -= 6, weights += 6 * kWeights, out += 6 * outStride) {
        ahead.ask();
        addBlock<6, 1>(rows, stride, weights, count, out, outStride);
    }
    if (queries > 0) ahead.ask();
    switch (queries) {
    case 5:
        return addBlock<5, 1>(rows, stride, weights, count, out, outStride);
    case 4:
        return addBlock<4, 1>(rows, stride, weights, count, out, outStride);
    case 3:
        return addBlock<3, 1>(rows, stride, weights, count, out, outStride);
    case 2:
        return addBlock<2, 1>(rows, stride, weights, count, out, outStride);
    case 1:
        return addBlock<1, 1>(rows, stride, weights, count, out, outStride);
    default:
        return;
    }
}

/// How often addQueries asks.
constexpr size_t asksOfSums(size_t queries, size_t dim) {
    return (queries + 5) / 6 * (dim / 16);
}

/// Some queries that see all `count` rows.
template <class Value>
CONCLAVE_INLINE void addQueries(const Value* rows, size_t stride, const float* weights, size_t count,
                                size_t queries, size_t dim, float* out, size_t outStride, Ahead& ahead) {
    size_t d = 0;
    if (queries > 1)
        for (; d + 16 <= dim; d += 16)
            addLines(rows + d, stride, weights, count, queries, out + d, outStride, ahead);
    if (d < dim)
        for (size_t q = 0; q < queries; ++q)
            addQuery(rows, stride, weights + q * kWeights, count, d, dim, out + q * outStride, ahead);
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
