#include <cstring>

#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/operations.h"
#include "engine/kernels/reference/work.h"

namespace conclave::engine::kernels::reference {

void embed(Launch& launch, const MatrixView& table, std::span<const base::TokenId> ids, Rows out) {
    overRows(launch, ids.size(), table.cols, [&](size_t r) {
        const auto id = static_cast<size_t>(base::toInt(ids[r]));
        const FloatRows row = floatRows(table, id, 1, out.row(r));
        if (row.data != out.row(r)) std::memcpy(out.row(r), row.data, table.cols * sizeof(float));
    });
}

void norm(Launch& launch, ConstRows x, const float* weight, float eps, Rows y) {
    overRows(launch, x.rows, x.cols,
             [&](size_t r) { loops().norm(x.row(r), weight, eps, x.cols, y.row(r)); });
}

void rope(Launch& launch, const RopeArgs& args) {
    const size_t half = args.dim / 2;
    overRows(launch, args.x.rows, size_t{args.heads} * args.dim * 2, [&](size_t r) {
        for (size_t head = 0; head < args.heads; ++head)
            loops().rope(args.x.row(r) + head * args.headDim + args.offset, args.dim, args.cosines + r * half,
                         args.sines + r * half, args.interleaved);
    });
}

void addBias(Launch& launch, const float* bias, Rows y) {
    overRows(launch, y.rows, y.cols, [&](size_t r) {
        float* out = y.row(r);
        for (size_t i = 0; i < y.cols; ++i)
            out[i] += bias[i];
    });
}

void add(Launch& launch, ConstRows x, Rows y) {
    overRows(launch, y.rows, y.cols, [&](size_t r) {
        const float* from = x.row(r);
        float* out = y.row(r);
        for (size_t i = 0; i < y.cols; ++i)
            out[i] += from[i];
    });
}

void gateUp(Launch& launch, ConstRows gate, ConstRows up, Rows y) {
    overRows(launch, y.rows, size_t{y.cols} * 8,
             [&](size_t r) { loops().gateUp(gate.row(r), up.row(r), y.cols, y.row(r)); });
}

void clamp(Launch& launch, float limit, Rows y) {
    overRows(launch, y.rows, y.cols, [&](size_t r) {
        float* out = y.row(r);
        for (size_t i = 0; i < y.cols; ++i)  // NaN is neither below nor above
            out[i] = out[i] < -limit ? -limit : out[i] > limit ? limit : out[i];
    });
}

void gather(Launch& launch, ConstRows from, std::span<const uint32_t> rows, Rows to) {
    overRows(launch, rows.size(), to.cols,
             [&](size_t i) { std::memcpy(to.row(i), from.row(rows[i]), to.cols * sizeof(float)); });
}

void scatter(Launch& launch, ConstRows from, std::span<const uint32_t> rows, Rows to) {
    overRows(launch, rows.size(), from.cols,
             [&](size_t i) { std::memcpy(to.row(rows[i]), from.row(i), from.cols * sizeof(float)); });
}

void combine(Launch& launch, const CombineArgs& args) {
    overRows(launch, args.y.rows, size_t{args.y.cols} * (args.slots + 1), [&](size_t r) {
        float* out = args.y.row(r);
        std::memset(out, 0, args.y.cols * sizeof(float));
        for (size_t slot = 0; slot < args.slots; ++slot) {
            const size_t part = r * args.slots + slot;
            if (args.experts != nullptr && args.experts[part] < 0) continue;
            loops().addScaled(args.weights[part], args.parts.row(part), args.y.cols, out);
        }
        if (args.shared.data == nullptr) return;
        const float* shared = args.shared.row(r);
        for (size_t i = 0; i < args.y.cols; ++i)
            out[i] += shared[i];
    });
}

}  // namespace conclave::engine::kernels::reference
