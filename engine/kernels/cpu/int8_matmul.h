#pragma once

#include <span>

#include "engine/kernels/cpu/tiles.h"
#include "engine/kernels/kernels.h"

/// Kernels::matmul for weights in stripes (stripes.h) and activations as int8.
namespace conclave::engine::kernels::cpu {

void int8Matmul(const TileTable& tiles, Launch& launch, std::span<const MatmulGroup> groups, ConstRows x,
                Rows y);

/// Its part of Kernels::scratchBytes.
size_t int8ScratchBytes(const ScratchShape& shape);

}  // namespace conclave::engine::kernels::cpu
