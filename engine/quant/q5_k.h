#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q5_K: 256 values in 176 bytes (5.5 bits a value): 8 sub-blocks of 32, scale and minimum of 6 bits.
///
/// bytes 0-1    scale of the scales d, IEEE half
/// bytes 2-3    scale of the minimums dmin, IEEE half
/// bytes 4-15   8 scales and 8 minimums of 6 bits, packed as in Q4_K
/// bytes 16-47  the fifth bits: bit s of byte l belongs to value l of sub-block s
/// bytes 48-175 the low four bits, as in Q4_K
///
/// value = (d * s) * q - dmin * m, with q of 5 bits. Both products are exact in float32, the difference is
/// rounded once.
///
/// Source: block_q5_K in ggml's ggml-common.h. Read only.
struct BlockQ5_K {
    uint16_t d;
    uint16_t dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

void decodeQ5_K(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
