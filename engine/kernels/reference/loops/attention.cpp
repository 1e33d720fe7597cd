#include "engine/kernels/exponential.h"
#include "engine/kernels/reference/loops/tile.h"
#include "engine/kernels/reference/loops/weighted_sums.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {
namespace {

constexpr size_t kPage = 64;  // positions
constexpr size_t kStep = 16;  // keys that meet all queries before the next; values, where queries are few
constexpr size_t kFew = 6;    // queries whose sums are in registers at once
static_assert(kPage == kWeights);

/// The running softmax of one query over a run of keys: values weighted by e^(score - most), and the sum of
/// the weights in lanes (key at position p in lane p mod 16).
struct Running {
    float most;
    float weights[16];
};

/// Where the parts of one unit's scratch lie. Query i is row i / heads, head i % heads.
struct Workspace {
    float* scores;  // [queries][64], by place in the page
    float* q;       // [queries][keyDim], side by side
    float* span;    // [queries][spanStride]: values of the present span
    float* total;   // [queries][valueDim]: values of all spans before
    size_t spanStride;
};

/// One past the last position that query i sees.
CONCLAVE_INLINE size_t endOf(const AttendUnit& unit, size_t query) {
    return unit.last + 1 + query / unit.heads;
}

/// The first query that sees position `at`; all behind it do too.
CONCLAVE_INLINE size_t firstThatSees(const AttendUnit& unit, size_t at) {
    return at <= unit.last ? 0 : (at - unit.last) * unit.heads;
}

/// Keys or values as they are stored: rows `stride` apart in every page.
template <class Value> struct Stored {
    std::byte* const* pages;
    size_t offset, stride;

    const Value* at(size_t position) const {
        return reinterpret_cast<const Value*>(pages[position / kPage] + offset) + position % kPage * stride;
    }
    /// `count` rows of one page, to be asked for in so many parts.
    Ahead ahead(size_t position, size_t count, size_t asks) const {
        const auto* from = reinterpret_cast<const std::byte*>(at(position));
        const size_t bytes = count * stride * sizeof(Value);
        return {from, from + bytes, bytes / 64 / (asks + 1) + 1};
    }
};
template <class Value> CONCLAVE_INLINE Stored<Value> keysOf(const AttendUnit& unit) {
    return {unit.pages, unit.keyOffset, unit.keyStride};
}
template <class Value> CONCLAVE_INLINE Stored<Value> valuesOf(const AttendUnit& unit) {
    return {unit.pages, unit.valueOffset, unit.valueStride};
}

/// The keys a page further on, as many as the unit sees of `count`.
template <class Value>
CONCLAVE_INLINE Ahead keysAhead(const AttendUnit& unit, size_t position, size_t count, size_t asks) {
    const size_t next = position + kPage;
    if (next > unit.last) return {};
    return keysOf<Value>(unit).ahead(next, count < unit.last + 1 - next ? count : unit.last + 1 - next, asks);
}

/// scores[query][place] of the keys begin … end - 1, all in one page, for the queries from `query` on. Those
/// of a query behind what it sees are never looked at.
template <class Value>
CONCLAVE_APART void scorePage(const AttendUnit& unit, const Workspace& work, size_t begin, size_t end,
                              size_t query) {
    const Stored<Value> keys = keysOf<Value>(unit);
    for (size_t at = begin; at < end;) {
        const size_t count = kStep < end - at ? kStep : end - at;
        const size_t queries = unit.heads * unit.rows - query, asks = asksOf(count, queries);
        const Ahead ahead = unit.valueOffset == unit.keyOffset ? keysAhead<Value>(unit, at, count, asks)
                                                               : valuesOf<Value>(unit).ahead(at, count, asks);
        multiplyRows(keys.at(at), keys.stride, count, work.q + query * unit.keyDim, unit.keyDim, queries,
                     unit.keyDim, work.scores + query * kPage + at % kPage, kPage, ahead);
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
CONCLAVE_APART void weighPage(float* scores, size_t begin, size_t end, float scale, bool firstPage,
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

/// The values at `count` positions from `at` on, all in one page, for the queries from `query` on, as they
/// lie.
template <class Value>
CONCLAVE_APART void addRows(const AttendUnit& unit, const Workspace& work, size_t at, size_t count,
                            size_t query) {
    const Stored<Value> values = valuesOf<Value>(unit);
    const size_t queries = unit.heads * unit.rows;
    Ahead ahead;
    if (unit.valueOffset != unit.keyOffset)  // else a value is the beginning of its key
        ahead = keysAhead<Value>(unit, at, count, asksOfSums(queries - query, unit.valueDim));
    const auto add = [&](size_t seen, size_t some) __attribute__((always_inline)) {
        addQueries(values.at(at), values.stride, work.scores + query * kPage + at % kPage, seen, some,
                   unit.valueDim, work.span + query * work.spanStride, work.spanStride, ahead);
        query += some;
    };
    while (query < queries && endOf(unit, query) < at + count)
        add(endOf(unit, query) - at, unit.heads);
    if (query < queries) add(count, queries - query);
}

/// The values at `count` positions from `at` on, all in one page, for every query that sees them.
template <class Value>
CONCLAVE_APART void addPage(const AttendUnit& unit, const Workspace& work, size_t at, size_t count) {
    for (const size_t end = at + count; at < end;) {
        // Few pass over values while these are near, many pass over a whole page, or their sums would come
        // and go for every few values.
        const size_t most = unit.heads * unit.rows > kFew ? kPage : kStep;
        const size_t some = most < end - at ? most : end - at;
        addRows<Value>(unit, work, at, some, firstThatSees(unit, at));
        at += some;
    }
}

template <class Value>
void sumSpanOf(const AttendUnit& unit, const Workspace& work, size_t begin, size_t end, Running* running) {
    const size_t queries = unit.heads * unit.rows;
    for (size_t i = firstThatSees(unit, begin); i < queries; ++i)
        running[i] = {-__builtin_inff(), {}};
    const size_t first = firstThatSees(unit, begin);
    __builtin_memset(work.span + first * work.spanStride, 0,
                     (queries - first) * work.spanStride * sizeof(float));
    for (size_t at = begin; at < end;) {
        const size_t pageEnd = (at / kPage + 1) * kPage, stop = pageEnd < end ? pageEnd : end;
        const size_t query = firstThatSees(unit, at);
        scorePage<Value>(unit, work, at, stop, query);
        for (size_t i = query; i < queries; ++i) {
            const size_t own = endOf(unit, i) < stop ? endOf(unit, i) : stop;
            weighPage(work.scores + i * kPage, at % kPage, (own - 1) % kPage + 1, unit.scale, at == begin,
                      running[i], work.span + i * work.spanStride, unit.valueDim);
        }
        addPage<Value>(unit, work, at, stop - at);
        at = stop;
    }
}

void sumSpan(const AttendUnit& unit, const Workspace& work, size_t begin, size_t end, Running* running) {
    if (unit.half)
        sumSpanOf<Half>(unit, work, begin, end, running);
    else
        sumSpanOf<float>(unit, work, begin, end, running);
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
    const size_t queries = unit.heads * unit.rows;
    Workspace work{};
    work.scores = unit.scratch;
    work.q = work.scores + queries * kPage;
    work.span = work.q + queries * unit.keyDim;
    work.spanStride = besides(unit.valueDim);
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
    work.spanStride = sums.stride;
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
        joinSpan(total.values + i * total.stride, total.mosts + i, total.weights + i,
                 span.values + i * span.stride, span.mosts[i], span.weights[i], valueDim);
}

void endSpans(SpanSums total, size_t heads, size_t valueDim, float* out, size_t outStride) {
    for (size_t i = 0; i < heads; ++i)
        endSpan(total.values + i * total.stride, total.weights[i], valueDim, out + i * outStride);
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
