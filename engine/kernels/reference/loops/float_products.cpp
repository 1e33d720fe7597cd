#include "engine/kernels/reference/loops/tile.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {

void multiply(const float* w, size_t wStride, size_t wRows, const float* x, size_t xStride, size_t xRows,
              size_t cols, float* y, size_t yStride) {
    multiplyRows(w, wStride, wRows, x, xStride, xRows, cols, y, yStride);
}

void multiplyNarrow(quant::Format format, const std::byte* w, size_t wStride, size_t wRows, const float* x,
                    size_t xStride, size_t xRows, size_t cols, float* y, size_t yStride) {
    if (format == quant::Format::F16)
        multiplyRows(reinterpret_cast<const Half*>(w), wStride / sizeof(Half), wRows, x, xStride, xRows, cols,
                     y, yStride);
    else
        multiplyRows(reinterpret_cast<const Bfloat16*>(w), wStride / sizeof(Bfloat16), wRows, x, xStride,
                     xRows, cols, y, yStride);
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
