#include "engine/kernels/cpu/stripes.h"
#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/operations.h"
#include "engine/kernels/reference/work.h"

namespace conclave::engine::kernels::reference {

FloatRows floatRows(const MatrixView& w, size_t first, size_t count, float* tile) {
    if (w.layout == Layout::Stripes16) {
        for (size_t r = first; r < first + count; ++r)
            cpu::decodeStripeRow(w.format, w.data + r / cpu::kStripeRows * w.stride,
                                 static_cast<uint32_t>(r % cpu::kStripeRows), w.cols,
                                 tile + (r - first) * w.cols);
        return {tile, w.cols};
    }
    const std::byte* data = w.data + first * w.stride;
    if (w.format == quant::Format::F32)
        return {reinterpret_cast<const float*>(data), w.stride / sizeof(float)};
    for (size_t r = 0; r < count; ++r, data += w.stride) {
        float* out = tile + r * w.cols;
        loops().decode(w.format, data, w.cols, out);
        if (w.format != quant::Format::F8E4M3) continue;
        const float* scales = w.scales + (first + r) / w.scaleRows * w.scaleStride;
        for (size_t c = 0; c < w.cols; ++scales)
            for (const size_t end = std::min<size_t>(w.cols, c + w.scaleCols); c < end; ++c)
                out[c] *= *scales;
    }
    return {tile, w.cols};
}

namespace {

/// Halves widen as fast as they are read, bfloat16 takes two steps, which many rows of activations would
/// repeat.
bool takenAsItLies(quant::Format format, size_t rows) {
    return format == quant::Format::F16 || (format == quant::Format::BF16 && rows <= 3);
}

}  // namespace

void multiplyFloatRows(const MatrixView& w, size_t first, size_t count, float* tile, const float* x,
                       size_t xStride, size_t xRows, float* y, size_t yStride) {
    if (takenAsItLies(w.format, xRows)) {
        loops().multiplyNarrow(w.format, w.data + first * w.stride, w.stride, count, x, xStride, xRows,
                               w.cols, y, yStride);
        return;
    }
    const FloatRows weights = floatRows(w, first, count, tile);
    loops().multiply(weights.data, weights.stride, count, x, xStride, xRows, w.cols, y, yStride);
}

namespace {

/// One worker's part of one group: outputs range.begin … range.end - 1 of all its rows.
struct Part {
    const MatmulGroup& group;
    ConstRows x;
    platform::Range outputs;
    std::byte* scratch;

    const float* xRow(size_t r) const { return x.row(group.firstRow + r) + group.xColumn; }
    float* yRow(size_t r) const { return group.y.row(group.firstRow + r) + group.yColumn; }
};

/// Bytes of the scratch of one worker for a matrix of `cols` columns and at most `rows` rows of activations.
size_t tileBytes(size_t cols) {
    return kTileRows * aligned(cols * sizeof(float));
}
size_t chunkBytes(size_t rows, size_t cols) {
    return std::min(rows, kChunkRows) * aligned(cols * sizeof(float));
}

void multiplyFloats(const Part& part, size_t firstRow, size_t rows, const float* x, size_t xStride) {
    const MatrixView& w = part.group.w;
    auto* tile = reinterpret_cast<float*>(part.scratch);
    // One row of activations wants its decoded weights near, many want them to be used often.
    const size_t most = rows == 1 ? 4 : kTileRows;
    for (size_t o = part.outputs.begin; o < part.outputs.end; o += most) {
        const size_t count = std::min(most, part.outputs.end - o);
        multiplyFloatRows(w, o, count, tile, x, xStride, rows, part.yRow(firstRow) + o, part.group.y.stride);
    }
}

void multiplyBfloat16(const Part& part, MultiplyBfloat16s product) {
    const MatrixView& w = part.group.w;
    const size_t rowBytes = aligned(w.cols * 2);
    for (size_t r = 0; r < part.group.rows; r += kChunkRows) {
        const size_t rows = std::min<size_t>(kChunkRows, part.group.rows - r);
        for (size_t i = 0; i < rows; ++i)
            loops().toBfloat16s(part.xRow(r + i), w.cols, part.scratch + i * rowBytes);
        for (size_t o = part.outputs.begin; o < part.outputs.end; o += kTileRows)
            product(w.data + o * w.stride, w.stride, std::min(kTileRows, part.outputs.end - o), part.scratch,
                    rowBytes, rows, w.cols, part.yRow(r) + o, part.group.y.stride);
    }
}

/// A row of integers and its scales lie in 1.5 bytes a value.
size_t int8RowBytes(size_t cols) {
    return aligned(cols + cols / 2);
}
Int8Row int8RowAt(std::byte* memory, size_t cols) {
    auto* floats = reinterpret_cast<float*>(memory + cols);
    return {reinterpret_cast<int8_t*>(memory), floats, floats + cols / 32, floats + cols / 16};
}
UnpackedRow unpackedRowAt(std::byte* memory, size_t cols) {
    auto* floats = reinterpret_cast<float*>(memory + cols);
    return {reinterpret_cast<int8_t*>(memory), floats, floats + cols / 16};
}

/// `terms` 2: what rounding leaves of a row is rounded too (Activation::Int8x2).
void multiplyInt8s(const Part& part, size_t terms) {
    const MatrixView& w = part.group.w;
    CONCLAVE_CHECK(w.layout == Layout::Plain);
    const size_t rowBytes = int8RowBytes(w.cols), chunk = kChunkRows / terms;
    const UnpackedShape shape = unpackedShape(w.format);
    std::byte* activations = part.scratch + tileBytes(w.cols);
    for (size_t r = 0; r < part.group.rows; r += chunk) {
        const size_t rows = std::min<size_t>(chunk, part.group.rows - r);
        const auto roundedAt = [&](size_t row, size_t term) {
            return int8RowAt(activations + (term * rows + row) * rowBytes, w.cols);
        };
        auto* rest = reinterpret_cast<float*>(part.scratch);
        for (size_t i = 0; i < rows; ++i) {
            loops().quantise(part.xRow(r + i), w.cols, roundedAt(i, 0), terms > 1 ? rest : nullptr);
            if (terms > 1) loops().quantise(rest, w.cols, roundedAt(i, 1), nullptr);
        }
        for (size_t o = part.outputs.begin; o < part.outputs.end; ++o) {
            const UnpackedRow weights = unpackedRowAt(part.scratch, w.cols);
            loops().unpack(w.format, w.data + o * w.stride, w.cols, weights);
            for (size_t i = 0; i < rows; ++i) {
                float& y = part.yRow(r + i)[o];
                y = loops().multiplyInt8(shape, weights, roundedAt(i, 0), w.cols);
                if (terms > 1) y += loops().multiplyInt8(shape, weights, roundedAt(i, 1), w.cols);
            }
        }
    }
}

void multiplyGroup(const Part& part, Activation asked, MultiplyBfloat16s product) {
    const Activation applied = appliedActivation(part.group.w.format, asked);
    switch (applied) {
    case Activation::F32:
        return multiplyFloats(part, 0, part.group.rows, part.xRow(0), part.x.stride);
    case Activation::BF16:
        return multiplyBfloat16(part, product);
    case Activation::Int8:
    case Activation::Int8x2:
        return multiplyInt8s(part, int8Terms(applied));
    }
}

}  // namespace

void matmul(Launch& launch, std::span<const MatmulGroup> groups, ConstRows x, Activation activation) {
    matmul(launch, groups, x, activation, loops().multiplyBfloat16s);
}

void matmul(Launch& launch, std::span<const MatmulGroup> groups, ConstRows x, Activation activation,
            MultiplyBfloat16s product) {
    size_t work = 0, perWorker = 0;
    for (const MatmulGroup& group : groups) {
        work += size_t{group.rows} * group.w.rows * group.w.cols;
        perWorker = std::max(perWorker, tileBytes(group.w.cols) + chunkBytes(group.rows, group.w.cols));
    }
    overWorkers(launch, work, [&](size_t worker, size_t workers) {
        std::byte* scratch = workerScratch(launch, 0, perWorker, worker);
        for (const MatmulGroup& group : groups)
            if (group.rows > 0)
                multiplyGroup({group, x, platform::share(group.w.rows, worker, workers, 4), scratch},
                              activation, product);
    });
}

size_t scratchBytes(const ScratchShape& shape) {
    // Shared: the middle of lowRank. A worker: a tile and a chunk (matmul, lowRank), or a few rows of scores
    // (routing).
    const size_t deepest = aligned(size_t{std::max(shape.widest, shape.deepest)} * sizeof(float)),
                 chunk = std::min<size_t>(shape.rows, kChunkRows);
    const size_t product = (kTileRows + std::max<size_t>(chunk, 4)) * deepest;
    const size_t fixed = kChunkRows * kTileRows * sizeof(float) + 64 * kAlign;
    return std::max(aligned(chunk * deepest) + shape.threads * aligned(product + fixed),
                    attendScratchBytes(shape));
}

}  // namespace conclave::engine::kernels::reference
