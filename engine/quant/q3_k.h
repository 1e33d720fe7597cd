#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q3_K: 256 values in 110 bytes (3.4375 bits a value): 16 sub-blocks of 16, signed scale of 6 bits.
///
/// bytes 0-31    the third bits, inverted: bit k of byte l belongs to value 32k + l; where it is 0, 4 is
///               taken off
/// bytes 32-95   the low two bits. Each half of the block (128 values) has 32 bytes; bits 2k and 2k+1 of byte
///               l hold the value 32k + l of that half
/// bytes 96-107  16 scales of 6 bits: the low half of byte i (i < 8) is the low four bits of scale i, its
///               high half those of scale i + 8; bits 2k and 2k+1 of byte 8 + j are the upper two bits of
///               scale 4k + j
/// bytes 108-109 scale of the scales d, IEEE half
///
/// value = (d * (s - 32)) * (q - (third bit ? 0 : 4)). Exact in float32.
///
/// Source: block_q3_K in ggml's ggml-common.h. Read only.
struct BlockQ3_K {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    uint16_t d;
};
static_assert(sizeof(BlockQ3_K) == 110);

void decodeQ3_K(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
