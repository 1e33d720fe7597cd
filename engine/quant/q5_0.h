#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// Q5_0: 32 values in 22 bytes (5.5 bits a value), one scale, symmetric.
///
/// bytes 0-1   scale d, IEEE half
/// bytes 2-5   the fifth bits: bit j of this little-endian 32-bit number belongs to value j
/// bytes 6-21  the low four bits: byte j holds value j in its low half and value j + 16 in its high half
///
/// value = d * (q - 16), with q of 5 bits. Exact in float32.
///
/// Source: block_q5_0 in ggml's ggml-common.h. Read only.
struct BlockQ5_0 {
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

void decodeQ5_0(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
