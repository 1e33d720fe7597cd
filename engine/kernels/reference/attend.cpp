#include <atomic>
#include <cstring>

#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/operations.h"
#include "engine/kernels/reference/span_rounds.h"
#include "engine/kernels/reference/work.h"

namespace conclave::engine::kernels::reference {
namespace {

size_t valueBytes(KvType type) {
    return type == KvType::F16 ? 2 : 4;
}

void storeValues(KvType type, const float* from, size_t count, std::byte* to) {
    if (type == KvType::F32) {
        std::memcpy(to, from, count * sizeof(float));
        return;
    }
    loops().toHalves(from, count, to);
}

/// How the rows of a launch are cut into units. Neighbouring positions of a sequence go together, as many as
/// a unit holds; where that leaves workers idle, fewer rows and then fewer heads.
struct Split {
    size_t groups = 1;  ///< runs of heads that share keys
    size_t heads = 1;   ///< in a group
    size_t parts = 1;   ///< a group is cut into
    size_t rows = 1;    ///< most in a unit

    Split(size_t rowCount, size_t groupCount, size_t headsPerGroup, size_t workers, bool alone)
        : groups(groupCount), heads(headsPerGroup) {
        parts = (heads + kMostQueries - 1) / kMostQueries;
        const size_t wanted = 2 * workers, whole = rowCount * groups;
        if (whole < wanted) parts = std::min(heads, std::max(parts, (wanted + whole - 1) / whole));
        if (!alone)
            rows = std::clamp<size_t>(std::min(kMostQueries / perPart(), whole / wanted), 1, kMostQueries);
    }
    size_t perPart() const { return (heads + parts - 1) / parts; }
    size_t queries(size_t rowCount) const { return perPart() * std::min(rows, rowCount); }
};

/// How many rows from `row` on are neighbours in one sequence, at most `most`.
size_t neighbours(std::span<const RowPlace> places, size_t row, size_t most) {
    size_t count = 1;
    while (count < most && row + count < places.size() && places[row + count].pages == places[row].pages &&
           places[row + count].position == places[row].position + count)
        ++count;
    return count;
}

/// Runs `unitOf(row, group)` (a unit with the heads of the whole group at one row) for every part, several
/// rows at once. Whoever is done takes the next: later rows of a prompt see more keys, and a core may be
/// slowed down by a neighbour.
template <class UnitOf>
void attendUnits(Launch& launch, std::span<const RowPlace> places, const Split& split, size_t scratchFloats,
                 size_t workPerKey, const UnitOf& unitOf) {
    size_t keys = 0;
    for (const RowPlace& place : places)
        keys += place.position + 1;
    std::atomic<size_t> next{0};
    overWorkers(launch, keys * workPerKey, [&](size_t worker, size_t) {
        auto* scratch =
            reinterpret_cast<float*>(workerScratch(launch, 0, scratchFloats * sizeof(float), worker));
        size_t turn = 0, own = next++;
        for (size_t row = 0, rows = 0; row < places.size(); row += rows) {
            rows = neighbours(places, row, split.rows);
            for (size_t i = 0; i < split.groups * split.parts; ++i, ++turn) {
                if (turn != own) continue;
                own = next++;
                const platform::Range heads = platform::share(split.heads, i % split.parts, split.parts);
                AttendUnit unit = unitOf(row, i / split.parts);
                unit.pages = places[row].pages;
                unit.last = places[row].position;
                unit.q += heads.begin * unit.qStride;
                unit.out += heads.begin * unit.outStride;
                unit.heads = heads.end - heads.begin;
                unit.rows = rows;
                unit.scratch = scratch;
                if (unit.heads > 0) loops().attend(unit);
            }
        }
    });
}

/// All rows: by spans where there are few of them and they look far back, else by rows and heads. `alone`:
/// neighbours do not share a unit.
template <class UnitOf>
void attendRows(Launch& launch, std::span<const RowPlace> places, const HeadShape& shape, bool alone,
                const UnitOf& unitOf) {
    const size_t workers = launch.team == nullptr ? 1 : launch.team->size();
    const size_t workPerKey = shape.groups * shape.heads * (shape.keyDim + shape.valueDim);
    if (SpanRounds::fits(places, shape, workers)) {
        SpanRounds(launch, places, shape, workers).run(workPerKey, unitOf);
        return;
    }
    const Split split(places.size(), shape.groups, shape.heads, workers, alone);
    const size_t scratch = attendScratch(split.queries(places.size()), shape.keyDim, shape.valueDim);
    attendUnits(launch, places, split, scratch, workPerKey, unitOf);
}

}  // namespace

size_t attendScratchBytes(const ScratchShape& shape) {
    const size_t widest = aligned(size_t{shape.widest} * sizeof(float));
    // A worker: some rows' queries, sums and scores. Shared: sums of spans, with maximum and weight of each
    // head.
    const size_t unit = 3 * std::min<size_t>(shape.rows, kMostQueries) * widest +
                        attendScratch(kMostQueries, 0, 0) * sizeof(float);
    return SpanRounds::mostSums(shape.threads) *
               (widest + (2 + kMostBesides) * kMostQueries * sizeof(float)) +
           shape.threads * aligned(unit + kAlign) + kAlign;
}

void storeKv(Launch& launch, const StoreKvArgs& args) {
    const size_t bytes = valueBytes(args.kv.type);
    const size_t keyBytes = args.keyDim * bytes, valueRowBytes = args.valueDim * bytes;
    overRows(launch, args.places.size(), args.k.cols + args.v.cols, [&](size_t r) {
        const size_t place = args.places[r].position % kPagePositions;
        std::byte* keys =
            args.places[r].pages[args.places[r].position / kPagePositions] + args.kv.layerOffset;
        std::byte* values = keys + args.kvHeads * kPagePositions * keyBytes;
        for (size_t head = 0; head < args.kvHeads; ++head) {
            const size_t at = head * kPagePositions + place;
            storeValues(args.kv.type, args.k.row(r) + head * args.keyDim, args.keyDim, keys + at * keyBytes);
            storeValues(args.kv.type, args.v.row(r) + head * args.valueDim, args.valueDim,
                        values + at * valueRowBytes);
        }
    });
}

void attend(Launch& launch, const AttendArgs& args) {
    const size_t bytes = valueBytes(args.kv.type), group = args.heads / args.kvHeads;
    const auto unitOf = [&](size_t row, size_t kvHead) {
        const uint32_t position = args.places[row].position;
        AttendUnit unit{};
        unit.q = args.q.row(row) + kvHead * group * args.keyDim;
        unit.qStride = args.keyDim;
        unit.qRowStride = args.q.stride;
        unit.keyOffset = args.kv.layerOffset + kvHead * kPagePositions * args.keyDim * bytes;
        unit.valueOffset = args.kv.layerOffset + args.kvHeads * kPagePositions * args.keyDim * bytes +
                           kvHead * kPagePositions * args.valueDim * bytes;
        unit.keyStride = unit.keyDim = args.keyDim;
        unit.valueStride = unit.valueDim = args.valueDim;
        unit.half = args.kv.type == KvType::F16;
        unit.scale = args.scale;
        unit.first = args.window > 0 && position >= args.window ? position + 1 - args.window : 0;
        unit.out = args.out.row(row) + kvHead * group * args.valueDim;
        unit.outStride = args.valueDim;
        unit.outRowStride = args.out.stride;
        return unit;
    };
    // Under a sliding window neighbours begin at different positions.
    attendRows(launch, args.places, {args.kvHeads, group, args.keyDim, args.valueDim}, args.window > 0,
               unitOf);
}

void storeLatent(Launch& launch, const StoreLatentArgs& args) {
    const size_t rowBytes = args.latent.cols * valueBytes(args.kv.type);
    overRows(launch, args.places.size(), args.latent.cols, [&](size_t r) {
        const uint32_t position = args.places[r].position;
        std::byte* page = args.places[r].pages[position / kPagePositions] + args.kv.layerOffset;
        storeValues(args.kv.type, args.latent.row(r), args.latent.cols,
                    page + position % kPagePositions * rowBytes);
    });
}

void attendLatent(Launch& launch, const AttendLatentArgs& args) {
    const size_t dim = args.rank + args.rope;
    const auto unitOf = [&](size_t row, size_t) {
        AttendUnit unit{};
        unit.q = args.q.row(row);
        unit.qStride = dim;
        unit.qRowStride = args.q.stride;
        unit.keyOffset = unit.valueOffset = args.kv.layerOffset;
        unit.keyStride = unit.valueStride = unit.keyDim = dim;
        unit.valueDim = args.rank;
        unit.half = args.kv.type == KvType::F16;
        unit.scale = args.scale;
        unit.out = args.out.row(row);
        unit.outStride = args.rank;
        unit.outRowStride = args.out.stride;
        return unit;
    };
    attendRows(launch, args.places, {1, args.heads, dim, args.rank}, false, unitOf);
}

}  // namespace conclave::engine::kernels::reference
