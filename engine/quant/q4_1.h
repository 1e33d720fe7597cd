#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q4_1: 32 values in 20 bytes (5 bits a value), scale and minimum.
///
/// bytes 0-1   scale d, IEEE half
/// bytes 2-3   minimum m, IEEE half
/// bytes 4-19  32 numbers q of 4 bits: byte j holds value j in its low half and value j + 16 in its high half
///
/// value = d * q + m. The product is exact in float32, the sum is rounded once.
///
/// Source: block_q4_1 in ggml's ggml-common.h. Read only.
struct BlockQ4_1 {
    uint16_t d;
    uint16_t m;
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

void decodeQ4_1(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
