#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/quant/format.h"

/// Int8 products of a stripe of weights (stripes.h) with a tile of up to twelve rows of activations, compiled
/// once for each instruction set.
///
/// A tile lies block after block of 32 values, 52 bytes a row:
///   [8][rows][4]  int8 values, four of a row side by side
///   [rows]        float32 scales a
///   [rows]        float32 a * (sum of the 32 values)
///   [rows]        int32, minus the format's offset (stripes.h) times the sum of the 32 values; then [rows]
///   of
///                 the first 16, [rows] of the last 16
namespace conclave::engine::kernels::cpu {

inline constexpr uint32_t kMostTileRows = 12;
inline constexpr uint32_t kTileBlockBytes = 52;

/// y[r * yStride + i] = row i of the stripe times row r of the tile, i below 16.
using MultiplyTile = void (*)(const std::byte* stripe, uint32_t cols, const std::byte* x, float* y,
                              size_t yStride);

/// The tiles of one format in one instruction set.
struct Tiles {
    quant::Format format;
    uint32_t mostRows = 0;                 ///< beyond these the registers do not hold the sums
    MultiplyTile multiply[kMostTileRows];  ///< by rows - 1; null above mostRows
};
/// Those of all formats.
struct TileTable {
    const Tiles* tiles = nullptr;
    size_t count = 0;
    const Tiles* find(quant::Format format) const {
        for (size_t i = 0; i < count; ++i)
            if (tiles[i].format == format) return tiles + i;
        return nullptr;
    }
};
extern const TileTable kAvx2Tiles, kAvx512Tiles;

}  // namespace conclave::engine::kernels::cpu
