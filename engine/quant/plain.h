#pragma once

#include <cstddef>

namespace conclave::engine::quant {

/// The plain formats, little-endian, one value a block.
///
/// - F32: IEEE 754 binary32.
/// - F16: IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 of fraction, with subnormals and NaN.
/// - BF16: the upper 16 bits of a binary32.
/// - F8E4M3: sign, 4 bits of exponent (bias 7), 3 of fraction; no infinities, S.1111.111 is NaN, the largest
///   value is 448. A tensor of it carries its scales beside it (`…weight_scale_inv`, one float32 a block of
///   128 x 128 in DeepSeek-V3); decoding here leaves them out.
///
/// Sources: IEEE 754-2019; ggml's ggml-impl.h for the rounding of BF16; FP8 Formats for Deep Learning
/// (arXiv 2209.05433) for E4M3. Widening is exact. Narrowing rounds to nearest even; a NaN stays one.
void decodeF32(const std::byte* in, size_t blocks, float* out);
void encodeF32(const float* in, size_t blocks, std::byte* out);
void decodeF16(const std::byte* in, size_t blocks, float* out);
void encodeF16(const float* in, size_t blocks, std::byte* out);
void decodeBF16(const std::byte* in, size_t blocks, float* out);
void encodeBF16(const float* in, size_t blocks, std::byte* out);
void decodeF8E4M3(const std::byte* in, size_t blocks, float* out);

}  // namespace conclave::engine::quant
