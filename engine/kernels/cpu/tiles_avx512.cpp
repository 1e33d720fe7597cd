#include "engine/kernels/cpu/tile.h"
#include "engine/kernels/cpu/vector_avx512.h"

namespace conclave::engine::kernels::cpu {
namespace {

using quant::Format;

/// Thirty-two registers: twelve rows with a sum in float and one in integers each, ten where two sixteens are
/// joined first (Q6_K).
template <Format format, uint32_t most> constexpr Tiles tilesOf() {
    Tiles tiles{format, most, {}};
    tiles.multiply[0] = multiplyTile<Avx512, format, 1>;
    tiles.multiply[1] = multiplyTile<Avx512, format, 2>;
    tiles.multiply[2] = multiplyTile<Avx512, format, 3>;
    tiles.multiply[3] = multiplyTile<Avx512, format, 4>;
    tiles.multiply[4] = multiplyTile<Avx512, format, 5>;
    tiles.multiply[5] = multiplyTile<Avx512, format, 6>;
    tiles.multiply[6] = multiplyTile<Avx512, format, 7>;
    tiles.multiply[7] = multiplyTile<Avx512, format, 8>;
    tiles.multiply[8] = multiplyTile<Avx512, format, 9>;
    tiles.multiply[9] = multiplyTile<Avx512, format, 10>;
    if constexpr (most > 10) {
        tiles.multiply[10] = multiplyTile<Avx512, format, 11>;
        tiles.multiply[11] = multiplyTile<Avx512, format, 12>;
    }
    return tiles;
}

constexpr Tiles kTiles[] = {tilesOf<Format::Q4_0, 12>(), tilesOf<Format::Q4_1, 12>(),
                            tilesOf<Format::Q5_0, 12>(), tilesOf<Format::Q5_1, 12>(),
                            tilesOf<Format::Q8_0, 12>(), tilesOf<Format::Q4_K, 12>(),
                            tilesOf<Format::Q5_K, 12>(), tilesOf<Format::Q6_K, 10>()};

}  // namespace

const TileTable kAvx512Tiles = {kTiles, sizeof kTiles / sizeof kTiles[0]};

}  // namespace conclave::engine::kernels::cpu
