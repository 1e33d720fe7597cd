#include "engine/kernels/cpu/tile.h"
#include "engine/kernels/cpu/vector_avx2.h"

namespace conclave::engine::kernels::cpu {
namespace {

using quant::Format;

/// As many rows as sixteen registers hold the sums of.
template <Format format, uint32_t most> constexpr Tiles tilesOf() {
    static_assert(most <= 6);
    Tiles tiles{format, most, {}};
    tiles.multiply[0] = multiplyTile<Avx2, format, 1>;
    tiles.multiply[1] = multiplyTile<Avx2, format, 2>;
    tiles.multiply[2] = multiplyTile<Avx2, format, 3>;
    tiles.multiply[3] = multiplyTile<Avx2, format, 4>;
    if constexpr (most > 4) {
        tiles.multiply[4] = multiplyTile<Avx2, format, 5>;
        tiles.multiply[5] = multiplyTile<Avx2, format, 6>;
    }
    return tiles;
}

constexpr Tiles kTiles[] = {tilesOf<Format::Q4_0, 6>(), tilesOf<Format::Q4_1, 6>(),
                            tilesOf<Format::Q5_0, 6>(), tilesOf<Format::Q5_1, 6>(),
                            tilesOf<Format::Q8_0, 6>(), tilesOf<Format::Q4_K, 6>(),
                            tilesOf<Format::Q5_K, 6>(), tilesOf<Format::Q6_K, 4>()};

}  // namespace

const TileTable kAvx2Tiles = {kTiles, sizeof kTiles / sizeof kTiles[0]};

}  // namespace conclave::engine::kernels::cpu
