#pragma once

#include <span>

#include "engine/kernels/cpu/tiles.h"
#include "engine/kernels/kernels.h"

/// Kernels::matmul for weights in stripes (stripes.h) and activations as int8.
namespace conclave::engine::kernels::cpu {

/// `terms` 1: Activation::Int8; 2: Activation::Int8x2, where each row of activations is two rows of a tile.
void int8Matmul(const TileTable& tiles, Launch& launch, std::span<const MatmulGroup> groups, ConstRows x,
                uint32_t terms);

/// Its part of Kernels::scratchBytes.
size_t int8ScratchBytes(const ScratchShape& shape);

}  // namespace conclave::engine::kernels::cpu
