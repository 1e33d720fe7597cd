#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// IQ4_XS: 256 values in 136 bytes (4.25 bits a value): 8 sub-blocks of 32, signed scale of 6 bits, 16
/// uneven steps.
///
/// bytes 0-1    scale of the scales d, IEEE half
/// bytes 2-3    upper two bits of the scales: bits 2i and 2i+1 of this little-endian number belong to scale i
/// bytes 4-7    low four bits of the scales: byte j holds scale 2j in its low half, scale 2j + 1 in its high
/// bytes 8-135  numbers q of 4 bits, 16 bytes a sub-block: byte j holds value j in its low half and value
///              j + 16 in its high half
///
/// value = (d * (s - 32)) * kIq4Steps[q] (iq4_nl.h). Exact in float32.
///
/// Source: block_iq4_xs in ggml's ggml-common.h. Read only.
struct BlockIQ4_XS {
    uint16_t d;
    uint16_t scalesHigh;
    uint8_t scalesLow[4];
    uint8_t qs[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

void decodeIQ4_XS(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
