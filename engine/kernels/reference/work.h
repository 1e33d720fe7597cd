#pragma once

#include <algorithm>
#include <functional>

#include "engine/kernels/kernels.h"

/// How the reference row deals work to the team and scratch to the workers.
namespace conclave::engine::kernels::reference {

/// Rows of activations that are rounded at a time, and rows of weights that are decoded at a time.
inline constexpr size_t kChunkRows = 64;
inline constexpr size_t kTileRows = 16;
inline constexpr size_t kAlign = 64;

constexpr size_t aligned(size_t bytes) {
    return (bytes + kAlign - 1) / kAlign * kAlign;
}

/// piece(worker, workers) on every worker, or on the caller alone where `work` (about one unit a
/// multiplication) is less than waking the others costs. No bit depends on which.
template <class Piece> void overWorkers(Launch& launch, size_t work, const Piece& piece) {
    constexpr size_t kWorthWaking = 16384;
    if (launch.team == nullptr || launch.team->size() == 1 || work < kWorthWaking)
        piece(size_t{0}, size_t{1});
    else
        launch.team->run(std::ref(piece));  // a reference fits into std::function without an allocation
}

/// row(r) for every row, dealt in runs.
template <class Row> void overRows(Launch& launch, size_t rows, size_t workPerRow, const Row& row) {
    overWorkers(launch, rows * workPerRow, [&](size_t worker, size_t workers) {
        const platform::Range range = platform::share(rows, worker, workers);
        for (size_t r = range.begin; r < range.end; ++r)
            row(r);
    });
}

/// The part of the scratch that belongs to `worker`, behind `shared` bytes for all.
inline std::byte* workerScratch(const Launch& launch, size_t shared, size_t perWorker, size_t worker) {
    std::byte* begin = launch.scratch + aligned(shared) + worker * aligned(perWorker);
    CONCLAVE_CHECK(begin + perWorker <= launch.scratch + launch.scratchBytes);
    return begin;
}

/// Weights as float32: where they lie, or decoded into a tile.
struct FloatRows {
    const float* data = nullptr;
    size_t stride = 0;
};

/// Rows first … first + count - 1 of `w`; `tile` holds count * w.cols floats for formats that are decoded.
FloatRows floatRows(const MatrixView& w, size_t first, size_t count, float* tile);

/// y[r * yStride + o] = those rows · x[r], xRows rows of w.cols values.
void multiplyFloatRows(const MatrixView& w, size_t first, size_t count, float* tile, const float* x,
                       size_t xStride, size_t xRows, float* y, size_t yStride);

}  // namespace conclave::engine::kernels::reference
