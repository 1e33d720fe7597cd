#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q4_0: 32 values in 18 bytes (4.5 bits a value), one scale, symmetric.
///
/// bytes 0-1   scale d, IEEE half
/// bytes 2-17  32 numbers q of 4 bits: byte j holds value j in its low half and value j + 16 in its high half
///
/// value = d * (q - 8). The product of an 11-bit and a 4-bit significand is exact in float32.
///
/// Encoding, as ggml's reference does it: m is the value of the largest magnitude (the first of equals), d =
/// m / -8, so that m itself becomes q = 0; q = trunc(x * (1 / d) + 8.5), at most 15, in float32. A block with
/// a value that is not finite gets the scale NaN: it stays recognisable instead of turning into harmless
/// numbers.
///
/// Source: block_q4_0 in ggml's ggml-common.h, quantize_row_q4_0_ref in ggml-quants.c.
struct BlockQ4_0 {
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

void decodeQ4_0(const std::byte* in, size_t blocks, float* out);
void encodeQ4_0(const float* in, size_t blocks, std::byte* out);

}  // namespace conclave::engine::quant
