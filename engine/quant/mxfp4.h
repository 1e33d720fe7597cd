#pragma once

#include <cstddef>
#include <cstdint>

namespace conclave::engine::quant {

/// MXFP4: 32 values in 17 bytes (4.25 bits a value): a power of two as scale, 4-bit floating point.
///
/// byte 0      scale e, E8M0: 2^(e - 127)
/// bytes 1-16  32 numbers of FP4 E2M1: byte j holds value j in its low half and value j + 16 in its high
///             half. The lower three bits stand for 0, 0.5, 1, 1.5, 2, 3, 4, 6, the fourth is the sign
///
/// value = 2^(e - 127) * E2M1. Exact in float32 up to its overflow. kMxfp4Steps holds twice the values, to be
/// used with half the scale; the zero with a sign counts as plain zero. The scale 255, which the MX
/// specification calls NaN, is read as 2^128, as ggml does; no writer makes it.
///
/// Source: OCP Microscaling Formats (MX) Specification 1.0, sections 5.2 to 5.4; block_mxfp4 in ggml's
/// ggml-common.h for the order of the values. Read only.
struct BlockMXFP4 {
    uint8_t e;
    uint8_t qs[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

/// Twice the value of each E2M1 number.
inline constexpr int8_t kMxfp4Steps[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// 2^(e - 128): half of what an E8M0 scale stands for, exact (subnormal for e < 2).
float e8m0Half(uint8_t e);

void decodeMXFP4(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
