#include "engine/kernels/layout.h"

#include <algorithm>
#include <cstring>

#include "engine/kernels/cpu/stripes.h"

namespace conclave::engine::kernels {

size_t matrixStride(Layout layout, quant::Format format, uint32_t cols) {
    if (layout == Layout::Stripes16) return cpu::stripeBytes(cpu::stripeForm(format), cols);
    return quant::rowBytes(format, cols);
}

uint32_t layoutRows(Layout layout) {
    return layout == Layout::Stripes16 ? cpu::kStripeRows : 1;
}

size_t matrixBytes(Layout layout, quant::Format format, uint32_t rows, uint32_t cols) {
    const uint32_t together = layoutRows(layout);
    return matrixStride(layout, format, cols) * ((rows + together - 1) / together);
}

void layOut(Layout layout, quant::Format format, const std::byte* plain, size_t stride, uint32_t rows,
            uint32_t cols, std::byte* out) {
    const uint32_t together = layoutRows(layout);
    const size_t outStride = matrixStride(layout, format, cols);
    for (uint32_t r = 0; r < rows; r += together, plain += together * stride, out += outStride) {
        if (layout == Layout::Stripes16)
            cpu::packStripe(format, plain, stride, std::min(together, rows - r), cols, out);
        else
            std::memcpy(out, plain, outStride);
    }
}

}  // namespace conclave::engine::kernels
