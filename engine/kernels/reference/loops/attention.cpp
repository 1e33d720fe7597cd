#include "engine/kernels/exponential.h"
#include "engine/kernels/lanes.h"
#include "engine/kernels/reference/loops/parts.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {
namespace {

constexpr size_t kPage = 64;   // positions
constexpr size_t kSpan = 512;  // positions that are summed on their own, then merged
constexpr size_t kStep = 16;   // positions decoded at a time

/// The running softmax of one query over a run of keys: values weighted by e^(score - most), and the sum of
/// the weights in lanes (key at position p in lane p mod 16).
struct Running {
    float most;
    float weights[16];
};

/// Where the parts of one unit's scratch lie.
struct Workspace {
    float* scores;   // [queries][64], by place in the page
    float* decoded;  // [16][keyDim or valueDim], halves only
    float* span;     // [queries][valueDim]: values of the present span
    float* total;    // [queries][valueDim]: values of all spans before
};

/// Rows of keys or values at `count` positions as float32: in place, or decoded.
CONCLAVE_INLINE const float* rowsAt(const AttendUnit& unit, size_t position, size_t offset, size_t stride,
                                    size_t dim, size_t count, float* decoded, size_t* rowStride) {
    const std::byte* page = unit.pages[position / kPage] + offset;
    if (!unit.half) {
        *rowStride = stride;
        return reinterpret_cast<const float*>(page) + position % kPage * stride;
    }
    for (size_t i = 0; i < count; ++i)
        decode(quant::Format::F16, page + (position % kPage + i) * stride * 2, dim, decoded + i * dim);
    *rowStride = dim;
    return decoded;
}

/// scores[query][place] of the keys begin … end - 1, all in one page.
CONCLAVE_INLINE void scorePage(const AttendUnit& unit, const Workspace& work, size_t begin, size_t end) {
    for (size_t at = begin; at < end;) {
        const size_t count = kStep < end - at ? kStep : end - at;
        size_t stride = 0;
        const float* keys =
            rowsAt(unit, at, unit.keyOffset, unit.keyStride, unit.keyDim, count, work.decoded, &stride);
        multiply(keys, stride, count, unit.q, unit.qStride, unit.queries, unit.keyDim,
                 work.scores + at % kPage, kPage);
        at += count;
    }
}

/// Scores become weights e^(score * scale - most), the sums so far are brought to the new `most`.
CONCLAVE_INLINE void weighPage(float* scores, size_t begin, size_t end, float scale, bool firstPage,
                               Running& running, float* values, size_t valueDim) {
    float most = running.most;
    for (size_t i = begin; i < end; ++i) {
        scores[i] = scores[i] * scale;
        most = scores[i] > most ? scores[i] : most;
    }
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
    for (size_t i = begin; i < end; ++i)
        running.weights[i % 16] += scores[i];
}

/// out[d] = fma(weight of key, value of key at d, out[d]), keys ascending.
CONCLAVE_INLINE void addValues(const float* values, size_t stride, const float* weights, size_t count,
                               size_t dim, float* out) {
    size_t d = 0;
    for (; d + 32 <= dim; d += 32) {
        Lanes first = loadLanes(out + d), second = loadLanes(out + d + 16);
        for (size_t i = 0; i < count; ++i) {
            const Lanes8 weight = broadcast8(weights[i]);
            first = fmaLanes({weight, weight}, loadLanes(values + i * stride + d), first);
            second = fmaLanes({weight, weight}, loadLanes(values + i * stride + d + 16), second);
        }
        storeLanes(out + d, first);
        storeLanes(out + d + 16, second);
    }
    for (size_t i = 0; i < count; ++i)
        for (size_t rest = d; rest < dim; ++rest)
            out[rest] = __builtin_fmaf(weights[i], values[i * stride + rest], out[rest]);
}

void attendSpan(const AttendUnit& unit, const Workspace& work, size_t begin, size_t end, Running* running) {
    for (size_t i = 0; i < unit.queries; ++i)
        running[i] = {-__builtin_inff(), {}};
    for (size_t i = 0; i < unit.queries * unit.valueDim; ++i)
        work.span[i] = 0.0f;
    for (size_t at = begin; at < end;) {
        const size_t pageEnd = (at / kPage + 1) * kPage, stop = pageEnd < end ? pageEnd : end;
        scorePage(unit, work, at, stop);
        for (size_t i = 0; i < unit.queries; ++i)
            weighPage(work.scores + i * kPage, at % kPage, (stop - 1) % kPage + 1, unit.scale, at == begin,
                      running[i], work.span + i * unit.valueDim, unit.valueDim);
        while (at < stop) {
            const size_t count = kStep < stop - at ? kStep : stop - at;
            size_t stride = 0;
            const float* values = rowsAt(unit, at, unit.valueOffset, unit.valueStride, unit.valueDim, count,
                                         work.decoded, &stride);
            for (size_t i = 0; i < unit.queries; ++i)
                addValues(values, stride, work.scores + i * kPage + at % kPage, count, unit.valueDim,
                          work.span + i * unit.valueDim);
            at += count;
        }
    }
}

/// The spans before and this one, brought to the larger maximum and added.
void mergeSpan(float* total, float* totalMost, float* totalWeight, const float* span, const Running& running,
               size_t valueDim) {
    const float most = running.most > *totalMost ? running.most : *totalMost;
    const float before = exponential(*totalMost - most), now = exponential(running.most - most);
    for (size_t d = 0; d < valueDim; ++d)
        total[d] = __builtin_fmaf(span[d], now, total[d] * before);
    *totalWeight = __builtin_fmaf(sumLanes(loadLanes(running.weights)), now, *totalWeight * before);
    *totalMost = most;
}

}  // namespace

void attend(const AttendUnit& unit) {
    const size_t widest = unit.keyDim > unit.valueDim ? unit.keyDim : unit.valueDim;
    Workspace work{};
    work.scores = unit.scratch;
    work.decoded = work.scores + unit.queries * kPage;
    work.span = work.decoded + kStep * widest;
    work.total = work.span + unit.queries * unit.valueDim;
    Running running[kMostQueries];
    float most[kMostQueries], weight[kMostQueries];
    const size_t end = unit.last + 1;
    for (size_t at = unit.first; at < end;) {
        const size_t spanEnd = (at / kSpan + 1) * kSpan, stop = spanEnd < end ? spanEnd : end;
        attendSpan(unit, work, at, stop, running);
        for (size_t i = 0; i < unit.queries; ++i) {
            float* total = work.total + i * unit.valueDim;
            const float* span = work.span + i * unit.valueDim;
            if (at == unit.first) {
                most[i] = running[i].most;
                weight[i] = sumLanes(loadLanes(running[i].weights));
                __builtin_memcpy(total, span, unit.valueDim * sizeof(float));
            } else {
                mergeSpan(total, &most[i], &weight[i], span, running[i], unit.valueDim);
            }
        }
        at = stop;
    }
    for (size_t i = 0; i < unit.queries; ++i) {
        const float inverse = 1.0f / weight[i];
        for (size_t d = 0; d < unit.valueDim; ++d)
            unit.out[i * unit.outStride + d] = work.total[i * unit.valueDim + d] * inverse;
    }
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
