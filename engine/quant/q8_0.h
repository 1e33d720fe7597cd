#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q8_0: 32 values in 34 bytes (8.5 bits a value), one scale, symmetric.
///
/// bytes 0-1   scale d, IEEE half
/// bytes 2-33  32 signed bytes q, in order
///
/// value = d * q. Exact in float32.
///
/// Encoding, as ggml's reference does it: d = largest magnitude / 127 in float32; q = x * (1 / d) rounded to
/// nearest, halves away from zero; then d is rounded to half. A block with a value that is not finite gets
/// the scale NaN: it stays recognisable instead of turning into harmless numbers.
///
/// Source: block_q8_0 in ggml's ggml-common.h, quantize_row_q8_0_ref in ggml-quants.c.
struct BlockQ8_0 {
    uint16_t d;
    int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

void decodeQ8_0(const std::byte* in, size_t blocks, float* out);
void encodeQ8_0(const float* in, size_t blocks, std::byte* out);

}  // namespace conclave::engine::quant
