#include "engine/quant/q8_0.h"

#include "engine/quant/blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

namespace conclave::engine::quant {
namespace {

// Four lanes in plain GNU C++: what the compiler leaves one by one takes four times as long.
using Floats = float __attribute__((vector_size(16)));
using Integers = int32_t __attribute__((vector_size(16)));

/// The largest magnitude of 32 values; nothing where one is not finite.
std::optional<float> largest(const float* in) {
    constexpr int32_t kExponent = 0x7f800000, kMagnitude = 0x7fffffff;
    Integers most{}, bad{};  // magnitudes of floats compare as their bits do
    for (size_t j = 0; j < 32; j += 4) {
        Integers bits;
        std::memcpy(&bits, in + j, sizeof bits);
        bad |= (bits & kExponent) == kExponent;
        const Integers magnitude = bits & kMagnitude;
        most = magnitude > most ? magnitude : most;
    }
    if ((bad[0] | bad[1] | bad[2] | bad[3]) != 0) return std::nullopt;
    return std::bit_cast<float>(std::max({most[0], most[1], most[2], most[3]}));
}

/// std::round() of in * factor, whose magnitude is at most 127: halves go away from zero.
void roundFour(const float* in, float factor, int8_t* out) {
    Floats values;
    std::memcpy(&values, in, sizeof values);
    values *= factor;
    Integers whole = __builtin_convertvector(values, Integers);
    const Floats rest = values - __builtin_convertvector(whole, Floats);  // exact
    whole += (rest <= -0.5f) - (rest >= 0.5f);                            // a true lane is -1
    for (int lane = 0; lane < 4; ++lane)
        out[lane] = static_cast<int8_t>(whole[lane]);
}

}  // namespace

void decodeQ8_0(const std::byte* in, size_t blocks, float* out) {
    for (size_t b = 0; b < blocks; ++b, out += 32) {
        const auto block = loadBlock<BlockQ8_0>(in, b);
        const float d = halfToFloat(block.d);
        for (size_t j = 0; j < 32; ++j)
            out[j] = d * static_cast<float>(block.qs[j]);
    }
}

void encodeQ8_0(const float* in, size_t blocks, std::byte* out) {
    for (size_t b = 0; b < blocks; ++b, in += 32) {
        BlockQ8_0 block{};
        const std::optional<float> most = largest(in);
        const float d = most.value_or(0) / 127.0f;
        const float inverse = d != 0 ? 1.0f / d : 0.0f;
        block.d = most ? floatToHalf(d) : kHalfNan;
        if (most && std::isfinite(inverse))
            for (size_t j = 0; j < 32; j += 4)
                roundFour(in + j, inverse, block.qs + j);
        storeBlock(out, b, block);
    }
}

}  // namespace conclave::engine::quant
