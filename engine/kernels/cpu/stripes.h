#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/quant/format.h"

/// The layout Stripes16: sixteen rows of a block format side by side, so that one register holds four
/// neighbouring values of each. The bytes of the file's rows in another order; nothing is rounded.
///
/// A matrix is its stripes of sixteen rows, one after the other; rows that are missing in the last are zero.
/// A stripe is its groups of 256 values (K formats) or 64 (the others), ascending. A group is
///   header  d of the sixteen rows as IEEE halves, for every 32 values in the formats with blocks of 32;
///           then what else the format has, in the same order: m (Q4_1, Q5_1); dmin and the 12 packed bytes,
///           byte i of all rows before byte i + 1 (Q4_K, Q5_K); the 16 scales, scale i of all rows before
///           scale i + 1, and 32 bytes of nothing, so that units lie on lines (Q6_K);
///   then for every 32 values of k eight runs of four: run j holds k = 4j … 4j + 3.
///           Q8_0: eight units of 64 bytes, unit j byte 4r + b is value 4j + b of row r, plus 128.
///           others: four units of 64 bytes: the low half of unit j byte 4r + b holds the low four bits of
///           value 4j + b of row r, the high half those of value 16 + 4j + b. Then the upper bits, Q5: one
///           unit, bit j of byte 4r + b is the fifth bit of value 4j + b. Q6_K: two units, bits 2i and 2i + 1
///           of byte 4r + b of unit u are the upper two bits of value 16u + 4i + b.
/// Integers are stored with the format's offset added (8, 16, 32 or 128), so that none is negative. Where 64
/// does not divide a row of a format with blocks of 32, the last group is as long as the others and its
/// second half is zero.
namespace conclave::engine::kernels::cpu {

inline constexpr uint32_t kStripeRows = 16;

/// What a format is in stripes; group == 0: the layout does not have it.
struct StripeForm {
    uint32_t group = 0;        ///< values of a row in a group
    uint32_t headerBytes = 0;  ///< of a group
    uint32_t blockBytes = 0;   ///< of 32 values of all rows
    uint32_t bits = 0;         ///< of an integer: 4, 5, 6 or 8
    int32_t offset = 0;        ///< added to every integer
    uint32_t run = 32;         ///< values that share a scale
    bool minimums = false;
    constexpr uint32_t groupBytes() const { return headerBytes + group / 32 * blockBytes; }
};
constexpr StripeForm stripeForm(quant::Format format) {
    using quant::Format;
    switch (format) {
    case Format::Q4_0:
        return {64, 64, 256, 4, 8, 32, false};
    case Format::Q4_1:
        return {64, 128, 256, 4, 0, 32, true};
    case Format::Q5_0:
        return {64, 64, 320, 5, 16, 32, false};
    case Format::Q5_1:
        return {64, 128, 320, 5, 0, 32, true};
    case Format::Q8_0:
        return {64, 64, 512, 8, 128, 32, false};
    case Format::Q4_K:
        return {256, 256, 256, 4, 0, 32, true};
    case Format::Q5_K:
        return {256, 256, 320, 5, 0, 32, true};
    case Format::Q6_K:
        return {256, 320, 384, 6, 32, 16, false};
    default:
        return {};
    }
}

/// Bytes of a stripe of rows of `cols` values.
constexpr size_t stripeBytes(const StripeForm& form, size_t cols) {
    return (cols + form.group - 1) / form.group * form.groupBytes();
}

/// Writes the stripe of the `count` (1 to 16) plain rows at `rows`, `stride` bytes apart.
void packStripe(quant::Format format, const std::byte* rows, size_t stride, uint32_t count, uint32_t cols,
                std::byte* stripe);

/// Row `row` of a stripe as float32, as quant decodes it.
void decodeStripeRow(quant::Format format, const std::byte* stripe, uint32_t row, uint32_t cols, float* out);

}  // namespace conclave::engine::kernels::cpu
