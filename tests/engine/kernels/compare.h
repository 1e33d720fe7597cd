#pragma once

#include <string>

#include "engine/kernels/kernels.h"

namespace conclave::engine::kernels {

/// Runs every operation of `row` and of `reference` on the same random inputs (every format and activation
/// type, shapes that fit no register, several threads) and names the first output whose bits differ; empty
/// where none does. Both rows must be of one family. A new row of kernels is held to this before anything
/// else.
std::string compareWithReference(const Kernels& row, const Kernels& reference, uint32_t seed);

}  // namespace conclave::engine::kernels
