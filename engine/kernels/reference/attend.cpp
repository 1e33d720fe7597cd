#include <cstring>

#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/operations.h"
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
    for (size_t i = 0; i < count; ++i) {
        const uint16_t bits = quant::floatToHalf(from[i]);
        std::memcpy(to + 2 * i, &bits, sizeof bits);
    }
}

/// One unit of attention for each row and run of heads that share keys. Units go round the workers, because
/// later rows of a prompt see more keys; where there are few, the heads of a group are cut further, so that
/// nobody idles.
struct Split {
    size_t groups = 1;  ///< runs of heads that share keys
    size_t heads = 1;   ///< in a group
    size_t parts = 1;   ///< a group is cut into
    size_t units = 0;   ///< rows * groups * parts

    Split(size_t rows, size_t groupCount, size_t headsPerGroup, size_t workers)
        : groups(groupCount), heads(headsPerGroup) {
        const size_t wanted = (2 * workers + rows * groups - 1) / std::max<size_t>(1, rows * groups);
        const size_t least = (heads + kMostQueries - 1) / kMostQueries;
        parts = std::min(heads, std::max(least, rows * groups < 2 * workers ? wanted : 1));
        units = rows * groups * parts;
    }
};

/// Runs `unitOf(row, group)` (a unit with the heads of the whole group) for every part.
template <class UnitOf>
void attendUnits(Launch& launch, std::span<const RowPlace> places, const Split& split, size_t scratchFloats,
                 size_t workPerKey, const UnitOf& unitOf) {
    size_t keys = 0;
    for (const RowPlace& place : places)
        keys += place.position + 1;
    overWorkers(launch, keys * workPerKey, [&](size_t worker, size_t workers) {
        auto* scratch =
            reinterpret_cast<float*>(workerScratch(launch, 0, scratchFloats * sizeof(float), worker));
        for (size_t i = worker; i < split.units; i += workers) {
            const size_t row = i / (split.groups * split.parts), rest = i % (split.groups * split.parts);
            const platform::Range heads = platform::share(split.heads, rest % split.parts, split.parts);
            AttendUnit unit = unitOf(row, rest / split.parts);
            unit.pages = places[row].pages;
            unit.last = places[row].position;
            unit.q += heads.begin * unit.qStride;
            unit.out += heads.begin * unit.outStride;
            unit.queries = heads.end - heads.begin;
            unit.scratch = scratch;
            if (unit.queries > 0) loops().attend(unit);
        }
    });
}

}  // namespace

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
    const size_t workers = launch.team == nullptr ? 1 : launch.team->size();
    const Split split(args.places.size(), args.kvHeads, group, workers);
    const size_t scratch = attendScratch(std::min(group, kMostQueries), args.keyDim, args.valueDim);
    const size_t perKey = size_t{args.heads} * (args.keyDim + args.valueDim);
    attendUnits(launch, args.places, split, scratch, perKey, [&](size_t row, size_t kvHead) {
        const uint32_t position = args.places[row].position;
        AttendUnit unit{};
        unit.q = args.q.row(row) + kvHead * group * args.keyDim;
        unit.qStride = args.keyDim;
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
        return unit;
    });
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
    const size_t workers = launch.team == nullptr ? 1 : launch.team->size();
    const Split split(args.places.size(), 1, args.heads, workers);
    const size_t scratch = attendScratch(std::min<size_t>(args.heads, kMostQueries), dim, args.rank);
    attendUnits(launch, args.places, split, scratch, args.heads * (dim + args.rank), [&](size_t row, size_t) {
        AttendUnit unit{};
        unit.q = args.q.row(row);
        unit.qStride = dim;
        unit.keyOffset = unit.valueOffset = args.kv.layerOffset;
        unit.keyStride = unit.valueStride = unit.keyDim = dim;
        unit.valueDim = args.rank;
        unit.half = args.kv.type == KvType::F16;
        unit.scale = args.scale;
        unit.out = args.out.row(row);
        unit.outStride = args.rank;
        return unit;
    });
}

}  // namespace conclave::engine::kernels::reference
