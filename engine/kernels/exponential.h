#pragma once

#include <cstdint>

#include "engine/kernels/inline.h"

/// exp and what is made of it, with the same operations in the same order at every vector width, so that
/// every row of kernels gives the same bits. See inline.h for their linkage.
namespace conclave::engine::kernels {

/// e^x within 1 ulp (0.77 measured) where the result is a normal number.
/// 0 below ln(2^-126), infinity above ln(largest float); NaN stays NaN; exactly 1 at 0.
///
/// x = n ln2 + r with |r| <= ln2/2 (ln2 in two parts), e^r = (1 + r) + (r² p(r) + what 1 + r lost) with p of
/// degree 5 (the coefficients are those of Cephes' expf, S. Moshier), times 2^n in two factors, because 2^128
/// is no float. n comes from adding and taking away 1.5·2^23, which rounds to nearest even.
CONCLAVE_INLINE float exponential(float x) {
    constexpr float kShift = 12582912.0f;
    const float shifted = __builtin_fmaf(x, 1.44269504088896341f, kShift);
    const float n = shifted - kShift;
    float r = __builtin_fmaf(n, -0.693359375f, x);
    r = __builtin_fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = __builtin_fmaf(p, r, 1.3981999507e-3f);
    p = __builtin_fmaf(p, r, 8.3334519073e-3f);
    p = __builtin_fmaf(p, r, 4.1665795894e-2f);
    p = __builtin_fmaf(p, r, 1.6666665459e-1f);
    p = __builtin_fmaf(p, r, 5.0000001201e-1f);
    const float near = 1.0f + r, lost = r - (near - 1.0f);
    const float mantissa = near + __builtin_fmaf(r * r, p, lost);
    // The low bits of `shifted` are n; outside the range that is kept below they are anything, and are not
    // used.
    const uint32_t bits = __builtin_bit_cast(uint32_t, shifted) - 0x4b400000u;
    const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(bits) >> 1);
    const float first = __builtin_bit_cast(float, (half + 127u) << 23);
    const float second = __builtin_bit_cast(float, (bits - half + 127u) << 23);
    float y = (mantissa * first) * second;
    y = x < -87.33654f ? 0.0f : y;
    y = x > 88.72283f ? __builtin_inff() : y;
    return x != x ? x : y;
}

/// 1 / (1 + e^-x), within 2.5 ulp.
CONCLAVE_INLINE float sigmoid(float x) {
    return 1.0f / (1.0f + exponential(-x));
}

/// x / (1 + e^-x), within 2.5 ulp.
CONCLAVE_INLINE float silu(float x) {
    return x / (1.0f + exponential(-x));
}

}  // namespace conclave::engine::kernels
