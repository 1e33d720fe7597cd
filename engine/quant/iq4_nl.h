#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// IQ4_NL: 32 values in 18 bytes (4.5 bits a value), one scale, 16 uneven steps.
///
/// bytes 0-1   scale d, IEEE half
/// bytes 2-17  32 numbers q of 4 bits: byte j holds value j in its low half and value j + 16 in its high half
///
/// value = d * kIq4Steps[q]. Exact in float32.
///
/// Source: block_iq4_nl and kvalues_iq4nl in ggml's ggml-common.h. Read only.
struct BlockIQ4_NL {
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

/// The steps of IQ4_NL and IQ4_XS, closer together where weights are frequent.
inline constexpr int8_t kIq4Steps[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                         1,    13,   25,  38,  53,  69,  89,  113};

void decodeIQ4_NL(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
