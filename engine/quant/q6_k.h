#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q6_K: 256 values in 210 bytes (6.5625 bits a value): 16 sub-blocks of 16, signed scale of 8 bits.
///
/// bytes 0-127   the low four bits. Each half of the block (128 values) has 64 bytes: byte l (l < 64) holds
///               the value l of that half in its low half and the value l + 64 in its high half
/// bytes 128-191 the upper two bits. Each half of the block has 32 bytes: bits 2k and 2k+1 of byte l belong
///               to the value 32k + l
/// bytes 192-207 16 signed scales s
/// bytes 208-209 scale of the scales d, IEEE half
///
/// value = (d * s) * (q - 32), with q of 6 bits. Exact in float32.
///
/// Source: block_q6_K in ggml's ggml-common.h. Read only.
struct BlockQ6_K {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
};
static_assert(sizeof(BlockQ6_K) == 210);

void decodeQ6_K(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
