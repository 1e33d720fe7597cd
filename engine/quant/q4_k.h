#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q4_K: 256 values in 144 bytes (4.5 bits a value): 8 sub-blocks of 32, scale and minimum of 6 bits.
///
/// bytes 0-1    scale of the scales d, IEEE half
/// bytes 2-3    scale of the minimums dmin, IEEE half
/// bytes 4-15   8 scales s and 8 minimums m of 6 bits in 12 bytes p. For i < 4 the low six bits of p[i] are
///              s[i] and those of p[i + 4] are m[i]. For i >= 4 the low half of p[i + 4] is the low four bits
///              of s[i] and its high half those of m[i]; their upper two bits are the upper two of p[i - 4]
///              and of p[i]
/// bytes 16-143 numbers q of 4 bits: for each pair of sub-blocks 32 bytes, byte l with value l of the first
///              in its low half and value l of the second in its high half
///
/// value = (d * s) * q - dmin * m. Both products are exact in float32, the difference is rounded once.
///
/// Source: block_q4_K in ggml's ggml-common.h. Read only.
struct BlockQ4_K {
    uint16_t d;
    uint16_t dmin;
    uint8_t scales[12];
    uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

/// Scale and minimum of one sub-block, 0-63 each.
struct ScaleAndMin {
    uint8_t scale;
    uint8_t min;
};

/// Of sub-block `i` (0-7), from the 12 bytes that Q4_K and Q5_K pack them into.
ScaleAndMin unpackScaleAndMin(const uint8_t packed[12], size_t i);

void decodeQ4_K(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
