#include "engine/kernels/exponential.h"
#include "engine/kernels/lanes.h"
#include "engine/kernels/reference/loops/parts.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {
namespace {

constexpr size_t kPage = 64;   // positions
constexpr size_t kStep = 16;   // keys that meet all queries before the next
constexpr size_t kWide = 384;  // values of a key, beyond which so many would fill the first cache

/// The running softmax of one query over a run of keys: values weighted by e^(score - most), and the sum of
/// the weights in lanes (key at position p in lane p mod 16).
struct Running {
    float most;
    float weights[16];
};

/// Where the parts of one unit's scratch lie. Query i is row i / heads, head i % heads.
struct Workspace {
    float* scores;   // [queries][64], by place in the page
    float* decoded;  // [64][apart(keyDim or valueDim)], halves only
    float* q;        // [queries][keyDim], side by side
    float* span;     // [queries][spanStride]: values of the present span
    float* total;    // [queries][valueDim]: values of all spans before
    size_t spanStride;
};

/// Floats from row to row of what is walked across: rows that lie a power of two apart share the few places
/// that a cache has for them.
CONCLAVE_INLINE size_t apart(size_t dim) {
    return dim % 64 == 0 ? dim + 16 : dim;
}

/// One past the last position that query i sees.
CONCLAVE_INLINE size_t endOf(const AttendUnit& unit, size_t query) {
    return unit.last + 1 + query / unit.heads;
}

/// The first query that sees position `at`; all behind it do too.
CONCLAVE_INLINE size_t firstThatSees(const AttendUnit& unit, size_t at) {
    return at <= unit.last ? 0 : (at - unit.last) * unit.heads;
}

/// Asks for the rows of the next step, also where they begin another page: what lies in pages is read in runs
/// too short for the processor to guess what comes next.
CONCLAVE_INLINE void askAhead(const AttendUnit& unit, size_t position, size_t offset, size_t stride,
                              size_t dim, size_t count) {
    if (position > unit.last) return;
    const size_t bytes = unit.half ? 2 : 4;
    const std::byte* from = unit.pages[position / kPage] + offset + position % kPage * stride * bytes;
    for (size_t at = 0; at < count * dim * bytes; at += 64)
        __builtin_prefetch(from + at);
}

/// Rows of keys or values at `count` positions as float32: in place, or decoded.
CONCLAVE_INLINE const float* rowsAt(const AttendUnit& unit, size_t position, size_t offset, size_t stride,
                                    size_t dim, size_t count, float* decoded, size_t* rowStride) {
    const std::byte* page = unit.pages[position / kPage] + offset;
    askAhead(unit, position + count, offset, stride, dim, count);
    if (!unit.half) {
        *rowStride = stride;
        return reinterpret_cast<const float*>(page) + position % kPage * stride;
    }
    *rowStride = apart(dim);
    for (size_t i = 0; i < count; ++i)
        decode(quant::Format::F16, page + (position % kPage + i) * stride * 2, dim, decoded + i * *rowStride);
    return decoded;
}

/// scores[query][place] of the keys begin … end - 1, all in one page, for the queries from `query` on. Those
/// of a query behind what it sees are never looked at.
CONCLAVE_INLINE void scorePage(const AttendUnit& unit, const Workspace& work, const float* keys,
                               size_t stride, size_t begin, size_t end, size_t query) {
    const size_t step = unit.keyDim > kWide ? kStep / 2 : kStep;
    for (size_t at = begin; at < end;) {
        const size_t count = step < end - at ? step : end - at;
        multiply(keys + (at - begin) * stride, stride, count, work.q + query * unit.keyDim, unit.keyDim,
                 unit.heads * unit.rows - query, unit.keyDim, work.scores + query * kPage + at % kPage,
                 kPage);
        at += count;
    }
}

/// Scores are multiplied by `scale`; the largest of them and `most`.
CONCLAVE_INLINE float scaleScores(float* scores, size_t begin, size_t end, float scale, float most) {
    Lanes8 mosts = broadcast8(most);
    size_t i = begin;
    for (; i + 8 <= end; i += 8) {
        const Lanes8 scaled = load8(scores + i) * scale;
        mosts = scaled > mosts ? scaled : mosts;
        store8(scores + i, scaled);
    }
    for (int lane = 0; lane < 8; ++lane)
        most = mosts[lane] > most ? mosts[lane] : most;
    for (; i < end; ++i) {
        scores[i] = scores[i] * scale;
        most = scores[i] > most ? scores[i] : most;
    }
    return most;
}

/// Scores become weights e^(score * scale - most), the sums so far are brought to the new `most`.
CONCLAVE_INLINE void weighPage(float* scores, size_t begin, size_t end, float scale, bool firstPage,
                               Running& running, float* values, size_t valueDim) {
    const float most = scaleScores(scores, begin, end, scale, running.most);
    if (!firstPage && most != running.most) {
        const float factor = exponential(running.most - most);
        for (size_t d = 0; d < valueDim; ++d)
            values[d] *= factor;
        for (float& weight : running.weights)
            weight *= factor;
    }
    running.most = most;
    for (size_t i = begin; i < end; ++i)
        scores[i] = exponential(scores[i] - most);
    size_t i = begin;
    for (; i < end && i % 16 != 0; ++i)
        running.weights[i % 16] += scores[i];
    for (; i + 16 <= end; i += 16)
        for (size_t lane = 0; lane < 16; ++lane)
            running.weights[lane] += scores[i + lane];
    for (; i < end; ++i)
        running.weights[i % 16] += scores[i];
}

/// out[query][d] = fma(weight of key, value of key at d, out[query][d]), keys ascending, for Q queries and
/// 16 * B dimensions at once: as many sums as hide a multiplication's latency.
template <int Q, int B>
CONCLAVE_INLINE void addBlock(const float* values, size_t stride, const float* weights, size_t count,
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
            const Lanes value = loadLanes(values + i * stride + 16 * static_cast<size_t>(b));
#pragma GCC unroll 6
            for (int q = 0; q < Q; ++q) {
                const Lanes8 weight = broadcast8(weights[static_cast<size_t>(q) * kPage + i]);
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
CONCLAVE_INLINE void addQuery(const float* values, size_t stride, const float* weights, size_t count,
                              size_t d, size_t dim, float* out) {
    for (; d + 64 <= dim; d += 64)
        addBlock<1, 4>(values + d, stride, weights, count, out + d, 0);
    for (; d + 16 <= dim; d += 16)
        addBlock<1, 1>(values + d, stride, weights, count, out + d, 0);
    for (size_t i = 0; i < count; ++i)
        for (size_t rest = d; rest < dim; ++rest)
            out[rest] = __builtin_fmaf(weights[i], values[i * stride + rest], out[rest]);
}

/// `queries` of them, six at a time, at 16 dimensions: a line of each value serves all before the next line
/// is fetched.
CONCLAVE_INLINE void addLines(const float* values, size_t stride, const float* weights, size_t count,
                              size_t queries, float* out, size_t outStride) {
    for (; queries >= 6; queries -= 6, weights += 6 * kPage, out += 6 * outStride)
        addBlock<6, 1>(values, stride, weights, count, out, outStride);
    switch (queries) {
    case 5:
        return addBlock<5, 1>(values, stride, weights, count, out, outStride);
    case 4:
        return addBlock<4, 1>(values, stride, weights, count, out, outStride);
    case 3:
        return addBlock<3, 1>(values, stride, weights, count, out, outStride);
    case 2:
        return addBlock<2, 1>(values, stride, weights, count, out, outStride);
    case 1:
        return addBlock<1, 1>(values, stride, weights, count, out, outStride);
    default:
        return;
    }
}

/// The values at `count` positions from `at` on, all in one page, for every query that sees them.
CONCLAVE_INLINE void addPage(const AttendUnit& unit, const Workspace& work, const float* values,
                             size_t stride, size_t at, size_t count) {
    const size_t queries = unit.heads * unit.rows, dim = unit.valueDim;
    const float* weights = work.scores + at % kPage;
    size_t query = firstThatSees(unit, at);
    const auto addOne = [&](size_t q, size_t seen, size_t d) {
        addQuery(values, stride, weights + q * kPage, seen, d, dim, work.span + q * work.spanStride);
    };
    for (; query < queries && endOf(unit, query) < at + count; ++query)
        addOne(query, endOf(unit, query) - at, 0);
    if (queries - query == 1) return addOne(query, count, 0);
    for (size_t d = 0; d + 16 <= dim; d += 16)
        addLines(values + d, stride, weights + query * kPage, count, queries - query,
                 work.span + query * work.spanStride + d, work.spanStride);
    if (dim % 16 != 0)
        for (; query < queries; ++query)
            addOne(query, count, dim / 16 * 16);
}

void sumSpan(const AttendUnit& unit, const Workspace& work, size_t begin, size_t end, Running* running) {
    const size_t queries = unit.heads * unit.rows;
    for (size_t i = firstThatSees(unit, begin); i < queries; ++i)
        running[i] = {-__builtin_inff(), {}};
    const size_t first = firstThatSees(unit, begin);
    __builtin_memset(work.span + first * work.spanStride, 0,
                     (queries - first) * work.spanStride * sizeof(float));
    for (size_t at = begin; at < end;) {
        const size_t pageEnd = (at / kPage + 1) * kPage, stop = pageEnd < end ? pageEnd : end;
        const size_t query = firstThatSees(unit, at);
        size_t stride = 0;
        const float* rows =
            rowsAt(unit, at, unit.keyOffset, unit.keyStride, unit.keyDim, stop - at, work.decoded, &stride);
        scorePage(unit, work, rows, stride, at, stop, query);
        for (size_t i = query; i < queries; ++i) {
            const size_t own = endOf(unit, i) < stop ? endOf(unit, i) : stop;
            weighPage(work.scores + i * kPage, at % kPage, (own - 1) % kPage + 1, unit.scale, at == begin,
                      running[i], work.span + i * work.spanStride, unit.valueDim);
        }
        if (unit.valueOffset != unit.keyOffset)  // else a value is the beginning of its key
            rows = rowsAt(unit, at, unit.valueOffset, unit.valueStride, unit.valueDim, stop - at,
                          work.decoded, &stride);
        addPage(unit, work, rows, stride, at, stop - at);
        at = stop;
    }
}

/// The spans before and this one, brought to the larger maximum and added.
CONCLAVE_INLINE void joinSpan(float* total, float* totalMost, float* totalWeight, const float* span,
                              float spanMost, float spanWeight, size_t valueDim) {
    const float most = spanMost > *totalMost ? spanMost : *totalMost;
    const float before = exponential(*totalMost - most), now = exponential(spanMost - most);
    for (size_t d = 0; d < valueDim; ++d)
        total[d] = __builtin_fmaf(span[d], now, total[d] * before);
    *totalWeight = __builtin_fmaf(spanWeight, now, *totalWeight * before);
    *totalMost = most;
}

CONCLAVE_INLINE void endSpan(const float* total, float weight, size_t valueDim, float* out) {
    const float inverse = 1.0f / weight;
    for (size_t d = 0; d < valueDim; ++d)
        out[d] = total[d] * inverse;
}

Workspace workspaceOf(const AttendUnit& unit) {
    const size_t widest = unit.keyDim > unit.valueDim ? unit.keyDim : unit.valueDim;
    const size_t queries = unit.heads * unit.rows;
    Workspace work{};
    work.scores = unit.scratch;
    work.decoded = work.scores + queries * kPage;
    work.q = work.decoded + kPage * apart(widest);
    work.span = work.q + queries * unit.keyDim;
    work.spanStride = apart(unit.valueDim);
    work.total = work.span + queries * work.spanStride;
    return work;
}

void gatherQueries(const AttendUnit& unit, float* q) {
    for (size_t i = 0; i < unit.heads * unit.rows; ++i)
        __builtin_memcpy(q + i * unit.keyDim,
                         unit.q + i / unit.heads * unit.qRowStride + i % unit.heads * unit.qStride,
                         unit.keyDim * sizeof(float));
}

}  // namespace

void attend(const AttendUnit& unit) {
    const Workspace work = workspaceOf(unit);
    const size_t queries = unit.heads * unit.rows;
    gatherQueries(unit, work.q);
    Running running[kMostQueries];
    float most[kMostQueries], weight[kMostQueries];
    const size_t end = endOf(unit, queries - 1);
    for (size_t at = unit.first; at < end;) {
        const size_t spanEnd = (at / kSpan + 1) * kSpan, stop = spanEnd < end ? spanEnd : end;
        sumSpan(unit, work, at, stop, running);
        for (size_t i = firstThatSees(unit, at); i < queries; ++i) {
            float* total = work.total + i * unit.valueDim;
            const float* span = work.span + i * work.spanStride;
            const float spanWeight = sumLanes(loadLanes(running[i].weights));
            if (at == unit.first) {
                most[i] = running[i].most;
                weight[i] = spanWeight;
                __builtin_memcpy(total, span, unit.valueDim * sizeof(float));
            } else {
                joinSpan(total, &most[i], &weight[i], span, running[i].most, spanWeight, unit.valueDim);
            }
        }
        at = stop;
    }
    for (size_t i = 0; i < queries; ++i)
        endSpan(work.total + i * unit.valueDim, weight[i], unit.valueDim,
                unit.out + i / unit.heads * unit.outRowStride + i % unit.heads * unit.outStride);
}

void attendSpan(const AttendUnit& unit, SpanSums sums) {
    Workspace work = workspaceOf(unit);
    work.span = sums.values;
    work.spanStride = unit.valueDim;
    gatherQueries(unit, work.q);
    Running running[kMostQueries];
    sumSpan(unit, work, unit.first, unit.last + 1, running);
    for (size_t i = 0; i < unit.heads; ++i) {
        sums.mosts[i] = running[i].most;
        sums.weights[i] = sumLanes(loadLanes(running[i].weights));
    }
}

void joinSpans(SpanSums total, SpanSums span, size_t heads, size_t valueDim) {
    for (size_t i = 0; i < heads; ++i)
        joinSpan(total.values + i * valueDim, total.mosts + i, total.weights + i, span.values + i * valueDim,
                 span.mosts[i], span.weights[i], valueDim);
}

void endSpans(SpanSums total, size_t heads, size_t valueDim, float* out, size_t outStride) {
    for (size_t i = 0; i < heads; ++i)
        endSpan(total.values + i * valueDim, total.weights[i], valueDim, out + i * outStride);
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
