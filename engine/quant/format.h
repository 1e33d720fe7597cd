#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace conclave::engine::quant {

/// How the values of a tensor are stored. The block formats are those of ggml; each is specified in prose in
/// its own header beside this one.
enum class Format : uint8_t {
    F32,
    F16,
    BF16,
    F8E4M3,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_NL,
    IQ4_XS,
    MXFP4,
    I32,
    I64,
    U8,  // indices and flags; never decoded to floats
};
inline constexpr size_t kFormatCount = 20;

/// Decodes `blocks` whole blocks at `in` to `out`, exactly: every value is the real number the block stands
/// for, rounded once to float32 where it does not fit.
using DecodeBlocks = void (*)(const std::byte* in, size_t blocks, float* out);

/// Encodes `blocks` whole blocks of floats; null where the project only reads the format.
using EncodeBlocks = void (*)(const float* in, size_t blocks, std::byte* out);

struct FormatInfo {
    Format format;
    std::string_view name;  ///< "Q4_K"
    uint32_t blockValues;   ///< values in a block, 1 for plain types
    uint32_t blockBytes;    ///< bytes of a block
    int32_t ggmlType;       ///< number in GGUF, -1 where GGUF has none
    DecodeBlocks decode;    ///< null for I32 I64 U8; for F8E4M3 without its block scales
    EncodeBlocks encode;    ///< F32 F16 BF16 Q8_0 Q4_0
};

const FormatInfo& info(Format format);

/// By ggml type number; empty for those that are not read (ggmlTypeName() still names them).
std::optional<Format> fromGgmlType(uint32_t type);

/// The name of any ggml type, read or not ("IQ2_XXS"); empty for numbers that ggml does not know.
std::string_view ggmlTypeName(uint32_t type);

/// By name, letter case ignored ("q8_0").
std::optional<Format> fromName(std::string_view name);

/// Bytes of a row of `values` values; 0 where blockValues does not divide it.
uint64_t rowBytes(Format format, uint64_t values);

/// IEEE half and bfloat16; exact both ways except for rounding to nearest even when narrowing.
float halfToFloat(uint16_t bits);
uint16_t floatToHalf(float value);
float bfloat16ToFloat(uint16_t bits);
uint16_t floatToBfloat16(float value);
/// FP8 E4M3 in the "fn" variant: no infinities, 0x7f and 0xff are NaN.
float e4m3ToFloat(uint8_t bits);

}  // namespace conclave::engine::quant
