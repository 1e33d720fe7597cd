#include "engine/quant/plain.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/quant/format.h"

namespace conclave::engine::quant {
namespace {

uint16_t load16(const std::byte* in) {
    uint16_t bits;
    std::memcpy(&bits, in, sizeof bits);
    return bits;
}

void store16(std::byte* out, uint16_t bits) {
    std::memcpy(out, &bits, sizeof bits);
}

const std::array<float, 256>& e4m3Table() {
    static const std::array<float, 256> table = [] {
        std::array<float, 256> values{};
        for (unsigned bits = 0; bits < 256; ++bits) {
            const int exponent = static_cast<int>(bits >> 3 & 15);
            const float fraction = static_cast<float>(bits & 7);
            float value = exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, exponent - 10);
            if ((bits & 0x7f) == 0x7f) value = std::bit_cast<float>(0x7fc00000u);
            values[bits] = bits & 0x80 ? -value : value;
        }
        return values;
    }();
    return table;
}

}  // namespace

float halfToFloat(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    const uint32_t exponent = bits >> 10 & 31;
    uint32_t fraction = bits & 0x3ff;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
    if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
    if (fraction == 0) return std::bit_cast<float>(sign);
    // A subnormal half is a normal float: the leading one moves up to the place of the hidden bit.
    const int shift = std::countl_zero(fraction) - 21;
    fraction = fraction << shift & 0x3ff;
    return std::bit_cast<float>(sign | static_cast<uint32_t>(113 - shift) << 23 | fraction << 13);
}

uint16_t floatToHalf(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00);
    if (magnitude >= 0x47800000u)  // 65536 and above, infinity too
        return static_cast<uint16_t>(sign | 0x7c00);
    if (magnitude < 0x33000000u)  // below half of the smallest subnormal
        return static_cast<uint16_t>(sign);
    const uint32_t exponent = magnitude >> 23;
    // Below 2^-14 the result is subnormal: more bits of the significand fall off, down to its hidden one.
    const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
    const uint32_t dropped = exponent >= 113 ? 13 : 126 - exponent;
    const uint32_t kept = significand >> dropped;
    const uint32_t rest = significand & ((1u << dropped) - 1), half = 1u << (dropped - 1);
    const uint32_t up = rest > half || (rest == half && (kept & 1)) ? 1 : 0;
    // For normal numbers `kept` has its hidden bit at 0x400, which adds one to the exponent; a carry of the
    // rounding runs into the exponent by itself, up to infinity.
    const uint32_t base = exponent >= 113 ? (exponent - 113) << 10 : 0;
    return static_cast<uint16_t>(sign | (base + kept + up));
}

float bfloat16ToFloat(uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t floatToBfloat16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40);
    return static_cast<uint16_t>((bits + (0x7fffu + (bits >> 16 & 1))) >> 16);
}

float e4m3ToFloat(uint8_t bits) {
    return e4m3Table()[bits];
}

void decodeF32(const std::byte* in, size_t blocks, float* out) {
    std::memcpy(out, in, blocks * sizeof(float));
}

void encodeF32(const float* in, size_t blocks, std::byte* out) {
    std::memcpy(out, in, blocks * sizeof(float));
}

void decodeF16(const std::byte* in, size_t blocks, float* out) {
    for (size_t i = 0; i < blocks; ++i)
        out[i] = halfToFloat(load16(in + 2 * i));
}

void encodeF16(const float* in, size_t blocks, std::byte* out) {
    for (size_t i = 0; i < blocks; ++i)
        store16(out + 2 * i, floatToHalf(in[i]));
}

void decodeBF16(const std::byte* in, size_t blocks, float* out) {
    for (size_t i = 0; i < blocks; ++i)
        out[i] = bfloat16ToFloat(load16(in + 2 * i));
}

void encodeBF16(const float* in, size_t blocks, std::byte* out) {
    for (size_t i = 0; i < blocks; ++i)
        store16(out + 2 * i, floatToBfloat16(in[i]));
}

void decodeF8E4M3(const std::byte* in, size_t blocks, float* out) {
    const std::array<float, 256>& table = e4m3Table();
    for (size_t i = 0; i < blocks; ++i)
        out[i] = table[static_cast<uint8_t>(in[i])];
}

}  // namespace conclave::engine::quant
