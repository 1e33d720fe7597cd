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

void roundToBfloat16(const float* x, size_t count, float* out) {
    for (size_t i = 0; i < count; ++i) {
        const uint32_t bits = __builtin_bit_cast(uint32_t, x[i]);
        const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
        const uint32_t nan = (bits | 0x00400000u) & 0xffff0000u;
        out[i] = __builtin_bit_cast(float, (bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
    }
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
