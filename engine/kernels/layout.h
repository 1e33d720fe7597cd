#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernels.h"

/// From the plain rows of a file to the layouts that fast rows of kernels read, once, while a model is
/// loaded.
namespace conclave::engine::kernels {

/// Bytes of `rows` rows of `cols` values; a block of the format divides cols.
size_t matrixBytes(Layout layout, quant::Format format, uint32_t rows, uint32_t cols);

/// MatrixView::stride of such a matrix.
size_t matrixStride(Layout layout, quant::Format format, uint32_t cols);

/// How many rows can be laid out without the others: 1, or 16.
uint32_t layoutRows(Layout layout);

/// Lays out `rows` plain rows, `stride` bytes apart, at `out`, which is where row 0 or a multiple of
/// layoutRows() belongs.
void layOut(Layout layout, quant::Format format, const std::byte* plain, size_t stride, uint32_t rows,
            uint32_t cols, std::byte* out);

}  // namespace conclave::engine::kernels
