#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q2_K: 256 values in 84 bytes (2.625 bits a value): 16 sub-blocks of 16, scale and minimum of 4 bits.
///
/// bytes 0-15   one byte a sub-block: scale s in the low half, minimum m in the high half
/// bytes 16-79  numbers q of 2 bits. Each half of the block (128 values) has 32 bytes; bits 2k and 2k+1 of
///              byte l hold the value 32k + l of that half
/// bytes 80-81  scale of the scales d, IEEE half
/// bytes 82-83  scale of the minimums dmin, IEEE half
///
/// value = (d * s) * q - dmin * m. Both products are exact in float32, the difference is rounded once.
/// Sub-block i holds the values 16i to 16i + 15.
///
/// Source: block_q2_K in ggml's ggml-common.h. Read only.
struct BlockQ2_K {
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d;
    uint16_t dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

void decodeQ2_K(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
