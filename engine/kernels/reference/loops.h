#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/quant/format.h"

/// The inner loops of the reference row: plain functions over plain memory. The same sources are compiled
/// twice, once for any x86-64 and once for processors with AVX2, FMA and F16C, and give the same bits; only
/// the speed differs. They use nothing of the standard library but integer types, so that no inline function
/// compiled for the newer processor can be linked into code that runs on the older one.
namespace conclave::engine::kernels::reference {

/// One row of activations as int8, in blocks of 32 values (numerics.md, "Int8").
struct Int8Row {
    int8_t* values;   ///< [cols]
    float* scales;    ///< [cols / 32] a
    float* sums;      ///< [cols / 32] a * (sum of the block's values)
    float* halfSums;  ///< [cols / 16] sum of 16 values, not scaled
};

/// One row of weights taken apart into integers: value = scale * integer - minimum, for runs of 16 or 32
/// values.
struct UnpackedRow {
    int8_t* values;   ///< [cols]
    float* scales;    ///< [cols / run]
    float* minimums;  ///< [cols / run]; written only where the format has minimums
};
struct UnpackedShape {
    uint32_t run = 0;  ///< 16 or 32; 0 = the format has no int8 form
    bool minimums = false;
};
UnpackedShape unpackedShape(quant::Format format);

/// Attention of some heads that share keys and values, at some neighbouring positions of one sequence: keys
/// are widened once for all of them. Each (row, head) has the bits that it has alone.
struct AttendUnit {
    const float* q;  ///< [rows][heads][keyDim], qRowStride and qStride apart
    size_t qStride, qRowStride;
    size_t heads, rows;  ///< at most kMostQueries together
    std::byte* const* pages;
    size_t keyOffset, valueOffset;  ///< bytes from the start of a page to position 0
    size_t keyStride, valueStride;  ///< values from position to position
    size_t keyDim, valueDim;
    bool half;  ///< stored as IEEE half
    float scale;
    size_t first, last;  ///< row r sees the positions first … last + r, both ends included
    float* out;          ///< [rows][heads][valueDim], outRowStride and outStride apart
    size_t outStride, outRowStride;
    float* scratch;  ///< attendScratch(heads * rows, keyDim, valueDim) floats
};
/// Floats from row to row of what is walked across: rows that lie a power of two apart share the few places
/// that a cache has for them.
inline constexpr size_t kMostBesides = 16;
constexpr size_t besides(size_t dim) {
    return dim % 64 == 0 ? dim + kMostBesides : dim;
}
inline constexpr size_t kMostQueries = 32;  ///< of one unit
constexpr size_t attendScratch(size_t queries, size_t keyDim, size_t valueDim) {
    const size_t scores = 64;
    return queries * (scores + keyDim + 2 * valueDim + kMostBesides);
}

/// What a span of keys adds to the heads of a row: values weighted by e^(score - most), and the sum of the
/// weights. Spans join in ascending order.
struct SpanSums {
    float* values;   ///< [heads][valueDim], `stride` apart
    size_t stride;   ///< besides(valueDim)
    float* mosts;    ///< [heads]
    float* weights;  ///< [heads]
};
inline constexpr size_t kSpan = 512;  ///< positions that are summed on their own, from multiples of it on

/// y[r * yStride + o] = w[o] · x[r], rows of bfloat16 wStride and xStride bytes apart, at any address:
/// sixteen sums of pairs and the tree (numerics.md, "BF16 products").
using MultiplyBfloat16s = void (*)(const std::byte* w, size_t wStride, size_t wRows, const std::byte* x,
                                   size_t xStride, size_t xRows, size_t cols, float* y, size_t yStride);

struct Loops {
    /// `values` values of a row of any float or block format to float32; whole blocks.
    void (*decode)(quant::Format format, const std::byte* in, size_t values, float* out);

    /// y[r * yStride + o] = w[o] · x[r], 16 lanes and the tree.
    void (*multiply)(const float* w, size_t wStride, size_t wRows, const float* x, size_t xStride,
                     size_t xRows, size_t cols, float* y, size_t yStride);

    /// The same with rows of F16 or BF16 as they lie, wStride bytes apart: bit for bit what
    /// multiply() makes of what decode() makes of them.
    void (*multiplyNarrow)(quant::Format format, const std::byte* w, size_t wStride, size_t wRows,
                           const float* x, size_t xStride, size_t xRows, size_t cols, float* y,
                           size_t yStride);

    /// IEEE halves, as quant::floatToHalf() makes them; every NaN becomes the same.
    void (*toHalves)(const float* x, size_t count, std::byte* out);
    /// To nearest even; a NaN stays one.
    void (*toBfloat16s)(const float* x, size_t count, std::byte* out);
    MultiplyBfloat16s multiplyBfloat16s;
    /// `rest`, where it is not null, gets what the rounding left: fma(-scale, integer, x).
    void (*quantise)(const float* x, size_t cols, Int8Row out, float* rest);
    void (*unpack)(quant::Format format, const std::byte* in, size_t cols, UnpackedRow out);
    float (*multiplyInt8)(UnpackedShape shape, UnpackedRow w, Int8Row x, size_t cols);

    void (*attend)(const AttendUnit& unit);
    /// One span of one row; unit.out is not used.
    void (*attendSpan)(const AttendUnit& unit, SpanSums sums);
    /// Adds a later span to `total`.
    void (*joinSpans)(SpanSums total, SpanSums span, size_t heads, size_t valueDim);
    /// out[head] = values / weight.
    void (*endSpans)(SpanSums total, size_t heads, size_t valueDim, float* out, size_t outStride);

    void (*norm)(const float* x, const float* weight, float eps, size_t cols, float* y);
    /// Pairs (x[i], x[i + dim/2]), or (x[2i], x[2i + 1]) where interleaved.
    void (*rope)(float* x, size_t dim, const float* cosines, const float* sines, bool interleaved);
    void (*gateUp)(const float* gate, const float* up, size_t count, float* y);
    void (*softmax)(const float* x, size_t count, float* out);
    void (*sigmoid)(const float* x, size_t count, float* out);
    /// y[o] = fma(scale, u, y[o]) with u the sum over k ascending of t[k] * b[k * bStride + o].
    void (*addLowRank)(const float* t, size_t rank, const float* b, size_t bStride, size_t count, float scale,
                       float* y);
    /// y[i] = fma(factor, x[i], y[i])
    void (*addScaled)(float factor, const float* x, size_t count, float* y);
};

/// For any x86-64.
const Loops& plainLoops();
/// For processors where fusedSupported().
const Loops& fusedLoops();
/// AVX2, FMA and F16C are there.
bool fusedSupported();
/// The fastest that this processor runs.
const Loops& loops();

}  // namespace conclave::engine::kernels::reference
