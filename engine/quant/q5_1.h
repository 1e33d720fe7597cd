#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q5_1: 32 values in 24 bytes (6 bits a value), scale and minimum.
///
/// bytes 0-1   scale d, IEEE half
/// bytes 2-3   minimum m, IEEE half
/// bytes 4-7   the fifth bits: bit j of this little-endian 32-bit number belongs to value j
/// bytes 8-23  the low four bits: byte j holds value j in its low half and value j + 16 in its high half
///
/// value = d * q + m, with q of 5 bits. The product is exact in float32, the sum is rounded once.
///
/// Source: block_q5_1 in ggml's ggml-common.h. Read only.
struct BlockQ5_1 {
    uint16_t d;
    uint16_t m;
    uint8_t qh[4];
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

void decodeQ5_1(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
