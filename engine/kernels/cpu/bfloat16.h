#pragma once

#include <cstddef>

namespace conclave::engine::kernels::cpu {

/// reference::MultiplyBfloat16s by VDPBF16PS; only where platform::cpuFeatures().avx512Bf16. The instruction
/// takes subnormal numbers for zero, weights, activations and sums (Intel SDM, VDPBF16PS): where one occurs,
/// a bit may differ from the other rows'. Sums of that size are below 1.2e-38.
void multiplyBfloat16sAvx512(const std::byte* w, size_t wStride, size_t wRows, const std::byte* x,
                             size_t xStride, size_t xRows, size_t cols, float* y, size_t yStride);

}  // namespace conclave::engine::kernels::cpu
