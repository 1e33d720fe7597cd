#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>

#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/work.h"

namespace conclave::engine::kernels::reference {

inline constexpr size_t kSpansPerWorker = 8;  ///< of a round, so that a long context needs no more scratch

/// The heads of an attention, in groups that share keys.
struct HeadShape {
    size_t groups, heads;  ///< heads: of one group
    size_t keyDim, valueDim;
};

/// Attention of few rows that look far back: spans go to the workers, round by round, and join in order.
/// unitOf(row, group) is the unit of a group of heads that share keys, complete but for pages, last, heads,
/// rows and scratch.
class SpanRounds {
  public:
    SpanRounds(Launch& launch, std::span<const RowPlace> places, const HeadShape& shape, size_t workers)
        : launch_(launch), places_(places), shape_(shape), units_(places.size() * shape.groups),
          spans_(std::max<size_t>(1, kSpansPerWorker * workers / units_)) {}

    /// Whether there is work for every worker this way and not the other.
    static bool fits(std::span<const RowPlace> places, const HeadShape& shape, size_t workers) {
        size_t deepest = 0;
        for (const RowPlace& place : places)
            deepest = std::max<size_t>(deepest, place.position);
        return places.size() * shape.groups < 2 * workers && shape.heads <= kMostQueries && deepest >= kSpan;
    }

    template <class UnitOf> void run(size_t workPerKey, const UnitOf& unitOf) const {
        size_t spans = 0;
        for (const RowPlace& place : places_)
            spans = std::max<size_t>(spans, place.position / kSpan + 1);
        for (size_t first = 0; first < spans; first += spans_) {
            const size_t count = std::min(spans_, spans - first);
            std::atomic<size_t> next{0};
            overWorkers(launch_, count * kSpan * workPerKey,
                        [&](size_t worker, size_t) { sumSpans(first, count, next, worker, unitOf); });
            join(first, count, unitOf);
        }
        for (size_t i = 0; i < units_; ++i) {
            const AttendUnit unit = unitOf(i / shape_.groups, i % shape_.groups);
            loops().endSpans(sumsAt(i), shape_.heads, shape_.valueDim, unit.out, unit.outStride);
        }
    }

    /// Sums that are kept at once: those of a round, and the totals of fewer than two units a worker.
    static constexpr size_t mostSums(size_t workers) { return (kSpansPerWorker + 2) * workers; }

  private:
    /// Whoever is done takes the next unit, span by span: an unfinished span is the last.
    template <class UnitOf>
    void sumSpans(size_t first, size_t count, std::atomic<size_t>& next, size_t worker,
                  const UnitOf& unitOf) const {
        const size_t perWorker = attendScratch(shape_.heads, shape_.keyDim, shape_.valueDim);
        auto* scratch =
            reinterpret_cast<float*>(workerScratch(launch_, sumsBytes(), perWorker * sizeof(float), worker));
        for (size_t i = next++; i < count * units_; i = next++) {
            const size_t span = first + i / units_, row = i % units_ / shape_.groups;
            AttendUnit unit = unitOf(row, i % shape_.groups);
            unit.pages = places_[row].pages;
            unit.first = std::max(unit.first, span * kSpan);
            unit.last = std::min<size_t>(places_[row].position, (span + 1) * kSpan - 1);
            if (unit.first > unit.last) continue;
            unit.heads = shape_.heads;
            unit.rows = 1;
            unit.scratch = scratch;
            loops().attendSpan(unit, sumsAt(units_ + i));
        }
    }

    template <class UnitOf> void join(size_t first, size_t count, const UnitOf& unitOf) const {
        for (size_t i = 0; i < count * units_; ++i) {
            const size_t span = first + i / units_, unit = i % units_, row = unit / shape_.groups;
            const size_t begin = unitOf(row, unit % shape_.groups).first;
            if (span < begin / kSpan || span > places_[row].position / kSpan) continue;
            const SpanSums total = sumsAt(unit), sums = sumsAt(units_ + i);
            if (span == begin / kSpan)
                std::memcpy(total.values, sums.values, sumsFloats() * sizeof(float));
            else
                loops().joinSpans(total, sums, shape_.heads, shape_.valueDim);
        }
    }

    size_t sumsFloats() const { return shape_.heads * (besides(shape_.valueDim) + 2); }
    size_t sumsBytes() const { return (spans_ + 1) * units_ * sumsFloats() * sizeof(float); }
    /// Totals first, one for each row and group, then the spans of the round.
    SpanSums sumsAt(size_t index) const {
        float* values = reinterpret_cast<float*>(launch_.scratch) + index * sumsFloats();
        float* mosts = values + shape_.heads * besides(shape_.valueDim);
        return {values, besides(shape_.valueDim), mosts, mosts + shape_.heads};
    }

    Launch& launch_;
    std::span<const RowPlace> places_;
    HeadShape shape_;
    size_t units_;  ///< rows and groups
    size_t spans_;  ///< of a round
};

}  // namespace conclave::engine::kernels::reference
